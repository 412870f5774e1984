"""Columns of the tables: name, type, unit, meaning.

`python -m results.tables.schema` writes them to docs/tables.md; a test compares the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from results.tables.queries_page import queries_section
from spaces.files.atomic import write_text_atomically
from trainable.loss.distillation import DIRECTED

PARAM_PREFIX = "param."
NO_EFFECT_SHARE = 0.01
NO_EFFECT_COSINE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table; the unit is empty for plain numbers and text."""

    name: str
    dtype: pa.DataType
    unit: str = ""
    meaning: str

    @property
    def field(self) -> pa.Field:
        """The column as Arrow keeps it, unit and meaning in its metadata."""
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
        "Place, 1 the best: trials whose config was repeated with other seeds first, by "
        "`repeat_mean_pct`, then the others by `veer_pct`; null for failed and diverged trials, "
        "and for follow-ups.",
    ),
    _count("trial", "Number of the trial, from 0; null where `same_as` names another's run."),
    _count(
        "same_as",
        "Trial whose run this row shares: its suggestion means the same config by other values, "
        "and was not run again. The figures are that trial's; null for a trial.",
    ),
    _text(
        "follow_up",
        "Why the search ran this trial after its own: `repeat`, a finalist's config with another "
        "seed; `control`, a stopped trial once more, to its last epoch. Null for its own trials.",
    ),
    _count("follows", "Trial whose config a follow-up has; null for the search's own trials."),
    _text("state", "`complete`, `stopped_early`, `failed`, `diverged`; `running` without an end."),
    _number("veer_pct", "Lowest validation EER over the trial's epochs.", "%"),
    _number(
        "veer_low_pct",
        "Lower end of the 95 % interval of `veer_pct`, by bootstrap over the validation speakers; "
        "null where the list has too few speakers or errors to tell, and in journals of before it "
        "was measured.",
        "%",
    ),
    _number("veer_high_pct", "Its upper end.", "%"),
    _number(
        "behind_pct",
        "`veer_pct` minus that of the first in rank, maybe below 0 where repeats rank a trial "
        "first; null where either has no scores kept.",
        "%",
    ),
    _number(
        "behind_low_pct",
        "Lower end of the 95 % interval of `behind_pct`, both trials on the same replicates.",
        "%",
    ),
    _number("behind_high_pct", "Its upper end.", "%"),
    Column(
        name="is_tied",
        dtype=pa.bool_(),
        meaning="Whether the trial cannot be told apart from the first in rank: the interval of "
        "`behind_pct` has 0 in it, as that of the first itself. Of these two runs, not of their "
        "configs with other seeds: see `repeat_mean_pct` and `veer audit`. Null without an "
        "interval.",
    ),
    _number(
        "median_veer_pct",
        "Median VEER of the last five epochs, or of all where there are fewer. `veer_pct` is the "
        "luckiest epoch's and so too low; this one is not.",
        "%",
    ),
    _count("num_repeats", "Complete repeats of the config with other seeds; null without any."),
    _number("repeat_mean_pct", "Mean of `median_veer_pct` over these repeats.", "%"),
    _number(
        "repeat_sd_pct", "Its standard deviation over these repeats; null for one of them.", "%"
    ),
    _text(
        "meets",
        "The hardest of the search's success criteria whose VEER `veer_pct` does not exceed; null "
        "where it meets none, or has no rank.",
    ),
    _count("best_epoch", "Epoch of `veer_pct`, from 1; the first of equals."),
    _number("last_veer_pct", "Validation EER after the last epoch.", "%"),
    _count("epochs", "Epochs reported.", "epochs"),
    _count("num_params", "Parameters of the network, without the training classifier."),
    _number(
        "speed_ratio",
        "The teacher's median latency on a CPU over this student's, one utterance at a time, by "
        "the latest benchmark; null where none measured it.",
    ),
    _number("distill_share", "Weighted distillation's part of the loss, 0 to 1, at `best_epoch`."),
    _number("teacher_cosine", "Mean cosine of student and teacher embeddings at `best_epoch`."),
    Column(
        name="distill_has_no_effect",
        dtype=pa.bool_(),
        meaning="Distillation was asked for, but `distill_share` at `best_epoch` is below "
        f"{NO_EFFECT_SHARE:g}, or the trial is complete and `teacher_cosine` after its last epoch "
        f"is below {NO_EFFECT_COSINE:g} with a loss that should raise it "
        f"({', '.join(sorted(DIRECTED))}, without stages); null where none was asked for.",
    ),
    _count("seed", "Seed of the trial."),
    _text("config_hash", "Hash of the config without the parameters that have no effect."),
    _text(
        "model_hash",
        "Fingerprint of the network as it was built: classes, attributes, names and shapes of "
        "parameters. Null before a worker has built it.",
    ),
    _text("reason", "Why the trial ended as it did, where there is more to say."),
    _count(
        "retries",
        "Times that it was run again after a fault that says nothing of its config: too little "
        "memory in its share, a process or node that died, a hang. Neither a damaged checkpoint "
        "counts, after which it went on, nor the fault that ended a failed trial.",
    ),
    _number("duration_s", "Training and validation time of all epochs, without set-up.", "s"),
    _count("num_samples", "Training crops of all epochs.", "crops"),
    _number("core_hours", "CPUs that it was given times the time that it had them.", "h"),
    _number("gpu_hours", "Likewise of GPUs.", "h"),
    _number("samples_per_s", "Training crops a second, over all epochs.", "1/s"),
    _number("peak_memory_mib", "Most memory of any epoch; see `epochs`.", "MiB"),
    _number(
        "overhead_share",
        "Part of the training time outside forward, backward and optimizer, 0 to 1, all epochs.",
    ),
    _number("eval_share", "Validation's part of `duration_s`, 0 to 1."),
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
    _number("classification_share", "Weighted classification's part of the loss, 0 to 1."),
    _number("distill_share", "Weighted distillation's part of the loss, 0 to 1."),
    _number("reconstruction_share", "Weighted reconstruction's part of the loss, 0 to 1."),
    _numbers("stage_shares", "Each stage's part of the loss; `distill_share` in all."),
    _number("teacher_cosine", "Mean cosine of student and teacher embeddings, if there is one."),
    _number("train_accuracy_pct", "Training crops whose speaker was classified right.", "%"),
    _number("lr", "Learning rate in the epoch."),
    _count("num_samples", "Training crops of the epoch.", "crops"),
    _number("samples_per_s", "Training crops a second.", "1/s"),
    _number("train_s", "Training time.", "s"),
    _number("eval_s", "Validation time.", "s"),
    _number(
        "peak_memory_mib",
        "Most memory: on a GPU that of tensors, on the CPU the process's own, without mapped "
        "files, at the ends of forward passes. Null where it was not told.",
        "MiB",
    ),
    _number(
        "overhead_share", "Part of `train_s` outside forward, backward and optimizer, 0 to 1."
    ),
    _count("num_params", "Parameters of the network, without the training classifier."),
    Column(
        name="time",
        dtype=pa.timestamp("ms", tz="UTC"),
        meaning="When the epoch was reported.",
    ),
)

