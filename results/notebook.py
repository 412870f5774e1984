"""A run for notebooks: tables as DataFrames, figures by name, the best in a few words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from results.analysis.ranking import repeats_of, why_best
from results.figures import FIGURES
from results.figures.veer_by_cost import pareto_front
from results.journal.run_folder import RunFolder
from results.tables.run_view import RunView, interval_of
from results.terminal.trial import find_trial
from spaces.files.complaints import did_you_mean
from spaces.files.errors import RunError
from spaces.files.visible import visible
from trainable.verification.intervals import EERDifference

LATENCY = "latency_median_ms"
NUM_PARAMS = "num_params"
# Columns of the front, where the table has them; parameters follow.
FRONT_COLUMNS = ("trial", "veer_pct", "veer_low_pct", "veer_high_pct", LATENCY, NUM_PARAMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BestTrial:
    """The first in rank.

    Attributes:
        trial: Its number.
        state: How it ended, or `running`.
        veer_pct: Lowest VEER over its epochs, percent: that of the luckiest epoch.
        num_repeats: Complete repeats of its config with other seeds.
        repeat_mean_pct: Mean of their median VEERs of the last epochs, percent; None without any.
        interval_pct: Both ends of its 95 % interval, None where it was not measured.
        epoch: The epoch of this VEER.
        params: Sampled values by dotted name.
        config: The whole config, as `veer train` takes it.
    """

    trial: int
    state: str
    veer_pct: float
    num_repeats: int
    repeat_mean_pct: float | None
    interval_pct: tuple[float, float] | None
    epoch: int
    params: dict[str, Any]
    config: dict[str, Any]

    def as_series(self) -> "pd.Series[Any]":
        """The same as a pandas Series."""
        return pd.Series(asdict(self), name=f"trial {self.trial}")


class Run:
    """One run as it was at the last `refresh`; the search may be running.

    Raises:
        RunError: The folder is no run folder, or its journal is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._folder = RunFolder(path)
        self._view = RunView.read(self._folder)

    def refresh(self) -> "Run":
        """Reads the journal again, and returns the run itself.

        Raises:
            RunError: The journal is damaged; what was read before stays.
        """
        self._view = RunView.read(self._folder)
        return self

    @property
    def path(self) -> Path:
        """The run folder."""
        return self._folder.path

    @property
    def view(self) -> RunView:
        """What the figures look at."""
        return self._view

    @property
    def is_running(self) -> bool:
        """Whether the journal has no end of the search: it runs, or was killed."""
        return self._view.is_running

    @property
    def trials(self) -> pd.DataFrame:
        """A row a trial; docs/tables.md says what the columns mean. A copy, to be changed."""
        return self._view.trials.copy()

    @property
    def epochs(self) -> pd.DataFrame:
        """A row a trial and epoch; docs/tables.md says what the columns mean. A copy."""
        return self._view.epochs.copy()

    @property
    def best(self) -> BestTrial | None:
        """The first in rank, None before any epoch."""
        trial = self._view.best
        if trial is None or trial.best is None:
            return None
        repeats = repeats_of(self._view.histories).get(trial.trial)
        return BestTrial(
            trial=trial.trial,
            state=trial.state,
            veer_pct=trial.best["veer_pct"],
            num_repeats=0 if repeats is None else len(repeats.veer_pct),
            repeat_mean_pct=None if repeats is None else repeats.mean_pct,
            interval_pct=interval_of(trial),
            epoch=trial.best["epoch"],
            params=trial.params,
            config=trial.started["config"],
        )

    @property
    def pareto(self) -> pd.DataFrame:
        """Trials that no other beats in both VEER and cost, the cheapest first.

        The cost is the median CPU latency of one utterance where a benchmark measured trials, and
        then only those count; else it is the number of parameters. `attrs["cost"]` names the
        column.
        """
        table = self._view.trials
        own = table[table["trial"].notna() & table["rank"].notna()].copy()
        speeds = self._view.speeds
        own.insert(0, LATENCY, [_latency(speeds.get(int(trial))) for trial in own["trial"]])
        cost = LATENCY if own[LATENCY].notna().any() else NUM_PARAMS
        own = own[own[cost].notna()]
        points = list(zip(own[cost].astype(float), own["veer_pct"].astype(float), strict=True))
        params = [name for name in own.columns if name.startswith("param.")]
        front = own.iloc[pareto_front(points)][[*FRONT_COLUMNS, *params]]
        if len(front):
            front = front.dropna(axis="columns", how="all")
        front = front.reset_index(drop=True)
        front["trial"] = front["trial"].astype(int)
        front.attrs["cost"] = cost
        return front

    def compare_pair(self, trial: int, other: int) -> EERDifference:
        """How far a trial's VEER is above another's, both on the same bootstrap replicates.

        Returns:
            `behind_pct` with its 95 % `interval`, and whether the two `is_tied`.

        Raises:
            RunError: The run has no such trial, or kept no scores of one of them.
        """
        both = [find_trial(self._view.histories, number) for number in (trial, other)]
        found = self._view.run_scores.behind(*both)
        if found is None:
            raise RunError(
                f"{self.path} has no scores of the best epochs of trials {trial} and {other} to "
                "compare"
            )
        return found

    def plot(self, name: str) -> go.Figure:
        """A figure by its name in `results.figures.FIGURES`, such as `importance`.

        Raises:
            RunError: No figure has the name, or the run has nothing for it yet.
        """
        if name not in FIGURES:
            raise RunError(
                f"the figure must be one of {', '.join(FIGURES)}; got {name!r}"
                f"{did_you_mean(name, FIGURES)}"
            )
        figure = FIGURES[name](self._view)
        if figure is None:
            raise RunError(f"{self.path} has nothing to draw {name} of yet")
        return figure

    def learning_curves(self) -> go.Figure:
        """VEER by epoch of every trial; raises as `plot`."""
        return self.plot("learning_curves")

    def veer_by_latency(self) -> go.Figure:
        """VEER against CPU latency; raises as `plot`."""
        return self.plot("veer_by_latency")

    def veer_by_parameters(self) -> go.Figure:
        """VEER against parameters; raises as `plot`."""
        return self.plot("veer_by_parameters")

    def parallel_coordinates(self) -> go.Figure:
        """Every trial as a line through its parameters; raises as `plot`."""
        return self.plot("parallel_coordinates")

    def importance(self) -> go.Figure:
        """What the VEER depends on; raises as `plot`."""
        return self.plot("importance")

    def slices(self) -> go.Figure:
        """VEER against each parameter; raises as `plot`."""
        return self.plot("slices")

    def loss_shares(self) -> go.Figure:
        """What the loss was made of; raises as `plot`."""
        return self.plot("loss_shares")

    def det_curves(self) -> go.Figure:
        """Detection error trade-off of the best; raises as `plot`."""
        return self.plot("det_curves")

    def score_histograms(self) -> go.Figure:
        """Scores of the best; raises as `plot`."""
        return self.plot("score_histograms")

    def timeline(self) -> go.Figure:
        """Which trial ran where and when; raises as `plot`."""
        return self.plot("timeline")

    def __repr__(self) -> str:
        lines = (f"{name}: {value}" for name, value in self._facts())
        return f"Run({str(self.path)!r})\n" + "\n".join(f"  {line}" for line in lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(value)}</td></tr>"
            for name, value in self._facts()
        )
        name = escape(visible(str(self.path)))
        return f"<table><caption>{name}</caption><tbody>{rows}</tbody></table>"

    def _facts(self) -> Sequence[tuple[str, str]]:
        """What is said of the run in short, in words without controls."""
        view = self._view
        states = Counter(trial.state for trial in view.histories)
        counts = ", ".join(f"{count} {visible(state)}" for state, count in states.most_common())
        facts = [
            ("search", "running, or killed" if view.is_running else "ended"),
            ("trials", f"{len(view.histories)} ({counts})" if states else "none yet"),
        ]
        if (best := self.best) is not None:
            ends = best.interval_pct
            within = "" if ends is None else f" ({ends[0]:.2f} to {ends[1]:.2f})"
            facts.append(("best", f"trial {best.trial}, VEER {best.veer_pct:.2f} %{within}"))
            facts.append(("chosen", why_best(view.histories) or ""))
            sampled = ", ".join(f"{name} {_short(value)}" for name, value in best.params.items())
            facts.append(("its values", visible(sampled)))
        if view.teacher_veer_pct is not None:
            facts.append(("teacher", f"VEER {view.teacher_veer_pct:.2f} %"))
        return facts


def _latency(row: dict[str, Any] | None) -> float | None:
    return None if row is None else float(row["latency_median_ms"])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
