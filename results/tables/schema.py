"""The columns of the tables: name, type, unit, meaning."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from trainable.loss.directed import DIRECTED

PARAM_PREFIX = "param."
# Below these, distillation had no effect; see `results.tables.trials.distill_has_no_effect`.
NO_EFFECT_SHARE = 0.01
NO_EFFECT_COSINE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table; the unit is empty for text and for numbers without unit."""

    name: str
    dtype: pa.DataType
    unit: str = ""
    meaning: str

    @property
    def field(self) -> pa.Field:
        """The Arrow field, with unit and meaning in its metadata."""
        metadata = {"unit": self.unit, "meaning": self.meaning}
        return pa.field(self.name, self.dtype, metadata=metadata)


def _text(name: str, meaning: str) -> Column:
    return Column(name=name, dtype=pa.string(), meaning=meaning)


def _count(name: str, meaning: str, unit: str = "") -> Column:
    return Column(name=name, dtype=pa.int64(), unit=unit, meaning=meaning)


def _numbers(name: str, meaning: str) -> Column:
    return Column(name=name, dtype=pa.list_(pa.float64()), meaning=meaning)


def _number(name: str, meaning: str, unit: str = "") -> Column:
    return Column(name=name, dtype=pa.float64(), unit=unit, meaning=meaning)


TRIAL_COLUMNS: tuple[Column, ...] = (
    _count(
        "rank",
        "Rank, 1 is the best: first the trials whose config was repeated with other seeds, by "
        "`repeat_mean_pct`, then the others by `veer_pct`; null for failed and diverged trials "
        "and for follow-ups.",
    ),
    _count("trial", "Number of the trial, from 0; null where `same_as` names another trial."),
    _count(
        "same_as",
        "Trial whose run this row shares: the suggestion has other values but the same resulting "
        "config, so it was not run again and the row has that trial's results. Null for a trial.",
    ),
    _text(
        "follow_up",
        "Kind of a trial that the search ran after its own: `repeat`, the config of a finalist "
        "with another seed; `control`, a stopped trial run again to its last epoch. Null for the "
        "search's own trials.",
    ),
    _count("follows", "Trial whose config a follow-up repeats; null for the search's own trials."),
    _text(
        "state",
        "`complete`, `stopped_early`, `failed`, `diverged`; `running` for a trial without an end.",
    ),
    _number("veer_pct", "Lowest validation EER over the trial's epochs.", "%"),
    _number(
        "veer_low_pct",
        "Lower end of the 95 % interval of `veer_pct`, by bootstrap over the validation speakers; "
        "null where the list has too few speakers or errors for one.",
        "%",
    ),
    _number("veer_high_pct", "Its upper end.", "%"),
    _number(
        "behind_pct",
        "`veer_pct` minus that of the first in rank; may be below 0 where the first is ranked by "
        "its repeats. Null where one of the two has no saved scores.",
        "%",
    ),
    _number(
        "behind_low_pct",
        "Lower end of the 95 % interval of `behind_pct`, by bootstrap with the same replicates "
        "for both trials.",
        "%",
    ),
    _number("behind_high_pct", "Its upper end.", "%"),
    Column(
        name="is_tied",
        dtype=pa.bool_(),
        meaning="Whether the trial cannot be distinguished from the first in rank: the interval "
        "of `behind_pct` includes 0. True for the first itself. It compares these two runs, not "
        "their configs with other seeds: for that see `repeat_mean_pct` and `veer audit`. Null "
        "without an interval.",
    ),
    _number(
        "median_veer_pct",
        "Median VEER of the last five epochs, or of all where there are fewer. Unlike `veer_pct`, "
        "which is that of the luckiest epoch, it is not too low.",
        "%",
    ),
    _count("num_repeats", "Complete repeats of the config with other seeds; null without any."),
    _number("repeat_mean_pct", "Mean of `median_veer_pct` over these repeats.", "%"),
    _number(
        "repeat_sd_pct", "Standard deviation over these repeats; null for a single one.", "%"
    ),
    _text(
        "meets",
        "The hardest of the search's success criteria that `veer_pct` meets; null where it meets "
        "none, or the trial has no rank.",
    ),
    _count("best_epoch", "Epoch of `veer_pct`, from 1; the first of equal ones."),
    _number("last_veer_pct", "Validation EER after the last epoch.", "%"),
    _count("epochs", "Epochs reported.", "epochs"),
    _count("num_params", "Parameters of the network, without the training classifier."),
    _number(
        "speed_ratio",
        "Median latency of the teacher divided by that of this student, on a CPU, one utterance "
        "at a time, by the latest benchmark; null where it was not measured.",
    ),
    _number(
        "distill_share", "Share of weighted distillation in the loss at `best_epoch`, 0 to 1."
    ),
    _number("teacher_cosine", "Mean cosine of student and teacher embeddings at `best_epoch`."),
    Column(
        name="distill_has_no_effect",
        dtype=pa.bool_(),
        meaning="Whether distillation did nothing though the config has it: `distill_share` at "
        f"`best_epoch` is below {NO_EFFECT_SHARE:g}, or the trial is complete and "
        f"`teacher_cosine` after its last epoch is below {NO_EFFECT_COSINE:g} with a loss "
        f"that should raise it ({', '.join(sorted(DIRECTED))}, without stages). Null without "
        "distillation.",
    ),
    _count("seed", "Seed of the trial."),
    _text("config_hash", "Hash of the config without the parameters that have no effect."),
    _text(
        "model_hash",
        "Fingerprint of the network as built: classes, attributes, names and shapes of "
        "parameters. Null before a worker has built it.",
    ),
    _text("reason", "Why the trial ended in this state, where a reason is known."),
    _count(
        "retries",
        "How often the trial was run again after a fault that does not depend on its config: too "
        "little memory in its share, a process or node that died, a hang. A damaged checkpoint, "
        "after which the trial continued, does not count, nor does the fault that ended a failed "
        "trial.",
    ),
    _number("duration_s", "Training and validation time of all epochs, without set-up.", "s"),
    _count("num_samples", "Training crops of all epochs.", "crops"),
    _number("core_hours", "CPUs reserved for it times the time for which it had them.", "h"),
    _number("gpu_hours", "GPUs, or shares of them, times the time for which it had them.", "h"),
    _number("samples_per_s", "Training crops a second, over all epochs.", "1/s"),
    _number("peak_memory_mib", "Largest of all epochs; see the epochs table.", "MiB"),
    _number(
        "overhead_share",
        "Share of the training time outside forward, backward and optimizer, over all epochs, 0 "
        "to 1.",
    ),
    _number("eval_share", "Share of validation in `duration_s`, 0 to 1."),
)

