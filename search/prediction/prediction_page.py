"""The page of a prediction: its tables and charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from results.page.charts_page import DrawnChart, write_charts_page
from results.page.table import plain_table
from search.prediction.prediction import Prediction
from search.prediction.prediction_table import basis_lines, result_table, scaling_tables
from search.prediction.scaling import ScalingPoint
from search.prediction.scaling_chart import scaling_chart, variants_chart

TITLE = "What a search would take and bring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the page has, beside the searches up to a VEER.

    Attributes:
        asked: From what, and for which settings.
        found: The prediction.
        sentence: What would have saved epochs.
    """

    asked: tuple[str, ...]
    found: Prediction
    sentence: str


def write_prediction_page(out: Path, answer: Answer, points: Sequence[ScalingPoint]) -> None:
    """Write the page of a prediction.

    Args:
        out: Path of the page.
        answer: The prediction.
        points: Searches up to a VEER by workers; may be empty.
    """
    found = answer.found
    searches = result_table(found)
    notes = (*searches.lines, *basis_lines(found))
    # Intervals below their numbers, so that all columns fit a screen.
    rows = [[name, *(cell.replace(" (", "\n(") for cell in own)] for name, *own in searches.rows]
    tables = [(searches.title, plain_table(searches.headings, rows, notes))]
    for each in scaling_tables(points):
        tables.append((each.title, plain_table(each.headings, each.rows, each.lines)))
    lines = (f"{answer.sentence[:1].upper()}{answer.sentence[1:]}.", *answer.asked)
    charts = {
        "variants": DrawnChart(
            title="VEER against epochs",
            text="Means over the simulated searches; the bars hold 95 % of them.",
            needs="a simulated search",
            figure=variants_chart(found.results),
        ),
    }
    if points:
        charts["scaling"] = scaling_drawing(points)
    write_charts_page(out, TITLE, lines, tuple(tables), charts)


def scaling_drawing(points: Sequence[ScalingPoint]) -> DrawnChart:
    """Return the chart of the time to a VEER by workers."""
    return DrawnChart(
        title="Time to a VEER by workers",
        text="Geometric means with 95 % intervals over the seeds. Dotted lines: linear scaling "
        "from one worker.",
        needs="searches with several numbers of workers",
        figure=scaling_chart(points),
    )
