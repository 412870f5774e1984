"""What is worth saying of one trial, in words, from its row of the trials table."""

from collections.abc import Mapping, Sequence
from typing import Any

from results.analysis.faults import MOST_TRIALS_NAMED
from results.tables.schema import PARAM_PREFIX
from results.terminal.cells import STATE_LABELS, cell
from results.terminal.listing import NO_EFFECT_MEANS

TrialRow = Mapping[str, Any]


def trial_facts(row: TrialRow) -> dict[str, str]:
    """Figures of a trial by what they are called; what is unknown is left out."""
    facts = {
        "state": STATE_LABELS.get(row["state"], row["state"]),
        "rank": _plain("rank", row),
        "VEER": veer_words(row),
        "behind the best": behind_words(row),
        "after the last epoch": percent(row["last_veer_pct"]),
        "median of the last five epochs": percent(row["median_veer_pct"]),
        "repeats": repeat_words(row),
        "follow-up": follow_up_words(row),
        "meets": row["meets"],
        "epochs": _plain("epochs", row),
        "parameters": _plain("num_params", row),
        "speed": speed_words(row),
        "distillation's share": _plain("distill_share", row),
        "teacher cosine": _plain("teacher_cosine", row),
        "remark": NO_EFFECT_MEANS if row["distill_has_no_effect"] else None,
        "reason": row["reason"],
        "retries": _plain("retries", row) if row["retries"] else None,
        "cost": cost_words(row),
        "seed": _plain("seed", row),
        "config": row["config_hash"],
    }
    return {name: text for name, text in facts.items() if text is not None}


def sampled_facts(row: TrialRow) -> dict[str, str]:
    """The sampled values of a trial, by dotted name."""
    return {
        name.removeprefix(PARAM_PREFIX): cell(name, value)
        for name, value in row.items()
        if name.startswith(PARAM_PREFIX) and value is not None
    }


def percent(value: float | None) -> str | None:
    """A VEER in words."""
    return None if value is None else f"{value:.2f} %"


def interval(row: TrialRow, name: str) -> str | None:
    """The 95 % interval of a column in percent, `4.90 to 6.31 %`, where it is known."""
    low, high = row[f"{name}_low_pct"], row[f"{name}_high_pct"]
    return None if low is None or high is None else f"{low:.2f} to {high:.2f} %"


def veer_words(row: TrialRow) -> str | None:
    """The lowest VEER with interval and epoch."""
    if row["veer_pct"] is None:
        return None
    return f"{percent(row['veer_pct'])}, {spread_words(row)}"


def spread_words(row: TrialRow) -> str:
    """What is to be known about the lowest VEER: its interval and epoch."""
    spread = interval(row, "veer")
    known = f"95 % interval {spread}, " if spread else ""
    return f"{known}after epoch {row['best_epoch']} of {row['epochs']}"


def behind_words(row: TrialRow) -> str | None:
    """How far it is behind the first in rank, and whether that can be told; nothing of the first.

    The difference is in percentage points of VEER, both trials on the same replicates.
    """
    spread = interval(row, "behind")
    if row["behind_pct"] is None or spread is None or row["rank"] == 1:
        return None
    verdict = ": cannot be distinguished" if row["is_tied"] else ""
    return f"{row['behind_pct']:+.2f} points (95 % interval {spread[:-2]}){verdict}"


def repeat_words(row: TrialRow) -> str | None:
    """Mean and spread over the repeats of its config with other seeds."""
    mean_pct, count = row["repeat_mean_pct"], row["num_repeats"]
    if mean_pct is None or not count:
        return None
    spread = "" if row["repeat_sd_pct"] is None else f" ± {row['repeat_sd_pct']:.2f}"
    return f"{mean_pct:.2f}{spread} % over {count} {'seed' if count == 1 else 'seeds'}"


def follow_up_words(row: TrialRow) -> str | None:
    """Why the search ran it after its own trials."""
    what = {"repeat": "repeat with another seed", "control": "control, run to the end"}
    kind = row["follow_up"]
    return None if kind is None else f"{what.get(kind, kind)}, of trial {row['follows']}"


def speed_words(row: TrialRow) -> str | None:
    """How many times as fast as the teacher it is."""
    ratio = row["speed_ratio"]
    return None if ratio is None else f"{ratio:.2f} x the teacher's, one utterance at a time"


def cost_words(row: TrialRow) -> str | None:
    """Time, and what was occupied meanwhile."""
    told = {"core_hours": "core-hours", "gpu_hours": "GPU-hours"}
    costs = [f"{row[name]:.3g} {unit}" for name, unit in told.items() if row[name]]
    if row["duration_s"]:
        costs.insert(0, f"{row['duration_s']:,.0f} s")
    if row["num_samples"]:
        costs.append(f"{row['num_samples']:,} training crops")
    return ", ".join(costs) or None


def tie_words(rows: Sequence[TrialRow]) -> str | None:
    """Which trials cannot be distinguished from the first in rank; None where that is unknown."""
    others = [row for row in rows if row["trial"] is not None and row["rank"] not in (None, 1)]
    if all(row["is_tied"] is None for row in others):
        return None
    tied = [str(row["trial"]) for row in others if row["is_tied"]]
    if not tied:
        return "none: it is ahead of every other trial that has its scores kept"
    more = len(tied) - MOST_TRIALS_NAMED
    named = ", ".join(tied[:MOST_TRIALS_NAMED]) + f" and {more} more" * (more > 0)
    return f"trial{'s' * (len(tied) > 1)} {named}"


def _plain(name: str, row: TrialRow) -> str | None:
    return None if row[name] is None else cell(name, row[name])
