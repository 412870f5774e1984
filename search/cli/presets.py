"""`veer presets`: the bundled trial configs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from search.cli.console import console

if TYPE_CHECKING:
    from trainable.config.trial_config import TrialConfig


def presets() -> None:
    """List the presets: approaches and ablations (see docs/spaces.md), then the teachers.

    Train a student with `veer train --preset NAME`, a teacher with `veer teacher train NAME`. Two
    presets with the same config are one run in a search.
    """
    from trainable.config.reading import STUDENTS, bundled_configs

    teachers = [name for name in bundled_configs() if name not in STUDENTS]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title, at_right in (
        ("preset", False),
        ("parameters", True),
        ("loss", False),
        ("alpha", True),
        ("what it is", False),
    ):
        justify, folds = ("right" if at_right else "left"), title == "what it is"
        table.add_column(title, justify=justify, no_wrap=not folds, overflow="fold")  # type: ignore[arg-type]
    for group in (STUDENTS, teachers):
        _add_rows(table, group)
        table.add_section()
    console.print(table, highlight=False)


def _add_rows(table: Table, names: Iterable[str]) -> None:
    import torch

    from models import build_model, count_parameters
    from trainable.config.reading import read_trial_config, summary_of

    for name in names:
        trial = read_trial_config(name)
        # A model on the meta device has shapes but takes no memory.
        with torch.device("meta"):
            num_params = count_parameters(build_model(trial.model))
        alpha = f"{trial.loss.alpha:g}" if trial.loss.distill_weight else "-"
        table.add_row(name, f"{num_params:,}", _loss(trial), alpha, summary_of(name))


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
