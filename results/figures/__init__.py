"""Figures of one run, a chart a file: `FIGURES` has them by name, in reading order.

Each takes a `RunView` and returns a Plotly figure, None where the run has nothing for it. A mark
that stands for a trial has the trial's number in `customdata[0]`.

May import: spaces, trainable.verification, results.analysis, results.journal, results.tables,
results.trackers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import plotly.graph_objects as go

from results.figures import captions
from results.figures.det_curves import det_curves
from results.figures.importance import importance
from results.figures.learning_curves import learning_curves
from results.figures.loss_shares import loss_shares
from results.figures.parallel_coordinates import parallel_coordinates
from results.figures.score_histograms import score_histograms
from results.figures.slices import slices
from results.figures.timeline import timeline
from results.figures.veer_by_cost import veer_by_latency, veer_by_parameters
from results.tables.run_view import RunView


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One chart.

    Attributes:
        title: What stands above it.
        shows: A sentence or two on what it shows of a run.
        needs: What a run must have for it, as the end of a sentence that says it is not drawn.
        draw: Makes it of a run; None where there is nothing to draw.
    """

    title: str
    shows: Callable[[RunView], str]
    needs: str
    draw: Callable[[RunView], go.Figure | None]

    def __call__(self, view: RunView) -> go.Figure | None:
        """Draws it."""
        return self.draw(view)


FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        "learning_curves": Figure(
            title="Learning curves",
            shows=captions.learning_curves,
            needs="an epoch with a VEER",
            draw=learning_curves,
        ),
        "veer_by_latency": Figure(
            title="VEER against CPU latency",
            shows=captions.veer_by_latency,
            needs="a benchmark",
            draw=veer_by_latency,
        ),
        "veer_by_parameters": Figure(
            title="VEER against parameters",
            shows=captions.veer_by_parameters,
            needs="an epoch with a VEER that tells the number of parameters",
            draw=veer_by_parameters,
        ),
        "parallel_coordinates": Figure(
            title="Parallel coordinates",
            shows=captions.parallel_coordinates,
            needs="two trials with a VEER that differ in a parameter",
            draw=parallel_coordinates,
        ),
        "importance": Figure(
            title="Parameter importance",
            shows=captions.importance,
            needs="two varied parameters and five complete trials",
            draw=importance,
        ),
        "slices": Figure(
            title="Slices",
            shows=captions.slices,
            needs="a trial with a VEER and a varied parameter",
            draw=slices,
        ),
        "loss_shares": Figure(
            title="Shares of the loss",
            shows=captions.loss_shares,
            needs="epochs that tell the parts of the loss",
            draw=loss_shares,
        ),
        "det_curves": Figure(
            title="Detection error trade-off",
            shows=captions.det_curves,
            needs="validation scores, which this run has not kept",
            draw=det_curves,
        ),
        "score_histograms": Figure(
            title="Scores",
            shows=captions.score_histograms,
            needs="validation scores, which this run has not kept",
            draw=score_histograms,
        ),
        "timeline": Figure(
            title="Timeline",
            shows=captions.timeline,
            needs="a trial that has begun an epoch",
            draw=timeline,
        ),
    }
)
