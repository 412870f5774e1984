"""The page of a prediction: its tables and charts."""

from collections.abc import Sequence
from pathlib import Path

from results.page.charts_page import write_charts_page
from results.page.table import PageTable, plain_table
from search.prediction.prediction import Prediction
from search.prediction.prediction_table import (
    TextTable,
    basis_lines,
    result_table,
    scaling_tables,
)
from search.prediction.scaling import ScalingPoint
from search.prediction.scaling_chart import PredictionChart, scaling_chart, variants_chart

TITLE = "What a search would take and bring"


def write_prediction_page(
    out: Path, found: Prediction, sentence: str, points: Sequence[ScalingPoint]
) -> None:
    """Write the page of a prediction.

    Args:
        out: Path of the page.
        found: The prediction.
        sentence: What would have saved epochs.
        points: Searches up to a VEER by workers; may be empty.
    """
    tables = (result_table(found), *scaling_tables(points))
    below = (line for each in tables for line in each.lines)
    lines = (f"{sentence}.", *basis_lines(found), *below)
    charts = {
        "variants": PredictionChart(
            title="VEER against epochs",
            caption=lambda _: "Means over the simulated searches; the bars hold 95 % of them.",
            needs="a simulated search",
            figure=variants_chart(found.results),
        ),
    }
    if points:
        charts["scaling"] = scaling_drawing(points)
    shown = tuple((each.title, _table(each)) for each in tables)
    write_charts_page(out, TITLE, lines, shown, charts)


def scaling_drawing(points: Sequence[ScalingPoint]) -> PredictionChart:
    """Return the chart of the time to a VEER by workers."""
    return PredictionChart(
        title="Time to a VEER by workers",
        caption=lambda _: (
            "Geometric means with 95 % intervals over the seeds. Dotted lines: linear scaling "
            "from one worker."
        ),
        needs="searches with several numbers of workers",
        figure=scaling_chart(points),
    )


def _table(table: TextTable) -> PageTable:
    return plain_table([each.replace("\n", " ") for each in table.headings], table.rows)
