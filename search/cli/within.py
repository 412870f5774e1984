"""The choice of a trial by `--at-latency` and the like."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING

from search.cli.console import console
from spaces.files.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from results.journal.goals import Goal

EXAMPLES = {"cpu_latency": "0.4", "params": "500000", "macs": "1e7"}


def within_costs(run: Path, given: Mapping[Goal, str], trial: int | None) -> int | None:
    """Return the trial that is best within costs; the given one where there are no costs.

    Args:
        run: Run folder.
        given: The highest cost by goal, as it was typed.
        trial: The trial of `--trial`.

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

    if not given:
        return trial
    if trial is not None:
        options = ", ".join(OPTIONS[goal] for goal in given)
        raise ConfigError(f"--trial names the trial, so omit it or {options}")
    most = {goal: _cost(text, OPTIONS[goal], EXAMPLES[goal]) for goal, text in given.items()}
    chosen = choose_within(RunView.read(run), most)
    console.print(chosen_in_words(chosen, most), highlight=False, soft_wrap=True)
    if (words := better_in_words(chosen)) is not None:
        console.print(words, highlight=False, soft_wrap=True)
    return chosen.trial.trial


def _cost(text: str, option: str, example: str) -> float:
    with suppress(ValueError):
        cost = float(text)
        if math.isfinite(cost) and cost > 0:
            return cost
    raise ConfigError(f"{option} must be a number above 0, such as {example}, got {text!r}")