PARAM_MEANING = "Sampled value; null where the trial's other values made it meaningless."


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The Arrow schema of a table's fixed columns."""
    return pa.schema([column.field for column in columns])


def param_field(name: str, values: Sequence[object]) -> pa.Field:
    """The column of one sampled parameter; mixed types become text.

    Args:
        name: Dotted name in the config.
        values: The trials' values, None where not sampled.
    """
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


def tables_page() -> str:
    """The page docs/tables.md."""
    return "\n".join(
        [
            "# Tables of a run",
            "",
            "Written by `python -m results.tables.schema`: change columns there, queries in",
            "their files.",
            "A run folder holds both tables as Parquet, unit and meaning in each field's",
            "metadata. They are rebuilt from `journal.jsonl`; an epoch reported twice (a worker",
            "died) counts once, the last time.",
            "",
            "## trials.parquet: a row a trial",
            "",
            *_markdown(TRIAL_COLUMNS),
            f"| `{PARAM_PREFIX}NAME` | by values | | One column a sampled parameter, such as "
            f"`{PARAM_PREFIX}loss.alpha`. {PARAM_MEANING} |",
            "",
            "## epochs.parquet: a row a trial and epoch",
            "",
            *_markdown(EPOCH_COLUMNS),
            "",
            *queries_section(),
        ]
    )


def _markdown(columns: Sequence[Column]) -> list[str]:
    rows = ["| Column | Type | Unit | Meaning |", "|---|---|---|---|"]
    for column in columns:
        rows.append(f"| `{column.name}` | {column.dtype} | {column.unit} | {column.meaning} |")
    return rows


if __name__ == "__main__":
    write_text_atomically(Path(__file__).parents[2] / "docs" / "tables.md", tables_page())
