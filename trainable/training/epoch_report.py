"""The report of one training epoch."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

# Fields that depend on how busy the machine is, so two equal runs differ in them. `veer reproduce`
# does not compare them.
TIMING_FIELDS = frozenset(
    {"samples_per_s", "train_s", "eval_s", "peak_memory_mib", "overhead_share"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport:
    """The metrics of one epoch. Losses are means over the epoch's steps, before weighting.

    Attributes:
        epoch: Counted from 1.
        veer_pct: Interpolated EER on the validation list, percent.
        loss_total: The weighted sum that was minimised.
        loss_classification: AAM-softmax cross-entropy, nats.
        loss_distillation: Distillation term; None without distillation.
        loss_reconstruction: Reconstruction term; None without it.
        distill_share: Weighted distillation term over the total loss; None without distillation.
        classification_share: Weighted classification term over the total loss; the shares of the
            terms add up to 1.
        reconstruction_share: Weighted reconstruction term over the total loss; None without it.
        loss_stages: Loss of each student stage, first block first and the embedding last; None
            without multi-stage distillation.
        stage_shares: Weighted loss of each stage over the total loss, `distill_share` in all.
        teacher_cosine: Mean cosine between student and teacher embeddings of the training crops;
            None without distillation.
        train_accuracy_pct: Training crops whose nearest centre is their speaker's, percent.
        lr: Learning rate of this epoch.
        samples_per_s: Training crops per second, without evaluation.
        train_s: Seconds of training.
        eval_s: Seconds of evaluation.
        peak_memory_mib: Peak memory of the epoch, MiB. On a GPU: memory of tensors. On the CPU:
            memory of the process without pages of mapped files, sampled at the ends of forward
            passes. None where the platform does not report it.
        overhead_share: Share of `train_s` outside forward, backward and optimizer, 0 to 1.
        num_samples: Training crops.
        veer_low_pct: Lower end of the 95 % interval of `veer_pct`, by bootstrap over the
            validation speakers. None where an earlier epoch was as good, and where the list has
            too few speakers or errors for an interval.
        veer_high_pct: Its upper end.
    """

    epoch: int
    veer_pct: float
    loss_total: float
    loss_classification: float
    loss_distillation: float | None
    loss_reconstruction: float | None
    distill_share: float | None
    teacher_cosine: float | None
    train_accuracy_pct: float
    lr: float
    samples_per_s: float
    train_s: float
    eval_s: float
    classification_share: float
    reconstruction_share: float | None
    loss_stages: tuple[float, ...] | None
    stage_shares: tuple[float, ...] | None
    peak_memory_mib: float | None
    overhead_share: float
    num_samples: int
    veer_low_pct: float | None
    veer_high_pct: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, as plain data."""
        return asdict(self)


class RunningMeans:
    """Means of the loss terms over an epoch, kept on the device so that no step waits for it."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps = 0

    def add(self, terms: dict[str, Tensor]) -> None:
        """Add the terms of one step."""
        for name, value in terms.items():
            value = value.detach()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.steps += 1

    def means(self) -> dict[str, float]:
        """Return the mean of each term over the steps; this waits for the device."""
        return {name: value.item() / self.steps for name, value in self.sums.items()}
