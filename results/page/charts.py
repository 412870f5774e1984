"""The charts of a page: Plotly figures as JSON, in which text of a run cannot act as markup.

Plotly reads some HTML in names, labels and hover texts: `<b>` and `<br>`, but also links. Only the
tags that our charts use are kept; every other `<` becomes an entity. (A browser would not run a
script in any case, since the Content-Security-Policy of the page allows only scripts by hash.)
"""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from spaces.files.visible import visible

logger = logging.getLogger(__name__)

# Every `<` that does not start one of the allowed tags, which must be without attributes.
_FORBIDDEN_MARKUP = re.compile(r"<(?!/?(?:b|i|br|sub|sup|extra)\s*/?>)", re.IGNORECASE)
# Key of the numbers that Plotly packs in base64.
_PACKED_KEY = "bdata"
# A line end, and the zero-width space by which `escape_template` of the charts breaks `%{`.
_KEPT_CONTROLS = "\n\u200b"
# More than any text of our own has. Plotly would draw a text of any length.
_MAX_TEXT_CHARS = 4000
_MAX_ERROR_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFigure:
    """One chart on the page.

    Attributes:
        name: Name of the chart in `results.figures.FIGURES`.
        title: Heading of the chart on the page.
        caption: A sentence or two on what the chart shows.
        spec: `data` and `layout` in the form that Plotly reads.
    """

    name: str
    title: str
    caption: str
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFigures:
    """All charts of the page, and the reasons why others are missing.

    Attributes:
        drawn: Charts in the order of the page.
        absent: Title of each chart without data, and the data that a run must have for it.
        failed: A message for each chart that could not be drawn because of an error.
    """

    drawn: tuple[PageFigure, ...] = ()
    absent: tuple[tuple[str, str], ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def absent_text(self) -> str:
        """The charts without data, grouped by what they need; empty if there are none."""
        titles: dict[str, list[str]] = {}
        for title, needs in self.absent:
            titles.setdefault(needs, []).append(title)
        groups = (f"{', '.join(each)} (needs {needs})" for needs, each in titles.items())
        return f"Not drawn: {'; '.join(groups)}." if titles else ""


class Drawing(Protocol):
    """The part of `results.figures.Figure` that this module uses.

    A protocol, since importing `results.figures` takes a second.
    """

    @property
    def title(self) -> str:
        """Heading of the chart."""

    @property
    def caption(self) -> Callable[[Any], str]:
        """Returns a sentence or two on what the chart of a run shows."""

    @property
    def needs(self) -> str:
        """The data that a run must have for the chart."""

    def __call__(self, view: Any) -> Any:
        """Draw a Plotly figure; None where there is nothing to draw."""


def draw_figures(figures: Mapping[str, Drawing], view: object) -> PageFigures:
    """Draw every chart for which the run has data.

    An error in a chart must stop neither the rest of the page nor a search at its end. So it is
    logged with its traceback, and the page shows a message.

    Args:
        figures: Charts by name, in the order of the page.
        view: The run.
    """
    drawn, absent, failed = [], [], []
    for name, drawing in figures.items():
        try:
            figure = drawing(view)
            if figure is None:
                absent.append((drawing.title, drawing.needs))
            else:
                caption, spec = drawing.caption(view), _spec(figure)
                drawn.append(
                    PageFigure(name=name, title=drawing.title, caption=caption, spec=spec)
                )
        except Exception as error:
            logger.warning("the chart %s cannot be drawn", name, exc_info=True)
            reason = f"{type(error).__name__}: {error}"[:_MAX_ERROR_CHARS]
            failed.append(f"{drawing.title}: cannot be drawn ({reason})")
    return PageFigures(drawn=tuple(drawn), absent=tuple(absent), failed=tuple(failed))


def _spec(figure: Any) -> dict[str, Any]:
    """Return a Plotly figure as plain data, without its template: the page has a theme."""
    spec: dict[str, Any] = _harmless(json.loads(figure.to_json()))
    spec["layout"].pop("template", None)
    return spec


def _harmless(value: Any) -> Any:
    """Return the same data with `harmless_text` applied to every text."""
    if isinstance(value, str):
        return harmless_text(value)
    if isinstance(value, list):
        return [_harmless(each) for each in value]
    if isinstance(value, dict):
        return {
            key: each if key == _PACKED_KEY else _harmless(each) for key, each in value.items()
        }
    return value


def harmless_text(text: str) -> str:
    """Return text in which Plotly finds no markup except tags for fonts and line ends."""
    if len(text) > _MAX_TEXT_CHARS:
        text = text[:_MAX_TEXT_CHARS] + "…"
    return _FORBIDDEN_MARKUP.sub("&lt;", visible(text, keep=_KEPT_CONTROLS))
