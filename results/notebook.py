"""A run for notebooks: tables as DataFrames, charts as Plotly figures, the best trial."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa

from results.analysis.remarks import why_best
from results.analysis.run_view import RunView, interval_of
from results.figures import FIGURES
from results.figures.veer_by_cost import pareto_front
from results.journal.run_folder import RunFolder
from results.records.benchmark_row import BenchmarkRow
from results.tables.trials import epochs_table, trials_table
from results.terminal.trial import find_trial
from spaces.files.complaints import did_you_mean
from spaces.files.errors import RunError
from spaces.files.visible import visible
from trainable.verification.intervals import EERDifference

_LATENCY = "latency_median_ms"
_NUM_PARAMS = "num_params"
# Columns of the Pareto front, before those of the sampled parameters. Empty ones are dropped.
_FRONT_COLUMNS = ("trial", "veer_pct", "veer_low_pct", "veer_high_pct", _LATENCY, _NUM_PARAMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BestTrial:
    """The best trial of a run.

    Attributes:
        trial: Number of the trial.
        state: State of the trial, as in the trials table.
        veer_pct: Lowest VEER over the epochs, in percent: that of the luckiest epoch.
        num_repeats: Number of complete repeats of its config with other seeds.
        repeat_mean_pct: Mean over the repeats of their median VEER of the last five epochs, in
            percent; None without repeats.
        interval_pct: Ends of the 95 % interval of `veer_pct`; None where it was not measured.
        epoch: Epoch of `veer_pct`.
        params: Sampled values by dotted name.
        config: Full config, in the form that `veer train` reads.
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
        """Return the attributes as a pandas Series."""
        return pd.Series(asdict(self), name=f"trial {self.trial}")


