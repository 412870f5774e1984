"""Tables and chart of the benchmark `goals`, with intervals over the cuts of the speakers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from results.figures.style import SERIES_COLOURS, new_figure
from results.page.charts_page import DrawnChart

# Epochs of all trials of a search after which its front is judged.
PLACES = (12, 24, 48, 72, 144)
NUM_RESAMPLES = 10_000
# The two halves of a cut judge each other, so they are resampled together.
SIDES_A_CUT = 2
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a search has found after some epochs.

    Attributes:
        volume: Hypervolume of its front as a share of the bank's.
        at_limit_pct: True VEER of the student that it gives at the limit of latency, percent.
        num_trials: Trials begun.
        num_front: Trials on its front.
    """

    volume: float
    at_limit_pct: float
    num_trials: int
    num_front: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A table: its cells, and the same as Markdown."""

    headings: list[str]
    rows: list[list[str]]

    @property
    def text(self) -> list[str]:
        """The lines of the table in Markdown."""
        rule = ["---"] * len(self.headings)
        return [f"| {' | '.join(row)} |" for row in (self.headings, rule, *self.rows)]


def share_of(found: Sequence[Sequence[Share]]) -> Floats:
    """Return the volumes of an arm, (searches, places)."""
    return np.array([[each.volume for each in one] for one in found])


def mean_and_interval(values: Floats) -> tuple[float, float, float]:
    """Return the mean over searches and its 95 % interval over resampled cuts.

    Args:
        values: One for each search, in the order of the sides.
    """
    cuts = values[: len(values) // SIDES_A_CUT * SIDES_A_CUT].reshape(-1, SIDES_A_CUT).mean(axis=1)
    rng = np.random.default_rng(0)
    drawn = rng.choice(cuts, size=(NUM_RESAMPLES, len(cuts))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def table(found: Mapping[str, Sequence[Sequence[Share]]], ours: str) -> Lines:
    """Return the table: volumes by epochs, difference to ours, VEER at the limit."""
    last = len(PLACES) - 1
    headings = ["arm", *(f"{place} epochs" for place in PLACES), "minus the first",
                "VEER at the limit, %", "minus the first", "trials", "on the front"]  # fmt: skip
    rows = []
    own = share_of(found[ours])[:, last]
    own_pct = np.array([one[last].at_limit_pct for one in found[ours]])
    for arm, searches in found.items():
        volumes = share_of(searches)
        pct = np.array([one[last].at_limit_pct for one in searches])
        differs = arm != ours
        rows.append(
            [
                arm,
                *(_in_words(volumes[:, place], 3) for place in range(len(PLACES))),
                _in_words(volumes[:, last] - own, 3) if differs else "",
                _in_words(pct, 2),
                _in_words(pct - own_pct, 2) if differs else "",
                f"{np.mean([one[last].num_trials for one in searches]):.1f}",
                f"{np.mean([one[last].num_front for one in searches]):.1f}",
            ]
        )
    return Lines(headings=headings, rows=rows)


def hypervolume_chart(volumes: Mapping[str, Floats]) -> DrawnChart:
    """Return the chart of the hypervolume over epochs."""
    figure = new_figure("epochs of all trials", "share of the bank's hypervolume")
    for colour, (arm, found) in zip(SERIES_COLOURS * len(volumes), volumes.items(), strict=False):
        each = [mean_and_interval(found[:, place]) for place in range(len(PLACES))]
        bars = {"type": "data", "symmetric": False, "thickness": 1, "width": 3,
                "array": [high - mean for mean, _, high in each],
                "arrayminus": [mean - low for mean, low, _ in each]}  # fmt: skip
        figure.add_trace(
            go.Scatter(x=PLACES, y=[mean for mean, _, _ in each], error_y=bars, name=arm,
                       mode="lines+markers", line={"color": colour})
        )  # fmt: skip
    return DrawnChart(
        title="Hypervolume over epochs",
        text="Means over the searches, 95 % intervals over the cuts of the speakers.",
        needs="a search",
        figure=figure,
    )


def _in_words(values: Floats, decimals: int) -> str:
    mean, low, high = mean_and_interval(values)
    return f"{mean:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})"
