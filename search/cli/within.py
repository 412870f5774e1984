"""The choice of a trial by `--at-latency` and the like."""

from __future__ import annotations

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
        ConfigError: Both are given.
        RunError: No trial is within, or none of them has a checkpoint.
    """
    from results.analysis.run_view import RunView
    from results.export.within import OPTIONS, better_in_words, choose_within

    if not most:
        return trial
    if trial is not None:
        given = ", ".join(OPTIONS[goal] for goal in most)
        raise ConfigError(f"--trial names the trial, so omit it or {given}")
    chosen = choose_within(RunView.read(run), most)
    if (words := better_in_words(chosen)) is not None:
        console.print(words, highlight=False, soft_wrap=True)
    return chosen.trial.trial
