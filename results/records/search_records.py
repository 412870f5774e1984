"""The records of a search as a whole, a class for each event."""

from typing import Annotated, Literal, get_args

from results.records.benchmark_row import BenchmarkRows
from results.records.earlier_trial import EarlierTrials
from results.records.record import Record
from results.records.record_values import (
    BrokenLimits,
    Count,
    DataLists,
    EndReason,
    EpochNumber,
    EpochNumbers,
    FinalReason,
    HaltReason,
    Hardware,
    MayLack,
    Number,
    NumberOrNull,
    Params,
    Precision,
    Provenance,
    Rule,
    Settings,
    StartPoints,
    StoreKeys,
    Text,
    Texts,
    Tree,
    Whole,
    WholeOrNull,
)

# Reasons after which a search has nothing left to do; after the others it can be resumed.
ENDINGS: frozenset[str] = frozenset(get_args(FinalReason))


class SearchStarted(Record):
    """A search begins in a new run folder.

    Attributes:
        settings: The resolved settings.
        space: Content of the space's file.
        provenance: Versions, code and hardware.
    """

    event: Literal["search_started"] = "search_started"
    settings: Settings
    space: MayLack[Tree] = None
    provenance: Provenance


class SearchResumed(Record):
    """A search continues, with fields as in `SearchStarted`."""

    event: Literal["search_resumed"] = "search_resumed"
    settings: MayLack[Settings] = None
    provenance: MayLack[Provenance] = None


class SearchEnded(Record):
    """A search ends or pauses.

    Attributes:
        reason: Why. One of `ENDINGS`, or why it was halted: `failing` stands for too many trials
            that fail.
    """

    event: Literal["search_ended"] = "search_ended"
    reason: Annotated[EndReason, Rule(f"one of {sorted(ENDINGS.union(get_args(HaltReason)))}")]


class CorpusRecord(Record):
    """What the trials learn from.

    Attributes:
        lists: The lists by role, `train` or `val`.
        stores: The keys of the stores by name: train, copy 1, val, targets of 200 frames, copy 0.
        warnings: About the lists.
        targets_device: Kind of device that computed the targets, if it was no CPU.
    """

    event: Literal["corpus"] = "corpus"
    lists: DataLists
    stores: StoreKeys
    warnings: MayLack[Texts] = None
    targets_device: MayLack[Text] = None


class TeacherRecord(Record):
    """The teacher of the search.

    Attributes:
        path: Its file.
        veer_pct: Its VEER, percent; None where unknown.
        num_params: Parameters of its network; None where unknown.
        sha256: Hash of the file.
    """

    event: Literal["teacher"] = "teacher"
    path: Text
    veer_pct: NumberOrNull
    num_params: WholeOrNull
    sha256: Text


class EvalCropsChosen(Record):
    """How many crops of a validation utterance are embedded.

    Attributes:
        eval_crops: The number.
        wanted: The number that the settings ask for; some earlier versions took fewer.
        expected_share: Share of an epoch's time that the evaluation is expected to take.
    """

    event: Literal["eval_crops"] = "eval_crops"
    eval_crops: Whole
    wanted: Whole
    expected_share: NumberOrNull


class EvalPlanChosen(Record):
    """Which epochs of all trials are evaluated, where evaluating all would take too long.

    Attributes:
        every_epochs: Every so many epochs one is evaluated.
        anyway: Epochs that are evaluated too: those at which trials are compared.
        all_from: From this epoch on all are evaluated.
    """

    event: Literal["eval_plan"] = "eval_plan"
    every_epochs: EpochNumber
    anyway: EpochNumbers
    all_from: EpochNumber


class StartPointsRead(Record):
    """The configs that the space starts from."""

    event: Literal["start_points"] = "start_points"
    points: StartPoints


class EarlierTrialsRead(Record):
    """The trials of earlier runs that the search learns from.

    Attributes:
        trials: Those that fit the space.
    """

    event: Literal["earlier_trials"] = "earlier_trials"
    trials: EarlierTrials


class InfeasibleSuggestion(Record):
    """A suggestion outside the limits.

    Attributes:
        params: Sampled values by dotted name.
        violations: The limits that it exceeds.
    """

    event: Literal["infeasible"] = "infeasible"
    params: Params
    violations: BrokenLimits


class RepeatedSuggestion(Record):
    """A suggestion whose config was run before.

    Attributes:
        params: Sampled values by dotted name.
        config_hash: Hash of the config.
        same_as: The trial that has it.
    """

    event: Literal["repeated"] = "repeated"
    params: Params
    config_hash: Text
    same_as: Count


class GpuShareMeasured(Record):
    """The part of a GPU that a trial needs (`gpu: auto`); it gets more where fewer run at once.

    Attributes:
        share: The part, 0 to 1.
        num_bytes: Peak memory of a training step of the largest config.
        is_estimated: Whether `num_bytes` was computed.
        validation_bytes: Peak memory of its validation.
        context_bytes: Memory in use outside PyTorch's allocator.
        total_bytes: The GPU's memory.
        gpu: The GPU's name.
        params: Sampled values of the largest config, by dotted name.
        config: The largest config.
    """

    event: Literal["gpu_share"] = "gpu_share"
    share: Number
    num_bytes: Whole
    is_estimated: Annotated[bool, Rule("true or false")]
    validation_bytes: MayLack[Whole] = None
    context_bytes: Whole
    total_bytes: Whole
    gpu: Text
    params: Params
    config: Tree


class PrecisionChosen(Record):
    """What `engine.precision: auto` stands for, in all trials of a search that may use GPUs.

    Attributes:
        precision: The type of the networks' passes.
        gpus: Names of the GPUs that it was chosen for; empty where trials trained on CPUs.
    """

    event: Literal["precision"] = "precision"
    precision: Precision
    gpus: Texts


class GraceChanged(Record):
    """`grace_epochs: auto` moves the first rung that stops trials.

    Attributes:
        grace_epochs: Epochs before which no trial is stopped from now on.
        was_epochs: The same before.
        rung: The rung whose order required it.
        tau: Kendall's tau of the order there with that at the next rung.
        num_trials: Trials that it is of.
    """

    event: Literal["grace_changed"] = "grace_changed"
    grace_epochs: Number
    was_epochs: Number
    rung: Number
    tau: Number
    num_trials: Count


class ModelsBenchmarked(Record):
    """Speed of the best models.

    Attributes:
        hardware: What they were measured on.
        rows: A row for each model and setting.
    """

    event: Literal["benchmark"] = "benchmark"
    hardware: Hardware
    rows: BenchmarkRows