class Run:
    """One run in its state at the last `refresh`; the search may be running.

    Args:
        path: The run folder.

    Raises:
        RunError: The folder is not a run folder, or its journal is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._folder = RunFolder(path)
        self._view = RunView.read(self._folder)

    def refresh(self) -> "Run":
        """Read the journal again, and return the run itself.

        Raises:
            RunError: The journal is damaged; the state that was read before is kept.
        """
        self._view = RunView.read(self._folder)
        return self

    @property
    def path(self) -> Path:
        """The run folder."""
        return self._folder.path

    @property
    def view(self) -> RunView:
        """The view of the run that the charts take."""
        return self._view

    @property
    def is_running(self) -> bool:
        """Whether the journal has no end of the search: it is running, or was killed."""
        return self._view.is_running

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial, with the columns of docs/tables.md. A copy, which you may change."""
        return _frame(trials_table(self._view))

    @property
    def epochs(self) -> pd.DataFrame:
        """One row per trial and epoch, with the columns of docs/tables.md. A copy."""
        return _frame(epochs_table(self._view))

    @property
    def best(self) -> BestTrial | None:
        """The best trial; None before the first VEER."""
        trial = self._view.best
        if trial is None or trial.best is None or trial.best_veer_pct is None:
            return None
        repeats = self._view.repeats.get(trial.trial)
        return BestTrial(
            trial=trial.trial,
            state=trial.state,
            veer_pct=trial.best_veer_pct,
            num_repeats=0 if repeats is None else len(repeats.veer_pct),
            repeat_mean_pct=None if repeats is None else repeats.mean_pct,
            interval_pct=interval_of(trial),
            epoch=trial.best.epoch,
            params=trial.params,
            config=trial.started.config,
        )

    @property
    def pareto(self) -> pd.DataFrame:
        """The Pareto front of VEER and cost: trials that no other beats in both, cheapest first.

        The cost is the median CPU latency of one utterance if a benchmark measured trials, and
        then only those are compared; else it is the number of parameters. `attrs["cost"]` is the
        name of the column.
        """
        table = self.trials
        # A repeated suggestion has no number: it is the same run as another row.
        own = table[table["trial"].notna() & table["rank"].notna()].copy()
        speeds = self._view.speeds
        own.insert(0, _LATENCY, [_latency(speeds.get(int(trial))) for trial in own["trial"]])
        cost = _LATENCY if own[_LATENCY].notna().any() else _NUM_PARAMS
        own = own[own[cost].notna()]
        points = list(zip(own[cost].astype(float), own["veer_pct"].astype(float), strict=True))
        params = [name for name in own.columns if name.startswith("param.")]
        front = own.iloc[pareto_front(points)][[*_FRONT_COLUMNS, *params]]
        # Of an empty table every column would be dropped.
        if len(front):
            front = front.dropna(axis="columns", how="all")
        front = front.reset_index(drop=True)
        front["trial"] = front["trial"].astype(int)
        front.attrs["cost"] = cost
        return front

    def compare_pair(self, trial: int, other: int) -> EERDifference:
        """Compare the VEERs of two trials on the same bootstrap replicates.

        Returns:
            The VEER of `trial` minus that of `other` (`behind_pct`), its 95 % `interval`, and
            whether the interval contains 0 (`is_tied`).

        Raises:
            RunError: The run has no such trial, or did not keep the scores of one of them.
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
        """Draw a chart by its name in `results.figures.FIGURES`, such as `importance`.

        Raises:
            RunError: No chart has this name, or the run has no data for it yet.
        """
        if name not in FIGURES:
            raise RunError(
                f"the chart must be one of {', '.join(FIGURES)}; got {name!r}"
                f"{did_you_mean(name, FIGURES)}"
            )
        figure = FIGURES[name](self._view)
        if figure is None:
            raise RunError(f"{self.path} has no data for the chart {name} yet")
        return figure

    def learning_curves(self) -> go.Figure:
        """Draw VEER by epoch of every trial; raises as `plot`."""
        return self.plot("learning_curves")

    def veer_by_cpu_time(self) -> go.Figure:
        """Draw VEER against CPU time over the teacher's, if that is a goal; raises as `plot`."""
        return self.plot("veer_by_cpu_time")

    def veer_by_macs(self) -> go.Figure:
        """Draw VEER against multiply-accumulates, if they are a goal; raises as `plot`."""
        return self.plot("veer_by_macs")

    def volume_by_epoch(self) -> go.Figure:
        """Draw the volume that the front dominates, of several goals; raises as `plot`."""
        return self.plot("volume_by_epoch")

    def veer_by_latency(self) -> go.Figure:
        """Draw VEER against CPU latency; raises as `plot`."""
        return self.plot("veer_by_latency")

    def veer_by_form(self) -> go.Figure:
        """Draw VEER against latency of the forms of deployment; raises as `plot`."""
        return self.plot("veer_by_form")

    def veer_by_parameters(self) -> go.Figure:
        """Draw VEER against the number of parameters; raises as `plot`."""
        return self.plot("veer_by_parameters")

    def parallel_coordinates(self) -> go.Figure:
        """Draw each trial as a line through its parameters; raises as `plot`."""
        return self.plot("parallel_coordinates")

    def importance(self) -> go.Figure:
        """Draw the importance of parameters for the VEER; raises as `plot`."""
        return self.plot("importance")

    def slices(self) -> go.Figure:
        """Draw VEER against each parameter; raises as `plot`."""
        return self.plot("slices")

    def loss_shares(self) -> go.Figure:
        """Draw the shares of the loss terms by epoch; raises as `plot`."""
        return self.plot("loss_shares")

    def det_curves(self) -> go.Figure:
        """Draw the detection error trade-off of the best trials; raises as `plot`."""
        return self.plot("det_curves")

    def score_histograms(self) -> go.Figure:
        """Draw histograms of the best trial's scores; raises as `plot`."""
        return self.plot("score_histograms")

    def timeline(self) -> go.Figure:
        """Draw where and when each trial ran; raises as `plot`."""
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
        """Return pairs of name and value for a short summary, without control characters."""
        view = self._view
        states = Counter(trial.state for trial in view.histories)
        counts = ", ".join(f"{count} {visible(state)}" for state, count in states.most_common())
        facts = [
            ("search", "running or killed" if view.is_running else "ended"),
            ("trials", f"{len(view.histories)} ({counts})" if states else "none yet"),
        ]
        if (best := self.best) is not None:
            ends = best.interval_pct
            within = "" if ends is None else f" ({ends[0]:.2f} to {ends[1]:.2f})"
            facts.append(("best", f"trial {best.trial}, VEER {best.veer_pct:.2f} %{within}"))
            facts.append(("chosen", why_best(view) or ""))
            sampled = ", ".join(f"{name} {_short(value)}" for name, value in best.params.items())
            facts.append(("sampled values", visible(sampled)))
        if view.teacher_veer_pct is not None:
            facts.append(("teacher", f"VEER {view.teacher_veer_pct:.2f} %"))
        return facts


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _latency(row: BenchmarkRow | None) -> float | None:
    return None if row is None else row.latency_median_ms


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
