"""The page of a gap: its table, its verdict, and the curves of the search and in full."""

from itertools import cycle
from pathlib import Path

import plotly.graph_objects as go

from results.figures.style import NO_BOX, SERIES_COLOURS, escape_template, new_figure
from results.gap.gap import Curve, Gap
from results.gap.view import differences_of, gap_in_words, texts_of, warnings_of
from results.page.charts_page import DrawnChart, write_charts_page
from results.page.table import plain_table

TITLE = "What a search promised, and what full trainings gave"


def write_gap_page(out: Path, gap: Gap) -> None:
    """Write the page.

    Raises:
        RunError: The file cannot be written.
        DiskFullError: The disk is full.
    """
    texts = texts_of(gap)
    rows = list(zip(*texts.values(), strict=True))
    table = plain_table([heading.replace("\n", " ") for heading in texts], rows)
    lines = (*warnings_of(gap), gap_in_words(gap))
    sentences = [f"{line[0].upper()}{line[1:]}." for line in lines]
    chart = DrawnChart(
        title="VEER by epoch",
        text="Solid: full trainings. Dashed: their trials in the search.",
        needs="an epoch with a VEER",
        figure=gap_chart(gap),
    )
    write_charts_page(
        out, TITLE, (*sentences, *differences_of(gap)), (("Trials", table),), {"curves": chart}
    )


def gap_chart(gap: Gap) -> go.Figure:
    """Draw VEER by epoch of each full training, and of its trial in the colour of the first."""
    figure = new_figure("epoch", "VEER, %")
    drawn = set()
    for row, colour in zip(gap.rows, cycle(SERIES_COLOURS)):
        if row.trial not in drawn:
            name = f"trial {row.trial} in the search"
            _add(figure, name, row.promised_curve, {"color": colour, "dash": "dash"})
        drawn.add(row.trial)
        _add(figure, row.name, row.full_curve, {"color": colour})
    return figure


def _add(figure: go.Figure, name: str, curve: Curve, line: dict[str, object]) -> None:
    figure.add_trace(
        go.Scatter(
            x=[epoch for epoch, _ in curve],
            y=[veer_pct for _, veer_pct in curve],
            name=name,
            mode="lines+markers",
            line=line,
            marker={"size": 4},
            hovertemplate=f"<b>{escape_template(name)}</b><br>epoch %{{x}}: %{{y:.2f}} %" + NO_BOX,
        )
    )
