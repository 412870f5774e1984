"""The charts of a page: Plotly figures as JSON, in which text from elsewhere is text.

Plotly reads a little HTML in names, labels and hover texts: `<b>`, `<br>`, but links as well. Only
what our figures use of it is let through; every other `<` is written as an entity. (A browser
would not run a script in any case: the page's Content-Security-Policy has a hash for each.)
"""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from spaces.files.visible import visible

logger = logging.getLogger(__name__)

# What a figure may say beyond plain text. None of it takes attributes.
MARKUP = re.compile(r"<(?!/?(?:b|i|br|sub|sup|extra)\s*/?>)", re.IGNORECASE)
# Numbers that Plotly packs in base64.
PACKED = "bdata"
# A line end; and the space of no width with which figures keep `%{` from being a template's.
KEPT = "\n\u200b"
# Beyond any text of ours; Plotly would draw all of it.
MAX_TEXT_CHARS = 4000
MAX_ERROR_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFigure:
    """One chart.

    Attributes:
        name: As `results.figures.FIGURES` calls it.
        title: Its heading on the page.
        shows: A sentence on what it shows.
        spec: `data` and `layout` as Plotly reads them.
    """

    name: str
    title: str
    shows: str
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFigures:
    """All charts that there are, and what went wrong with others.

    Attributes:
        drawn: In the order of the page.
        absent: Title of each that has nothing to draw, and what a run must have for it.
        failed: What to say of each that could not be drawn.
    """

    drawn: tuple[PageFigure, ...] = ()
    absent: tuple[tuple[str, str], ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def absent_in_words(self) -> str:
        """What is not drawn, and why, those of one reason together; empty where all is drawn."""
        titles: dict[str, list[str]] = {}
        for title, needs in self.absent:
            titles.setdefault(needs, []).append(title)
        told = "; ".join(f"{', '.join(each)} (needs {needs})" for needs, each in titles.items())
        return f"Not drawn: {told}." if told else ""


class Drawing(Protocol):
    """What draws one chart, as `results.figures.Figure` does."""

    @property
    def title(self) -> str:
        """Its heading."""

    @property
    def shows(self) -> Callable[[Any], str]:
        """A sentence or two on what it shows of a run."""

    @property
    def needs(self) -> str:
        """What a run must have for it."""

    def __call__(self, view: Any) -> Any:
        """A Plotly figure, None where there is nothing to draw."""


def draw_figures(figures: Mapping[str, Drawing], view: object) -> PageFigures:
    """Draws every figure that has something to draw.

    A chart that cannot be drawn must not cost the rest of the page, nor a search its end: it is
    logged with its traceback, and said on the page.

    Args:
        figures: By name, in the order of the page.
        view: The run that they draw.
    """
    drawn, absent, failed = [], [], []
    for name, drawing in figures.items():
        try:
            figure = drawing(view)
            if figure is None:
                absent.append((drawing.title, drawing.needs))
            else:
                shows, spec = drawing.shows(view), _spec(figure)
                drawn.append(PageFigure(name=name, title=drawing.title, shows=shows, spec=spec))
        except Exception as error:
            logger.warning("the chart %s cannot be drawn", name, exc_info=True)
            reason = f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARS]
            failed.append(f"{drawing.title}: cannot be drawn ({reason})")
    return PageFigures(drawn=tuple(drawn), absent=tuple(absent), failed=tuple(failed))


def _spec(figure: Any) -> dict[str, Any]:
    """A Plotly figure as data, without a theme: the page has its own."""
    spec: dict[str, Any] = _harmless(json.loads(figure.to_json()))
    spec["layout"].pop("template", None)
    return spec


def _harmless(value: Any) -> Any:
    """The same data, its texts as `harmless_text` makes them."""
    if isinstance(value, str):
        return harmless_text(value)
    if isinstance(value, list):
        return [_harmless(each) for each in value]
    if isinstance(value, dict):
        return {key: each if key == PACKED else _harmless(each) for key, each in value.items()}
    return value


def harmless_text(text: str) -> str:
    """A text that Plotly shows as it is, but for bold, slanted, raised and lowered parts."""
    if len(text) > MAX_TEXT_CHARS:
        text = text[:MAX_TEXT_CHARS] + "…"
    return MARKUP.sub("&lt;", visible(text, keep=KEPT))
