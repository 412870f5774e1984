"""The trials and epochs tables of a run, built from its journal."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from results.analysis.form_front import read_form_rows
from results.analysis.front import cost_of
from results.analysis.ranking import Repeats
from results.analysis.remarks import hardest_met
from results.analysis.run_view import RunView, once_a_view
from results.journal.decision import BY_VEER
from results.journal.history import TrialHistory
from results.records.trial_records import EpochEnded
from results.tables.formats import format_table
from results.tables.forms import forms_table
from results.tables.front import front_summary
from results.tables.schema import (
    EPOCH_COLUMNS,
    TRIAL_COLUMNS,
    arrow_schema,
    param_field,
)
from results.tables.trial_row import NO_EFFECT_COSINE, NO_EFFECT_SHARE, TrialRow
from spaces.files.atomic import write_bytes_atomically
from spaces.files.errors import RunError
from trainable.loss.directed import DIRECTED
from trainable.verification.intervals import EERDifference

# Those of the best epoch, as the epochs table has them.
BEST_COLUMNS = ("veer_pct", "veer_low_pct", "veer_high_pct", "distill_share", "teacher_cosine")
COST_COLUMNS = ("num_samples", "core_hours", "gpu_hours")


@once_a_view
def trials_table(view: RunView) -> pa.Table:
    """Return the trials table: `schema.TRIAL_COLUMNS`, then the columns `param.NAME`.

    One row for each trial, in the order of the ranks, unranked trials last. A suggestion with
    other values but the config of an earlier trial has a row after that trial's, with the same
    results. Parameters are in the order in which they were first sampled.
    """
    ranks = {trial.trial: rank for rank, trial in enumerate(view.ranked, start=1)}
    front = {trial.trial for trial in view.front}
    unranked = [trial for trial in view.histories if trial.trial not in ranks]
    rows, params = list[dict[str, Any]](), list[dict[str, Any]]()
    for trial in (*view.ranked, *unranked):
        row = {"rank": ranks.get(trial.trial), **_trial_row(trial)}
        if view.decide_by != BY_VEER:
            row["decision_pct"] = trial.best_decision_pct
        row |= _goal_columns(trial)
        row |= _repeat_columns(view.repeats.get(trial.trial))
        row["speed_ratio"] = view.speed_ratios.get(trial.trial)
        row |= {name: getattr(view.costs[trial.trial], name) for name in COST_COLUMNS}
        if trial.trial in ranks:
            row["on_front"] = trial.trial in front if view.front else None
            row["meets"] = hardest_met(row["veer_pct"], view.success)
            row |= _behind(view.run_scores.behind(trial, view.ranked[0]))
        rows.append(row)
        params.append(trial.params)
        for other in view.repetitions.get(trial.trial, ()):
            rows.append(row | {"trial": None, "same_as": trial.trial})
            params.append(other.params)
    checked = [TrialRow(**row).model_dump() for row in rows]
    table = pa.Table.from_pylist(checked, schema=arrow_schema(TRIAL_COLUMNS))
    return _with_params(table, view.sampled_names, params)


@once_a_view
def epochs_table(view: RunView) -> pa.Table:
    """Return the epochs table, by trial and epoch; see `schema.EPOCH_COLUMNS`."""
    rows = [
        {**vars(record), "time": round(1000 * record.time_s)}  # the column has milliseconds
        for trial in view.histories
        for record in trial.in_order
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(EPOCH_COLUMNS))


def write_tables(view: RunView) -> None:
    """Write trials.parquet and epochs.parquet of a run, each in one step.

    With several goals also front.json, and forms.parquet where forms were measured.

    Raises:
        DiskFullError: There is no room; the earlier files are kept.
    """
    folder = view.folder
    for table, path in (
        (trials_table(view), folder.trials_table),
        (epochs_table(view), folder.epochs_table),
    ):
        write_bytes_atomically(path, format_table(table, "parquet"))
    if (front := front_summary(view)) is not None:
        write_bytes_atomically(folder.front, (json.dumps(front, indent=2) + "\n").encode())
    try:
        rows = read_form_rows(folder.path)
    except RunError:  # said where the forms are shown; the trials do not depend on it
        return
    if rows:
        write_bytes_atomically(folder.forms_table, format_table(forms_table(rows), "parquet"))


def distill_has_no_effect(trial: TrialHistory) -> bool | None:
    """Return whether distillation did nothing; None without distillation or before an epoch.

    Either its share of the loss at the best epoch is below `NO_EFFECT_SHARE` (in version 1 of Veer
    it was 0.00008), or the loss should turn the student's embeddings towards the teacher's but in
    a complete trial the cosine after the last epoch is below `NO_EFFECT_COSINE` (0 means right
    angles). The cosine rises slowly, so a trial that was stopped early is judged only by the
    share, and so is one that also learns from the teacher's stages.
    """
    loss = trial.loss
    kind, stages = loss["distillation"], loss.get("stages", "none")
    if kind == "none" or trial.best is None or trial.last is None:
        return None
    share = trial.best.distill_share
    is_directed = kind in DIRECTED and stages == "none"
    cosine = trial.last.teacher_cosine if is_directed else None
    return (share is not None and share < NO_EFFECT_SHARE) or (
        trial.state == "complete" and cosine is not None and cosine < NO_EFFECT_COSINE
    )


def _trial_row(trial: TrialHistory) -> dict[str, Any]:
    best, last = trial.best, trial.last
    of_best = {} if best is None else {name: getattr(best, name) for name in BEST_COLUMNS}
    return {
        **of_best,
        "trial": trial.trial,
        "follow_up": trial.follow_up,
        "follows": trial.follows,
        "state": trial.state,
        "best_epoch": None if best is None else best.epoch,
        "last_veer_pct": None if last is None else last.veer_pct,
        "median_veer_pct": trial.median_veer_pct,
        "epochs": len(trial.epochs),
        "num_params": None if last is None else last.num_params,
        "distill_has_no_effect": distill_has_no_effect(trial),
        "seed": trial.started.seed,
        "config_hash": trial.started.config_hash,
        "model_hash": trial.model_hash,
        "reason": None if trial.ended is None else trial.ended.reason,
        "retries": len(trial.retries),
        **_effort(trial.in_order),
    }


def _goal_columns(trial: TrialHistory) -> dict[str, float | None]:
    macs = cost_of(trial, "macs")
    return {
        "cpu_latency": cost_of(trial, "cpu_latency"),
        "macs": None if macs is None else round(macs),
    }


def _repeat_columns(repeats: Repeats | None) -> dict[str, float | None]:
    if repeats is None:
        return {}
    return {
        "num_repeats": len(repeats.veer_pct),
        "repeat_mean_pct": repeats.mean_pct,
        "repeat_sd_pct": repeats.sd_pct,
    }


def _behind(difference: EERDifference | None) -> dict[str, Any]:
    """Return the columns of the comparison with the first in rank; none without scores."""
    if difference is None:
        return {}
    interval = difference.interval
    return {
        "behind_pct": difference.behind_pct,
        "behind_low_pct": None if interval is None else interval.low_pct,
        "behind_high_pct": None if interval is None else interval.high_pct,
        "is_tied": difference.is_tied,
    }


def _effort(epochs: Sequence[EpochEnded]) -> dict[str, float | None]:
    """Return the columns of time and memory; None for what the epochs did not report."""
    train_s = sum(epoch.train_s or 0.0 for epoch in epochs)
    eval_s = sum(epoch.eval_s or 0.0 for epoch in epochs)
    peaks = [epoch.peak_memory_mib for epoch in epochs if epoch.peak_memory_mib]
    return {
        "duration_s": train_s + eval_s,
        "samples_per_s": _mean_over_time(epochs, "samples_per_s"),
        "peak_memory_mib": max(peaks, default=None),
        "overhead_share": _mean_over_time(epochs, "overhead_share"),
        "eval_share": eval_s / (train_s + eval_s) if eval_s else None,
    }


def _mean_over_time(epochs: Sequence[EpochEnded], name: str) -> float | None:
    """Return the mean of a field, weighted by training time, of the epochs that have it."""
    # Weighted by time, the mean of samples per second is the total of samples by that of seconds.
    pairs = ((getattr(epoch, name), epoch.train_s) for epoch in epochs)
    known = [(value, train_s) for value, train_s in pairs if value is not None and train_s]
    total_s = sum(train_s for _, train_s in known)
    return sum(value * train_s for value, train_s in known) / total_s if known else None


def _with_params(
    table: pa.Table, names: Sequence[str], params: Sequence[dict[str, Any]]
) -> pa.Table:
    """Add a column for every sampled parameter."""
    for name in names:
        values = [sampled.get(name) for sampled in params]
        column = param_field(name, values)
        # A parameter may have values of several types, but an Arrow column has one: text.
        if pa.types.is_string(column.type):
            values = [None if value is None else str(value) for value in values]
        table = table.append_column(column, pa.array(values, type=column.type))
    return table
