"""A page of texts, tables and charts that are not of one run, with the look of a run's page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results.page.charts import Drawing, PageFigures, draw_figures
from results.page.page import render_charts_page, write_page
from results.page.table import PageTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartsPage:
    """Everything on the page, in its order.

    Attributes:
        title: Its heading.
        lines: Paragraphs below it.
        tables: Tables with their headings.
        charts: The charts.
    """

    title: str
    lines: tuple[str, ...]
    tables: tuple[tuple[str, PageTable], ...]
    charts: PageFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnChart:
    """A chart that is drawn already.

    Attributes:
        title: Heading.
        text: A sentence or two on what it shows.
        needs: What there must be for it.
        figure: The Plotly figure; None where there is nothing to draw.
    """

    title: str
    text: str
    needs: str
    figure: Any

    @property
    def caption(self) -> Callable[[Any], str]:
        """Returns the text."""
        return lambda _: self.text

    def __call__(self, view: Any) -> Any:
        """Return the figure; `view` is not used."""
        del view
        return self.figure


def write_charts_page(
    out: Path,
    title: str,
    lines: tuple[str, ...],
    tables: tuple[tuple[str, PageTable], ...],
    figures: Mapping[str, Drawing],
) -> None:
    """Write a page atomically; it is a single file that loads nothing else.

    Args:
        out: Path of the page.
        title: Its heading.
        lines: Paragraphs below it.
        tables: Tables with their headings.
        figures: Charts by name, each of which draws itself.

    Raises:
        RunError: The file cannot be written.
        DiskFullError: The disk is full.
    """
    charts = draw_figures(figures, None)
    page = ChartsPage(title=title, lines=lines, tables=tables, charts=charts)
    write_page(out, render_charts_page(page))
