"""Figures of one run, a chart a file: `FIGURES` has them by name, in reading order.

Each takes a `RunView` and returns a Plotly figure, None where the run has nothing for it. A mark
that stands for a trial has the trial's number in `customdata[0]`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import plotly.graph_objects as go

from results.figures.det_curves import det_curves
from results.figures.importance import importance
from results.figures.learning_curves import learning_curves
from results.figures.loss_shares import loss_shares
from results.figures.parallel_coordinates import parallel_coordinates
from results.figures.score_histograms import score_histograms
from results.figures.slices import slices
from results.figures.timeline import timeline
from results.figures.veer_by_latency import veer_by_latency
from results.figures.veer_by_parameters import veer_by_parameters
from results.run_view import RunView


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One chart.

    Attributes:
        title: What stands above it.
        shows: A sentence on what it shows.
        needs: What a run must have for it, as the end of a sentence that says it is not drawn.
        draw: Makes it of a run; None where there is nothing to draw.
    """

    title: str
    shows: str
    needs: str
    draw: Callable[[RunView], go.Figure | None]

    def __call__(self, view: RunView) -> go.Figure | None:
        """Draws it."""
        return self.draw(view)


FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        "learning_curves": Figure(
            title="Learning curves",
            shows="Validation EER by epoch, a line a trial; grey ones were stopped early, at the "
            "rungs marked.",
            needs="an epoch with a VEER",
            draw=learning_curves,
        ),
        "veer_by_latency": Figure(
            title="VEER against CPU latency",
            shows="What each benchmarked student costs on a CPU; no trial is both faster and "
            "better than one on the front. Bars are 95 % intervals.",
            needs="a benchmark",
            draw=veer_by_latency,
        ),
        "veer_by_parameters": Figure(
            title="VEER against parameters",
            shows="What each student's size buys; no trial is both smaller and better than one "
            "on the front. Bars are 95 % intervals.",
            needs="an epoch with a VEER that tells the number of parameters",
            draw=veer_by_parameters,
        ),
        "parallel_coordinates": Figure(
            title="Parallel coordinates",
            shows="Every trial as a line through its parameters; the colour is its VEER. Stopped "
            "trials are grey: theirs is not one of the end.",
            needs="two trials with a VEER that differ in a parameter",
            draw=parallel_coordinates,
        ),
        "importance": Figure(
            title="Parameter importance",
            shows="How much of the VEER's variance over the complete trials each parameter "
            "explains (fANOVA); lines are the spread over trials drawn anew.",
            needs="two varied parameters and five complete trials",
            draw=importance,
        ),
        "slices": Figure(
            title="Slices",
            shows="VEER against each parameter that varied; open circles were stopped early.",
            needs="a trial with a VEER and a varied parameter",
            draw=slices,
        ),
        "loss_shares": Figure(
            title="Shares of the loss",
            shows="What the training loss of the best trials was made of, by epoch.",
            needs="epochs that tell the parts of the loss",
            draw=loss_shares,
        ),
        "det_curves": Figure(
            title="Detection error trade-off",
            shows="Wrongly rejected against wrongly accepted validation pairs at every threshold, "
            "for the best trials and the teacher; circles are their EER.",
            needs="validation scores, which this run has not kept",
            draw=det_curves,
        ),
        "score_histograms": Figure(
            title="Scores",
            shows="How far the scores of validation pairs of one speaker lie from those of two, "
            "for the best trial and the teacher; the line is the threshold of the EER.",
            needs="validation scores, which this run has not kept",
            draw=score_histograms,
        ),
        "timeline": Figure(
            title="Timeline",
            shows="Which trial trained where and when; gaps are set-up or waiting, "
            "crosses faults.",
            needs="a trial that has begun an epoch",
            draw=timeline,
        ),
    }
)
