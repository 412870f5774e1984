"""The facts about one trial in words, from its row of the trials table."""

from collections.abc import Mapping, Sequence
from typing import Any

from results.analysis.faults import MOST_TRIALS_NAMED
from results.tables.schema import PARAM_PREFIX
from results.terminal.cells import STATE_LABELS, cell
from results.terminal.listing import NO_EFFECT_MEANS

TrialRow = Mapping[str, Any]


def trial_facts(row: TrialRow) -> dict[str, str]:
    """Return the facts about a trial by their labels; unknown ones are left out."""
    facts = {
        "state": STATE_LABELS.get(row["state"], row["state"]),
        "rank": _known("rank", row),
        "VEER": veer_words(row),
        "behind the best": behind_words(row),
        "after the last epoch": percent(row["last_veer_pct"]),
        "median of the last five epochs": percent(row["median_veer_pct"]),
        "repeats": repeat_words(row),
        "follow-up": follow_up_words(row),
        "meets": row["meets"],
        "epochs": _known("epochs", row),
        "parameters": _known("num_params", row),
        "speed": speed_words(row),
        "distillation's share": _known("distill_share", row),
        "teacher cosine": _known("teacher_cosine", row),
        "remark": NO_EFFECT_MEANS if row["distill_has_no_effect"] else None,
        "reason": row["reason"],
        "retries": _known("retries", row) if row["retries"] else None,
        "cost": cost_words(row),
        "seed": _known("seed", row),
        "config": row["config_hash"],
    }
    return {name: text for name, text in facts.items() if text is not None}


def sampled_facts(row: TrialRow) -> dict[str, str]:
    """Return the sampled values of a trial as text, by dotted name."""
    return {
        name.removeprefix(PARAM_PREFIX): cell(name, value)
        for name, value in row.items()
        if name.startswith(PARAM_PREFIX) and value is not None
    }


def percent(value: float | None) -> str | None:
    """Return a VEER in percent as text."""
    return None if value is None else f"{value:.2f} %"


def interval(row: TrialRow, name: str) -> str | None:
    """Return the 95 % interval of a column in percent, `4.90 to 6.31 %`, None where unknown.

    Args:
        row: Row of the trials table.
        name: Name of the column without `_pct`.
    """
    low, high = row[f"{name}_low_pct"], row[f"{name}_high_pct"]
    return None if low is None or high is None else f"{low:.2f} to {high:.2f} %"


def veer_words(row: TrialRow) -> str | None:
    """Return the lowest VEER with its interval and epoch."""
    if row["veer_pct"] is None:
        return None
    return f"{percent(row['veer_pct'])}, {spread_words(row)}"


def spread_words(row: TrialRow) -> str:
    """Return the interval and the epoch of the lowest VEER."""
    spread = interval(row, "veer")
    known = f"95 % interval {spread}, " if spread else ""
    return f"{known}after epoch {row['best_epoch']} of {row['epochs']}"


def behind_words(row: TrialRow) -> str | None:
    """Return the difference to the first in rank with its interval; None for the first itself.

    In percentage points of VEER, with the same bootstrap replicates for both trials.
    """
    spread = interval(row, "behind")
    if row["behind_pct"] is None or spread is None or row["rank"] == 1:
        return None
    # The interval without its percent sign: a difference of VEERs is in percentage points.
    tie = ": cannot be distinguished" if row["is_tied"] else ""
    return f"{row['behind_pct']:+.2f} points (95 % interval {spread[:-2]}){tie}"


def repeat_words(row: TrialRow) -> str | None:
    """Return mean and standard deviation over the repeats of its config with other seeds."""
    mean_pct, count = row["repeat_mean_pct"], row["num_repeats"]
    if mean_pct is None or not count:
        return None
    spread = "" if row["repeat_sd_pct"] is None else f" ± {row['repeat_sd_pct']:.2f}"
    return f"{mean_pct:.2f}{spread} % over {count} {'seed' if count == 1 else 'seeds'}"


def follow_up_words(row: TrialRow) -> str | None:
    """Return why the search ran it after its own trials; None for the search's own."""
    kinds = {"repeat": "repeat with another seed", "control": "control, run to the end"}
    kind = row["follow_up"]
    return None if kind is None else f"{kinds.get(kind, kind)}, of trial {row['follows']}"


def speed_words(row: TrialRow) -> str | None:
    """Return the speed relative to the teacher."""
    ratio = row["speed_ratio"]
    return None if ratio is None else f"{ratio:.2f} x the teacher's, one utterance at a time"


def cost_words(row: TrialRow) -> str | None:
    """Return the duration, the CPUs and GPUs used, and the number of training crops."""
    units = {"core_hours": "core-hours", "gpu_hours": "GPU-hours"}
    costs = [f"{row[name]:.3g} {unit}" for name, unit in units.items() if row[name]]
    if row["duration_s"]:
        costs.insert(0, f"{row['duration_s']:,.0f} s")
    if row["num_samples"]:
        costs.append(f"{row['num_samples']:,} training crops")
    return ", ".join(costs) or None


def tie_words(rows: Sequence[TrialRow]) -> str | None:
    """Return which trials cannot be distinguished from the first in rank; None where unknown."""
    others = [row for row in rows if row["trial"] is not None and row["rank"] not in (None, 1)]
    if all(row["is_tied"] is None for row in others):
        return None
    tied = [str(row["trial"]) for row in others if row["is_tied"]]
    if not tied:
        return "none: it is ahead of every other trial with saved scores"
    more = len(tied) - MOST_TRIALS_NAMED
    named = ", ".join(tied[:MOST_TRIALS_NAMED]) + f" and {more} more" * (more > 0)
    return f"trial{'s' * (len(tied) > 1)} {named}"


def _known(name: str, row: TrialRow) -> str | None:
    """Return the value of a column as text, None where it is unknown."""
    return None if row[name] is None else cell(name, row[name])
