"""`veer presets`: the bundled trial configs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search.cli.console import console, table_of

if TYPE_CHECKING:
    from trainable.config.trial_config import TrialConfig


def presets() -> None:
    """List the presets: approaches and ablations (see docs/spaces.md), then the teachers.

    Train a student with `veer train --preset NAME`, a teacher with `veer teacher train NAME`. Two
    presets with the same config are one run in a search.
    """
    from trainable.config.reading import STUDENTS, bundled_configs

    teachers = [name for name in bundled_configs() if name not in STUDENTS]
    rows = [_row(name) for name in (*STUDENTS, *teachers)]
    headings = ("preset", "parameters", "loss", "alpha", "what it is")
    console.print(table_of(headings, rows, texts=(0, 2, 4)), highlight=False)


def _row(name: str) -> tuple[str, ...]:
    from models import build_model, count_parameters
    from models.shapes_only import META, building_on
    from trainable.config.reading import read_trial_config, summary_of

    trial = read_trial_config(name)
    with building_on(META):
        num_params = count_parameters(build_model(trial.model))
    alpha = f"{trial.loss.alpha:g}" if trial.loss.distill_weight else "-"
    return name, f"{num_params:,}", _loss(trial), alpha, summary_of(name)


def _loss(trial: TrialConfig) -> str:
    """Return the kind of distillation and the other active parts of the loss."""
    loss = trial.loss.canonical()
    parts = [str(loss["distillation"])]
    if "temperature" in loss:
        parts.append(f"T {loss['temperature']:g}")
    if loss.get("stages", "none") != "none":
        parts.append("stages")
    if loss["beta"]:
        parts.append(f"beta {loss['beta']:g}")
    return ", ".join(parts)
