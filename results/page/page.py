"""Rendering of a report as one HTML file that is safe to open, even if the run is from a stranger.

Every text in a report may come from a config, a file name or a speaker id of another person. So
Jinja2 escapes every value, and invisible characters are written as escapes. As a second defence,
the Content-Security-Policy allows only our scripts and style sheets, each by its hash, no `eval`,
and no loading of anything.

Plotly needs two exceptions: style attributes for its SVG, and an empty style sheet that it fills
by script. Its images for download are blobs and data URLs of the page itself.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from results.page.charts import PageFigures
from spaces.files.atomic import write_text_atomically
from spaces.files.errors import DiskFullError, RunError
from spaces.files.visible import visible

_TEMPLATES = Path(__file__).with_name("templates")
_PAGE = "report.html.jinja"
_CHARTS_PAGE = "charts.html.jinja"
_STYLE = "report.css"
# Our scripts, in this order. Those of the charts need Plotly.
_SCRIPTS = ("table.js", "details.js")
_CHART_SCRIPTS = ("charts.js",)
_KEPT_CONTROLS = "\n\t"
# Characters that could end a script element, or open a comment in it, become JSON escapes.
_JSON_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
# `</script` ends a script element; after `<!--` a browser may ignore its end tag.
_UNSAFE_IN_SCRIPT = re.compile(r"</script|<!--", re.IGNORECASE)
# Plotly adds a style sheet for maps, which our policy would block, unless the page already has an
# element with this id.
_MAP_STYLE_ID = re.compile(r'getElementById\("([0-9a-f]{64})"\)')


class HasCharts(Protocol):
    """The part of a report that this module uses."""

    @property
    def charts(self) -> PageFigures:
        """The charts; without any, Plotly is not embedded."""


def render_page(report: HasCharts) -> str:
    """Return the HTML page of a report.

    Args:
        report: The object that the template calls `report`. Its `data` and charts are embedded as
            JSON.
    """
    return _rendered(_PAGE, report, [_script(_SCRIPTS)])


def render_charts_page(report: HasCharts) -> str:
    """Return an HTML page of texts, tables and charts that are not of one run.

    Args:
        report: The object that the template calls `report`, such as `results.page.charts_page`
            makes it.
    """
    return _rendered(_CHARTS_PAGE, report, [])


def _rendered(name: str, report: HasCharts, scripts: list[str]) -> str:
    style = _text(_STYLE)
    if report.charts.drawn:
        scripts += [plotly_script(), _script(_CHART_SCRIPTS)]
    known = _MAP_STYLE_ID.search("".join(scripts[-2:-1]))
    template = _environment().get_template(name)
    return template.render(
        report=report,
        style=Markup(style),  # noqa: S704 - our own file
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own scripts and Plotly
        placeholder=known.group(1) if known else None,
        policy=content_policy([style], scripts),
    )


def write_page(out: Path, page: str) -> None:
    """Write a page atomically.

    Raises:
        RunError: The file cannot be written.
        DiskFullError: The disk is full.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(out, page)
    except DiskFullError:
        raise
    except OSError as error:
        raise RunError(
            f"{out}: cannot write the page: {error.strerror or error}; choose another file with "
            "--out"
        ) from error


def json_for_script(data: object) -> Markup:
    """Return data as JSON that is safe in a `<script type="application/json">` element.

    The result is ASCII without `<`, `>` and `&`. So it contains neither `</script>` nor `<!--`,
    nor a line separator that JavaScript treats differently from JSON.

    Raises:
        ValueError: The data contains NaN or an infinity, which JSON does not have.
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_JSON_ESCAPES))  # noqa: S704 - all special characters are escaped


def visible_value(value: object) -> object:
    r"""Return a value as text with escapes such as `\x1b` for controls; our own markup is kept."""
    return value if isinstance(value, Markup) else visible(str(value), keep=_KEPT_CONTROLS)


def breakable(name: object) -> Markup:
    """Return a name in which a line may break after each underscore."""
    parts = str(visible_value(name)).split("_")
    return Markup("_<wbr>").join(parts)


def content_policy(styles: Iterable[str], scripts: Iterable[str]) -> str:
    """Return a Content-Security-Policy that allows only these style sheets and scripts, by hash.

    Args:
        styles: Texts of style elements. An empty one is always allowed, because Plotly needs it.
        scripts: Texts of script elements.
    """
    style_hashes = " ".join(map(_hash, (*styles, "")))
    script_hashes = " ".join(map(_hash, scripts)) or "'none'"
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {script_hashes}",
            f"style-src {style_hashes}",
            "style-src-attr 'unsafe-inline'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


@lru_cache(maxsize=1)
def plotly_script() -> str:
    """Return Plotly's JavaScript library from the installed package, some 5 MB.

    Raises:
        ValueError: It contains text that is not allowed in a script element.
    """
    from plotly.offline import get_plotlyjs  # here, because the import takes a second

    return _embeddable(get_plotlyjs(), "plotly.min.js")


def _script(names: Iterable[str]) -> str:
    text = "\n".join(map(_text, names))
    return _embeddable(text, ", ".join(names))


def _embeddable(script: str, name: str) -> str:
    if found := _UNSAFE_IN_SCRIPT.search(script):
        raise ValueError(
            f"{name} must not contain {found.group()!r}, which would break the script element"
        )
    # A browser reads a carriage return as a line feed, so the hash would not match.
    return script.replace("\r\n", "\n").replace("\r", "\n")


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        # Else a misspelt name in the template would show as nothing.
        undefined=StrictUndefined,
        finalize=visible_value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["json"] = json_for_script
    environment.filters["breakable"] = breakable
    return environment
