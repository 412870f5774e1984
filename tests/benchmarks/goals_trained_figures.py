"""Tables and charts of the searches of `goals` that trained, with intervals over the seeds.

Shapes: S seeds, R bootstrap replicates of the speakers.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import plotly.graph_objects as go

from results.figures.style import NO_BOX, SERIES_COLOURS, new_figure
from results.page.charts_page import DrawnChart
from search.prediction.estimates import mean_of
from tests.benchmarks.goals_figures import Lines
from tests.benchmarks.goals_runs import ARMS
from tests.benchmarks.goals_trained import FrontStudent, Searched, Volumes

PERCENTILES = (2.5, 97.5)
# Parts of the epochs after which the volume by what a search has seen is in the table.
PARTS = (3, 2, 1)


def by_arm(found: Sequence[Searched]) -> Iterator[tuple[str, list[Searched]]]:
    """Yield the searches of each arm."""
    for arm in ARMS:
        yield arm, [each for each in found if each.arm == arm]


def volumes_table(
    found: Sequence[Searched], volumes: Volumes, limit: float, num_epochs: int
) -> Lines:
    """Return the table of the arms, the first of which the others are compared with."""
    places = [num_epochs // part for part in PARTS]
    headings = [
        "arm", "trials", "on the front", *(f"seen, {place} epochs" for place in places),
        "other speakers", "minus the first, over seeds", "over speakers",
        f"EER % at a latency of {limit:.3g}", "minus the first, over seeds",
    ]  # fmt: skip
    first = next(own for _, own in by_arm(found))
    rows = []
    for arm, own in by_arm(found):
        pairs = list(zip(own, first, strict=True))
        differs = own is not first and arm != first[0].arm
        rows.append(
            [
                arm,
                f"{np.mean([each.num_trials for each in own]):.1f}",
                f"{np.mean([len(each.front) for each in own]):.1f}",
                *(_mean(own, lambda each, at=at: volumes.seen(each, at), 3) for at in places),
                _mean(own, volumes.true, 3),
                _over_seeds([volumes.true(a) - volumes.true(b) for a, b in pairs], 3)
                if differs else "",
                _over_speakers(own, first, volumes) if differs else "",
                _mean(own, lambda each: each.at_limit_pct(limit), 2),
                _over_seeds([a.at_limit_pct(limit) - b.at_limit_pct(limit) for a, b in pairs], 2)
                if differs else "",
            ]
        )  # fmt: skip
    return Lines(headings=headings, rows=rows)


def fronts_table(found: Sequence[Searched]) -> Lines:
    """Return the students of every front, one line a search."""
    headings = ["arm", "seed", "trials", "latency: EER %, other speakers (over them), and as seen"]
    rows = [
        [
            each.arm, str(each.seed), str(each.num_trials),
            "; ".join(_student(student) for student in reversed(each.front)),
        ]
        for _, own in by_arm(found) for each in own
    ]  # fmt: skip
    return Lines(headings=headings, rows=rows)


def front_chart(found: Sequence[Searched]) -> DrawnChart:
    """Return the chart of the fronts on the other speakers."""
    figure = new_figure("CPU time / teacher, one thread", "EER % on speakers that no search saw")
    for colour, (arm, own) in zip(SERIES_COLOURS, by_arm(found), strict=False):
        for place, search in enumerate(own):
            students = sorted(search.front, key=lambda each: each.latency)
            eer_pct = [each.judged.eer_pct for each in students]
            low, high = zip(*(_interval(each) for each in students), strict=True)
            bars = {"type": "data", "symmetric": False, "thickness": 0.7, "width": 2,
                    "array": [b - a for a, b in zip(eer_pct, high, strict=True)],
                    "arrayminus": [a - b for a, b in zip(eer_pct, low, strict=True)]}  # fmt: skip
            figure.add_trace(
                go.Scatter(
                    x=[each.latency for each in students], y=eer_pct, error_y=bars, name=arm,
                    legendgroup=arm, showlegend=not place, mode="lines+markers",
                    line={"color": colour, "width": 1, "shape": "hv"}, marker={"size": 9},
                    customdata=[[None, search.seed, each.trial] for each in students],
                    hovertemplate=f"<b>{arm}</b><br>seed %{{customdata[1]}}, trial "
                    "%{customdata[2]}<br>%{x:.3f}: %{y:.2f} %" + NO_BOX,
                )
            )  # fmt: skip
    return DrawnChart(
        title="The fronts",
        text=(
            "Each line is the front of one search, by the VEER that it saw; shown is the EER on "
            "the other speakers, with its 95 % interval over them."
        ),
        needs="a search",
        figure=figure,
    )


def volume_chart(found: Sequence[Searched], volumes: Volumes, num_epochs: int) -> DrawnChart:
    """Return the chart of the hypervolume over epochs, by what the searches saw."""
    figure = new_figure("epochs of all trials", "share of the hypervolume")
    epochs = list(range(1, num_epochs + 1))
    for colour, (arm, own) in zip(SERIES_COLOURS, by_arm(found), strict=False):
        shares = np.array([[volumes.seen(each, at) for at in epochs] for each in own])
        low, high = shares.min(axis=0), shares.max(axis=0)
        figure.add_trace(
            go.Scatter(
                x=[*epochs, *epochs[::-1]], y=[*high, *low[::-1]], fill="toself",
                fillcolor=colour, opacity=0.15, line={"width": 0}, legendgroup=arm,
                showlegend=False, hoverinfo="skip",
            )
        )  # fmt: skip
        figure.add_trace(
            go.Scatter(
                x=epochs, y=shares.mean(axis=0), name=arm, legendgroup=arm, mode="lines",
                line={"color": colour, "width": 2},
                hovertemplate=f"<b>{arm}</b><br>%{{x}} epochs: %{{y:.3f}}" + NO_BOX,
            )
        )  # fmt: skip
    return DrawnChart(
        title="Hypervolume over epochs",
        text=(
            "Means over the seeds, by what each search saw; the bands are from the lowest to the "
            "highest seed."
        ),
        needs="a search",
        figure=figure,
    )


def _mean(own: Sequence[Searched], number: Callable[[Searched], float], decimals: int) -> str:
    return _over_seeds([number(each) for each in own], decimals)


def _over_seeds(values: Sequence[float], decimals: int) -> str:
    """Return mean and interval by Student's t; of one seed the value alone."""
    found = mean_of(values)
    if len(values) < 2:
        return f"{found.value:.{decimals}f}"
    ends = f"{found.low:.{decimals}f} to {found.high:.{decimals}f}"
    return f"{found.value:.{decimals}f} ({ends})"


def _over_speakers(own: Sequence[Searched], first: Sequence[Searched], volumes: Volumes) -> str:
    drawn, base = (
        np.mean([volumes.replicates(each) for each in searches], axis=0)
        for searches in (own, first)
    )
    low, high = np.percentile(drawn - base, PERCENTILES)
    return f"{low:.3f} to {high:.3f}"


def _interval(student: FrontStudent) -> tuple[float, float]:
    low, high = np.percentile(student.judged.replicates_pct, PERCENTILES)
    # The value itself is within, as in the product's intervals.
    return min(float(low), student.judged.eer_pct), max(float(high), student.judged.eer_pct)


def _student(student: FrontStudent) -> str:
    low, high = _interval(student)
    return (
        f"{student.latency:.3f}: {student.judged.eer_pct:.2f} ({low:.2f} to {high:.2f}), seen "
        f"{student.seen_pct:.2f}"
    )
