"""Charts of one run, one per file: `FIGURES` has them by name, in the order of the page.

Each takes a `RunView` and returns a Plotly figure, or None where the run has no data for it. A
mark that stands for a trial has the number of the trial in `customdata[0]`.

May import: spaces, trainable.verification, results.analysis, results.journal, results.records,
results.trackers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import plotly.graph_objects as go

from results.analysis.run_view import RunView
from results.figures import captions
from results.figures.det_curves import det_curves
from results.figures.goals import veer_by_cpu_time, veer_by_macs, volume_by_epoch
from results.figures.importance import importance
from results.figures.learning_curves import learning_curves
from results.figures.loss_shares import loss_shares
from results.figures.parallel_coordinates import parallel_coordinates
from results.figures.score_histograms import score_histograms
from results.figures.slices import slices
from results.figures.timeline import timeline
from results.figures.veer_by_cost import veer_by_latency, veer_by_parameters
from results.figures.veer_by_form import veer_by_form


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One chart.

    Attributes:
        title: Heading of the chart.
        caption: Returns a sentence or two on what the chart of a run shows.
        needs: The data that a run must have for it, as the end of a sentence ("needs ...").
        draw: Draws the chart of a run; None where there is nothing to draw.
    """

    title: str
    caption: Callable[[RunView], str]
    needs: str
    draw: Callable[[RunView], go.Figure | None]

    def __call__(self, view: RunView) -> go.Figure | None:
        """Draw the chart of a run; None where there is nothing to draw."""
        return self.draw(view)


FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        "learning_curves": Figure(
            title="Learning curves",
            caption=captions.learning_curves_caption,
            needs="an epoch with a VEER",
            draw=learning_curves,
        ),
        "veer_by_cpu_time": Figure(
            title="VEER against CPU time / teacher",
            caption=captions.veer_by_goal_caption,
            needs="the goal cpu_latency",
            draw=veer_by_cpu_time,
        ),
        "veer_by_macs": Figure(
            title="VEER against multiply-accumulates",
            caption=captions.veer_by_goal_caption,
            needs="the goal macs",
            draw=veer_by_macs,
        ),
        "volume_by_epoch": Figure(
            title="Volume that the front dominates",
            caption=captions.volume_caption,
            needs="several goals",
            draw=volume_by_epoch,
        ),
        "veer_by_latency": Figure(
            title="VEER against CPU latency",
            caption=captions.veer_by_latency_caption,
            needs="a benchmark",
            draw=veer_by_latency,
        ),
        "veer_by_form": Figure(
            title="VEER against latency of the forms",
            caption=captions.veer_by_form_caption,
            needs="forms that were measured: veer benchmark RUN --forms",
            draw=veer_by_form,
        ),
        "veer_by_parameters": Figure(
            title="VEER against parameters",
            caption=captions.veer_by_parameters_caption,
            needs="an epoch with a VEER and the number of parameters",
            draw=veer_by_parameters,
        ),
        "parallel_coordinates": Figure(
            title="Parallel coordinates",
            caption=captions.parallel_coordinates_caption,
            needs="two trials with a VEER that differ in a parameter",
            draw=parallel_coordinates,
        ),
        "importance": Figure(
            title="Parameter importance",
            caption=captions.importance_caption,
            needs="two varied parameters and five complete trials",
            draw=importance,
        ),
        "slices": Figure(
            title="Slices",
            caption=captions.slices_caption,
            needs="a trial with a VEER and a varied parameter",
            draw=slices,
        ),
        "loss_shares": Figure(
            title="Shares of the loss",
            caption=captions.loss_shares_caption,
            needs="epochs with the shares of the loss terms",
            draw=loss_shares,
        ),
        "det_curves": Figure(
            title="Detection error trade-off",
            caption=captions.det_curves_caption,
            needs="validation scores, which this run did not keep",
            draw=det_curves,
        ),
        "score_histograms": Figure(
            title="Scores",
            caption=captions.score_histograms_caption,
            needs="validation scores, which this run did not keep",
            draw=score_histograms,
        ),
        "timeline": Figure(
            title="Timeline",
            caption=captions.timeline_caption,
            needs="a trial that has started an epoch",
            draw=timeline,
        ),
    }
)
