"""VEER against the size of the network."""

import plotly.graph_objects as go

from results.figures.veer_by_cost import Cost, veer_by_cost
from results.tables.run_view import RunView


def veer_by_parameters(view: RunView) -> go.Figure | None:
    """VEER against the number of parameters; None where it is unknown of every trial."""
    last = {trial.trial: trial.last for trial in view.ranked}
    sizes = {
        number: record["num_params"]
        for number, record in last.items()
        if record is not None and record.get("num_params")
    }
    cost = Cost(
        title="parameters of the network",
        short="parameters",
        form=",",
        values=sizes,
        teacher=None if view.teacher is None else view.teacher["num_params"],
    )
    return veer_by_cost(view, cost)
