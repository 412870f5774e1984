"""One trial in the terminal: its facts, where it ran, its config, its epochs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from rich.console import Group, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from results.analysis.faults import incidents, utc
from results.analysis.run_view import RunView
from results.journal.history import TrialHistory
from results.tables.query import where
from results.tables.schema import EPOCH_COLUMNS
from results.tables.trials import epochs_table, trials_table
from results.terminal.cells import NOTE_STYLE, cell, fold_constant, in_words, plain_columns
from results.terminal.facts import sampled_facts, trial_facts
from results.terminal.grid import fitted, grid_or_blocks, pairs_view
from results.terminal.sparklines import sparkline
from results.terminal.trials import left_out_line
from spaces.files.errors import RunError
from spaces.files.visible import visible
from spaces.files.yaml_file import yaml_text
from trainable.report.epoch_report import METRICS

# Columns left out on a narrow screen, the first one first.
SPARE_EPOCH_COLUMNS = (
    *sorted(
        (name for name in METRICS if METRICS[name].spare), key=lambda name: METRICS[name].spare
    ),
    "lr", "teacher_cosine", "distill_share", "loss_total", "veer_high_pct", "veer_low_pct",
)  # fmt: skip
# Label and unit of further facts, by column of the trials table.
EFFORT = {
    "samples_per_s": ("training crops a second", ""),
    "peak_memory_mib": ("peak memory", " MiB"),
    "overhead_share": ("share of training time outside the steps", ""),
    "eval_share": ("share of time for validation", ""),
    "model_hash": ("model", ""),
}
FACT_STYLES = {"VEER": "bold", "remark": NOTE_STYLE, "reason": NOTE_STYLE}
HIDDEN_EPOCH_COLUMNS = frozenset({"trial", "time", "num_params"})


def find_trial(trials: Sequence[TrialHistory], number: int) -> TrialHistory:
    """Return the trial with a number.

    Raises:
        RunError: The run has no such trial.
    """
    for trial in trials:
        if trial.trial == number:
            return trial
    if not trials:
        raise RunError(f"the run has no trial {number}: none has started yet")
    raise RunError(
        f"the run has no trial {number}; its trials are {trials[0].trial} to {trials[-1].trial}"
    )


def trial_view(
    view: RunView,
    trial: TrialHistory,
    width: int | None = None,
    *,
    has_all_columns: bool = False,
) -> RenderableType:
    """Return the facts about a trial, its config as YAML, and its epochs.

    Args:
        view: The run.
        trial: One of its trials.
        width: Characters of the screen; the least important columns of the epochs are left out
            to fit it.
        has_all_columns: Whether none is left out: a screen too narrow for all shows each epoch as
            a block of lines.
    """
    row = where(trials_table(view), f"trial={trial.trial}").to_pylist()[0]
    epochs = where(epochs_table(view), f"trial={trial.trial}")
    parts: list[RenderableType] = [_facts(row, width)]
    if trial.placements or trial.faults:
        parts += [Text("\nWhere it ran (UTC)", style="bold"), _incidents(trial)]
    parts += [Text("\nConfig", style="bold"), _config(trial.started.config)]
    if epochs.num_rows:
        parts += [Text("\nEpochs", style="bold"), *_epochs(epochs, width, has_all_columns)]
    return Group(*parts)


def _facts(row: Mapping[str, Any], width: int | None) -> Table:
    facts = {"trial": cell("trial", row["trial"]), **trial_facts(row)}
    facts |= {
        words: f"{cell(name, row[name])}{unit}"
        for name, (words, unit) in EFFORT.items()
        if row[name] is not None
    }
    facts |= sampled_facts(row)
    pairs = {visible(name): visible(text) for name, text in facts.items()}
    return pairs_view(pairs, width, FACT_STYLES)


def _incidents(trial: TrialHistory) -> Table:
    view = Table.grid(padding=(0, 2))
    for each in incidents(trial):
        style = NOTE_STYLE if each.is_fault else ""
        view.add_row(utc(each.time_s), Text(each.what, style), Text(each.text))
    return view


def _config(config: Mapping[str, Any]) -> Syntax:
    return Syntax(yaml_text(config).rstrip(), "yaml", background_color="default")


def _epochs(
    epochs: pa.Table, width: int | None, has_all_columns: bool
) -> list[RenderableType]:
    rows = epochs.to_pylist()
    names = [column.name for column in EPOCH_COLUMNS if column.name not in HIDDEN_EPOCH_COLUMNS]
    known = [name for name in names if any(row[name] is not None for row in rows)]
    shown, constant = fold_constant(rows, known)
    columns = plain_columns(rows, shown)
    kept, left_out = fitted(columns, () if has_all_columns else SPARE_EPOCH_COLUMNS, width)
    remarks = [f"in every epoch: {in_words(constant)}"] if constant else []
    if left_out:
        remarks.append(left_out_line(len(left_out), "veer show"))
    parts = [grid_or_blocks(kept, width=width), *(Text(line, "dim") for line in remarks)]
    curve = [row["veer_pct"] for row in rows]
    present = [veer for veer in curve if veer is not None]
    if not present:
        return parts
    bounds = f"  {min(present):.2f} to {max(present):.2f} %"
    return [Text(f"VEER {sparkline(curve)}{bounds}"), *parts]
