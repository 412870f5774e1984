"""The choice of a trial by `--at-latency` and the like."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from search.cli.console import console
from spaces.files.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from results.journal.goals import Goal


def within_costs(run: Path, most: Mapping[Goal, float], trial: int | None) -> int | None:
    """Return the trial that is best within costs; the given one where there are no costs.

    Raises:
        ConfigError: Both are given, or a cost is no number above 0.
        RunError: No trial is within, or none of them has a checkpoint.
    """
    from results.analysis.run_view import RunView
    from results.export.within import (
        OPTIONS,
        better_in_words,
        choose_within,
        chosen_in_words,
    )

    if not most:
        return trial
    if trial is not None:
        given = ", ".join(OPTIONS[goal] for goal in most)
        raise ConfigError(f"--trial names the trial, so omit it or {given}")
    for goal, limit in most.items():
        if not (math.isfinite(limit) and limit > 0):
            raise ConfigError(f"{OPTIONS[goal]} must be a number above 0, got {limit}")
    chosen = choose_within(RunView.read(run), most)
    console.print(chosen_in_words(chosen, most), highlight=False, soft_wrap=True)
    if (words := better_in_words(chosen)) is not None:
        console.print(words, highlight=False, soft_wrap=True)
    return chosen.trial.trial
