"""The records of one trial, a class for each event."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import model_validator

from results.records.record import TrialRecord
from results.records.record_values import (
    Costs,
    Count,
    DrawnBy,
    EpochNumber,
    FollowUpKind,
    Hardware,
    MayLack,
    Number,
    NumberOrNull,
    Params,
    Rule,
    State,
    Text,
    TextOrNull,
    Threads,
    Tree,
    Whole,
    WholeOrNull,
)
from trainable.report.column import Column
from trainable.report.epoch_report import EpochMetrics

FAULT_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "out_of_memory": "its share of the memory was too small; it is run again with more",
        "worker_lost": "its process died",
        "node_lost": "the node that it ran on died",
        "hung": "no epoch ended in many times the usual time; its process was killed",
        "device_error": "the GPU or its driver failed",
        "error": "an unknown error",
        "checkpoint_damaged": "a checkpoint could not be used; an earlier one was used, or none",
        "gpu_crowded": "others had more of its GPU than their shares; it waited and went on",
    }
)


class TrialStarted(TrialRecord):
    """A trial starts, or a failed one starts again.

    Attributes:
        params: Sampled values by dotted name.
        config: Its canonical config.
        config_hash: Hash of the config.
        seed: Seed of the config.
        follow_up: The kind of a follow-up, which the search runs after its own trials.
        follows: The trial whose params a follow-up has.
        drawn_by: What chose the params: a model, a local move, chance or a starting point; None
            where it is not known.
        costs: Its costs by goal, of a search with several goals: measured or counted once, before
            it started.
    """

    event: Literal["trial_started"] = "trial_started"
    params: Params
    config: Tree
    config_hash: Text
    seed: Whole
    follow_up: MayLack[Annotated[FollowUpKind, Rule("repeat or control")]] = None
    follows: MayLack[Count] = None
    drawn_by: MayLack[Annotated[DrawnBy, Rule("tpe, local, random or start")]] = None
    costs: MayLack[Costs] = None

    @model_validator(mode="after")
    def _is_whole_follow_up(self) -> Self:
        if (self.follow_up is None) != (self.follows is None):
            missing = "follows" if self.follows is None else "follow_up"
            raise ValueError(f"{self.event} must have {missing}")
        return self


class TrialPlaced(TrialRecord):
    """Where a trial was started or restarted.

    Attributes:
        epoch: The last epoch that was finished.
        host: Name of the node.
        pid: The worker's process.
        device: The device.
        num_threads: CPU threads.
        config_hash: Hash of the config of what was built there.
        model_hash: Fingerprint of the model that was built there.
        num_cpus: CPUs that were reserved for it.
        num_gpus: GPUs that were reserved for it.
        had_s: For how long the worker already had its share at its first report, when this is
            written, seconds.
        hardware: Description of the node.
    """

    event: Literal["placed"] = "placed"
    epoch: Count
    host: Text
    pid: Whole
    device: Text
    num_threads: Threads
    config_hash: MayLack[Text] = None
    model_hash: MayLack[Text] = None
    num_cpus: MayLack[Number] = None
    num_gpus: MayLack[Number] = None
    had_s: Number
    hardware: Hardware  # last, as Ray passes on the nested mapping of a result


class _EpochFields(TrialRecord):
    epoch: Annotated[EpochNumber, Column(meaning="Epoch, from 1.")]
    veer_pct: Annotated[
        NumberOrNull,
        Column(
            unit="%", heading="VEER %", decimals=2,
            meaning="Validation EER after the epoch; null where "
            "the search saved the time of evaluating it.",
        ),
    ]


class EpochEnded(EpochMetrics, _EpochFields):
    """An epoch of a trial, with what the trial reported.

    Attributes:
        epoch: Counted from 1.
        veer_pct: VEER, percent; None where it was not finite, and without evaluation.
        is_unevaluated: True where the search did not evaluate the epoch, to save time; else None.
        is_last_phase: True for an epoch of the training's last phase; else None.
        num_params: Parameters of the student's network.
    """

    # Again: the first base's is not strict.
    model_config = TrialRecord.model_config

    event: Literal["epoch"] = "epoch"
    is_unevaluated: Annotated[
        MayLack[Annotated[bool, Rule("true or false")]],
        Column(
            heading="not\nevaluated", spare=15, after="dprime",
            meaning="True where the search saved the time of evaluating the epoch; else null.",
        ),
    ] = None
    is_last_phase: Annotated[
        MayLack[Annotated[bool, Rule("true or false")]],
        Column(
            heading="last\nphase", spare=16, after="is_unevaluated",
            meaning="True in the last phase of a training, with a large margin; else null.",
        ),
    ] = None
    num_params: Annotated[
        WholeOrNull,
        Column(
            heading="parameters",
            meaning="Parameters of the network, without the training classifier.",
        ),
    ] = None

    @property
    def duration_s(self) -> float:
        """Time of training and validation, as far as it is known, seconds."""
        return (self.train_s or 0.0) + (self.eval_s or 0.0)


class InfrastructureFault(TrialRecord):
    """A fault that does not depend on the trial's config.

    Attributes:
        kind: One of `FAULT_KINDS`.
        epoch: The last epoch that was finished.
        message: Description, one line.
        resource: Of kind `out_of_memory`: which memory.
        share: Of kind `out_of_memory`: how much of it the trial has from then on.
    """

    WRITTEN_FIRST = ("event", "time_s", "kind")

    event: Literal["infrastructure"] = "infrastructure"
    kind: Text
    epoch: Count
    message: Text
    resource: MayLack[Annotated[Literal["gpu", "cpu"], Rule("gpu or cpu")]] = None
    share: MayLack[Number] = None

    @model_validator(mode="after")
    def _has_raised_share(self) -> Self:
        raised = {"resource": self.resource, "share": self.share}
        missing = [name for name, value in raised.items() if value is None]
        if missing and self.kind == "out_of_memory":
            raise ValueError(f"{self.event} must have {', '.join(missing)}")
        return self


class TrialEnded(TrialRecord):
    """A trial ends.

    Attributes:
        state: How.
        reason: Why; None for a complete one.
    """

    event: Literal["trial_ended"] = "trial_ended"
    state: State
    reason: TextOrNull


class FinalTestOpened(TrialRecord):
    """A test list was opened for a trial's model.

    Attributes:
        opening: Its id in the ledger, see `trainable.corpus.test_list_ledger`.
        epoch: The model's epoch.
        path: The list.
        list_sha256: Hash of the list's content.
        num_pairs: Its trial pairs.
        model_sha256: Hash of the model's file.
    """

    WRITTEN_FIRST = ("event", "time_s", "opening")

    event: Literal["test_opened"] = "test_opened"
    opening: Text
    epoch: Count
    path: Text
    list_sha256: Text
    num_pairs: Count
    model_sha256: Text
