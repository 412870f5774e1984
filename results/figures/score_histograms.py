"""Histograms of the scores of validation pairs of one speaker and of two speakers."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from results.analysis.run_view import RunView
from results.analysis.trial_scores import TrialScores
from results.figures.style import AXIS_COLOUR, NO_BOX, SERIES_COLOURS, axis, base_layout
from trainable.verification.metrics import eer_threshold, equal_error_rate

NUM_BINS = 60
_TARGET_COLOUR, _NON_TARGET_COLOUR = SERIES_COLOURS[0], SERIES_COLOURS[1]
_PANEL_PX = 280


def score_histograms(view: RunView) -> go.Figure | None:
    """Draw histograms of the best trial that kept scores and of the teacher; None without any."""
    panels: list[tuple[str, int | None, TrialScores]] = []
    for trial in view.ranked:
        if (found := view.scores(trial)) is not None:
            panels.append((f"trial {trial.trial}", trial.trial, found))
            break
    if view.teacher_scores is not None:
        panels.append(("teacher", None, view.teacher_scores))
    if not panels:
        return None
    titles = [
        f"{name}: EER {equal_error_rate(found.scores, found.is_target):.2f} %"
        for name, _, found in panels
    ]
    figure = make_subplots(
        rows=len(panels), cols=1, shared_xaxes=True, subplot_titles=titles,
        vertical_spacing=0.14,
    )  # fmt: skip
    figure.update_layout(**base_layout(90 + _PANEL_PX * len(panels)))
    figure.update_layout(barmode="overlay", bargap=0, legend={"y": -0.1, "yanchor": "top"})
    figure.update_annotations(font={"size": 13})
    figure.update_xaxes(**axis(""))
    figure.update_yaxes(**axis("share of the pairs", tickformat=".0%", rangemode="tozero"))
    edges = bin_edges([found for *_, found in panels])
    for row, (_, number, found) in enumerate(panels, start=1):
        for bars in _bars(found, edges, number):
            bars.showlegend = row == 1
            figure.add_trace(bars, row=row, col=1)
        figure.add_vline(
            x=eer_threshold(found.scores, found.is_target),
            line={"color": AXIS_COLOUR, "dash": "dash", "width": 1.5},
            row=row,
            col=1,
        )
    figure.update_xaxes(title={"text": "score of a pair"}, row=len(panels))
    return figure


def bin_edges(every: list[TrialScores]) -> np.ndarray:
    """Return the edges of equal bins over all scores, which all panels share."""
    low = min(float(np.min(found.scores)) for found in every)
    high = max(float(np.max(found.scores)) for found in every)
    # Equal scores would give bins without width.
    return np.linspace(low, high if high > low else low + 1.0, NUM_BINS + 1)


def _bars(found: TrialScores, edges: np.ndarray, number: int | None) -> list[go.Bar]:
    """Return bars of non-target and target pairs, each as shares of their own number."""
    targets = np.asarray(found.is_target, dtype=bool)
    scores = np.asarray(found.scores, dtype=np.float64)
    kinds = (
        ("two speakers", ~targets, _NON_TARGET_COLOUR),
        ("one speaker", targets, _TARGET_COLOUR),
    )
    traces = []
    for name, chosen, colour in kinds:
        # As shares, since a list may have many more pairs of two speakers than of one.
        counts, _ = np.histogram(scores[chosen], edges)
        centres = (edges[:-1] + edges[1:]) / 2
        traces.append(
            go.Bar(
                x=centres.round(5).tolist(),
                y=(counts / max(counts.sum(), 1)).round(5).tolist(),
                width=float(edges[1] - edges[0]),
                customdata=[[number, count] for count in counts.tolist()],
                marker={"color": colour, "opacity": 0.6, "line": {"width": 0}},
                name=f"pairs of {name}",
                legendgroup=name,
                hovertemplate=f"{name}, score %{{x:.3f}}: %{{y:.1%}} (%{{customdata[1]}} pairs)"
                + NO_BOX,
            )
        )
    return traces
