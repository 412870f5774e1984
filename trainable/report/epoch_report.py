"""The metrics of one training epoch; each is described once, here."""

import math
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, Strict

from trainable.report.column import Column, described_fields


class EpochMetrics(BaseModel):
    """What an epoch is measured by, beside its VEER. Losses are means over the epoch's steps.

    A metric is None where the config has no such term or the platform does not report it. In the
    journal it is also None where it was not finite. docs/metrics.md defines the metrics.

    The order of the fields is that of the journal's lines. Tables, the terminal, TensorBoard and
    docs follow from the metadata: a new metric is one field.
    """

    model_config = ConfigDict(frozen=True)

    loss_total: Annotated[
        float | None,
        Column(heading="loss", meaning="Mean training loss."),
    ] = None
    loss_classification: Annotated[
        float | None,
        Column(
            heading="classifi-\ncation", spare=12,
            meaning="Mean classification loss, unweighted.",
        ),
    ] = None
    loss_distillation: Annotated[
        float | None,
        Column(
            heading="distil-\nlation", spare=11,
            meaning="Mean distillation loss, unweighted.",
        ),
    ] = None
    loss_reconstruction: Annotated[
        float | None,
        Column(
            heading="recon-\nstruction", spare=10,
            meaning="Mean reconstruction loss, unweighted.",
        ),
    ] = None
    distill_share: Annotated[
        float | None,
        Column(
            heading="distill\nshare", decimals=4, after="classification_share",
            meaning="Share of weighted distillation in the loss, 0 to 1.",
        ),
    ] = None
    teacher_cosine: Annotated[
        float | None,
        Column(
            heading="teacher\ncosine", decimals=3,
            meaning="Mean cosine of student and teacher embeddings; null if unknown.",
        ),
    ] = None
    train_accuracy_pct: Annotated[
        float | None,
        Column(
            unit="%", heading="accuracy\n%", decimals=2, spare=13,
            meaning="Training crops whose speaker was classified correctly.",
        ),
    ] = None
    lr: Annotated[float | None, Column(meaning="Learning rate in the epoch.")] = None
    samples_per_s: Annotated[
        float | None,
        Column(
            unit="1/s", heading="samples\n/s", decimals=0, spare=5, is_timing=True,
            meaning="Training crops a second.",
        ),
    ] = None
    train_s: Annotated[
        float | None,
        Column(
            unit="s", heading="train s", decimals=1, spare=4, is_timing=True, in_train_log=False,
            meaning="Training time.",
        ),
    ] = None
    eval_s: Annotated[
        float | None,
        Column(
            unit="s", heading="eval s", decimals=1, spare=3, is_timing=True, in_train_log=False,
            meaning="Validation time.",
        ),
    ] = None
    classification_share: Annotated[
        float | None,
        Column(
            heading="classifi-\ncation\nshare", decimals=4, spare=9, after="loss_stages",
            meaning="Share of weighted classification in the loss, 0 to 1.",
        ),
    ] = None
    reconstruction_share: Annotated[
        float | None,
        Column(
            heading="recon-\nstruction\nshare", decimals=4, spare=8, after="distill_share",
            meaning="Share of weighted reconstruction in the loss, 0 to 1.",
        ),
    ] = None
    loss_stages: Annotated[
        tuple[float | None, ...] | None,
        Strict(False),
        Column(
            heading="stages", spare=6, after="loss_reconstruction",
            meaning="Mean loss of each student stage, unweighted, the embedding last.",
        ),
    ] = None
    stage_shares: Annotated[
        tuple[float | None, ...] | None,
        Strict(False),
        Column(
            heading="stage\nshares", spare=7, after="reconstruction_share",
            meaning="Share of each stage in the loss; their sum is `distill_share`.",
        ),
    ] = None
    peak_memory_mib: Annotated[
        float | None,
        Column(
            unit="MiB", heading="memory\nMiB", decimals=0, spare=1, is_timing=True,
            meaning="Peak memory: on a GPU what PyTorch reserved; on the CPU that of the process "
            "without mapped files, sampled at the ends of forward passes. Null where it was not "
            "reported.",
        ),
    ] = None
    overhead_share: Annotated[
        float | None,
        Column(
            heading="over-\nhead\nshare", decimals=3, spare=2, is_timing=True,
            meaning="Share of `train_s` outside forward, backward and optimizer, 0 to 1.",
        ),
    ] = None
    num_samples: Annotated[
        int | None,
        Field(ge=0, lt=2**63),
        Column(
            unit="crops", in_train_log=False, after="lr",
            meaning="Training crops of the epoch.",
        ),
    ] = None
    veer_low_pct: Annotated[
        float | None,
        Column(
            unit="%", decimals=2, in_train_log=False, after="veer_pct",
            meaning="Lower end of its 95 % interval, by bootstrap over the validation speakers; "
            "null where an earlier epoch of the trial was as good.",
        ),
    ] = None
    veer_high_pct: Annotated[
        float | None,
        Column(
            unit="%", decimals=2, in_train_log=False, after="veer_low_pct",
            meaning="Its upper end.",
        ),
    ] = None
    dprime: Annotated[
        float | None,
        Column(
            heading="d'", decimals=3, spare=14, after="veer_high_pct",
            meaning="Distance of the mean scores of target and non-target pairs, in units of "
            "their spread; null if all scores of a class are equal.",
        ),
    ] = None


class EpochReport(EpochMetrics):
    """The report of an epoch by the trainer, which knows these numbers always.

    Attributes:
        epoch: Counted from 1.
        veer_pct: Interpolated EER on the validation list, percent; None without evaluation.
        is_last_phase: True for an epoch of the last phase; else None.
        is_unevaluated: True for an epoch that was not evaluated, to save time; else None.
    """

    model_config = ConfigDict(extra="forbid")

    epoch: int
    veer_pct: float | None
    is_unevaluated: bool | None = None
    is_last_phase: bool | None = None
    loss_total: float
    train_accuracy_pct: float
    lr: float
    samples_per_s: float

    @property
    def rank_key(self) -> tuple[float, int]:
        """Sorts the best epoch first: VEER, then number; one without VEER comes last."""
        return math.inf if self.veer_pct is None else self.veer_pct, self.epoch

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, as plain data."""
        return self.model_dump()


METRICS = described_fields(EpochMetrics)
# `veer reproduce` does not compare these.
TIMING_FIELDS = frozenset(name for name, column in METRICS.items() if column.is_timing)