EPOCH_COLUMNS: tuple[Column, ...] = (
    _count("trial", "Number of the trial."),
    _count("epoch", "Epoch, from 1."),
    _number("veer_pct", "Validation EER after the epoch.", "%"),
    _number(
        "veer_low_pct",
        "Lower end of its 95 % interval, by bootstrap over the validation speakers; null where an "
        "earlier epoch of the trial was as good.",
        "%",
    ),
    _number("veer_high_pct", "Its upper end.", "%"),
    _number("loss_total", "Mean training loss."),
    _number("loss_classification", "Mean classification loss, unweighted."),
    _number("loss_distillation", "Mean distillation loss, unweighted."),
    _number("loss_reconstruction", "Mean reconstruction loss, unweighted."),
    _numbers("loss_stages", "Mean loss of each student stage, unweighted, the embedding last."),
    _number("classification_share", "Share of weighted classification in the loss, 0 to 1."),
    _number("distill_share", "Share of weighted distillation in the loss, 0 to 1."),
    _number("reconstruction_share", "Share of weighted reconstruction in the loss, 0 to 1."),
    _numbers("stage_shares", "Share of each stage in the loss; their sum is `distill_share`."),
    _number("teacher_cosine", "Mean cosine of student and teacher embeddings; null if unknown."),
    _number("train_accuracy_pct", "Training crops whose speaker was classified correctly.", "%"),
    _number("lr", "Learning rate in the epoch."),
    _count("num_samples", "Training crops of the epoch.", "crops"),
    _number("samples_per_s", "Training crops a second.", "1/s"),
    _number("train_s", "Training time.", "s"),
    _number("eval_s", "Validation time.", "s"),
    _number(
        "peak_memory_mib",
        "Peak memory: on a GPU that of tensors; on the CPU that of the process without mapped "
        "files, sampled at the ends of forward passes. Null where it was not reported.",
        "MiB",
    ),
    _number(
        "overhead_share", "Share of `train_s` outside forward, backward and optimizer, 0 to 1."
    ),
    _count("num_params", "Parameters of the network, without the training classifier."),
    Column(
        name="time",
        dtype=pa.timestamp("ms", tz="UTC"),
        meaning="When the epoch was reported.",
    ),
)

PARAM_MEANING = "Sampled value; null where other values of the trial make it irrelevant."


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """Return the Arrow schema of the fixed columns of a table."""
    return pa.schema([column.field for column in columns])


def param_field(name: str, values: Sequence[object]) -> pa.Field:
    """Return the column of one sampled parameter; mixed types become text.

    Args:
        name: Dotted name in the config.
        values: Value of each trial, None where not sampled.
    """
    # By exact type: for isinstance a bool is also an int.
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        dtype = pa.bool_()
    elif kinds == {int}:
        dtype = pa.int64()
    elif kinds and kinds <= {int, float}:
        dtype = pa.float64()
    else:
        dtype = pa.string()
    return pa.field(PARAM_PREFIX + name, dtype, metadata={"unit": "", "meaning": PARAM_MEANING})
