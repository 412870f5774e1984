"""How a report becomes one HTML file that nothing in it can turn against the reader.

Everything in a report may come from a config, a file name or a speaker id of somebody else, so
Jinja2 escapes every value, and characters that a screen does not show are written as escapes. A
Content-Security-Policy stands behind that: of scripts and style sheets only ours run, each by its
hash, none by `eval`, and nothing is loaded.

Plotly needs two things besides: style attributes (of its SVG), and an empty style sheet that it
fills by rules. Its images for download are blobs and data of the page's own.
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
from spaces.files.visible import visible

TEMPLATES = Path(__file__).with_name("templates")
PAGE = "report.html.jinja"
STYLE = "report.css"
# Scripts of ours, in this order; those of the charts need Plotly.
SCRIPTS = ("table.js", "details.js")
CHART_SCRIPTS = ("charts.js",)
SHOWN_CONTROLS = "\n\t"
# What ends a script element, or opens a comment in one, is written as JSON's own escapes.
JSON_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
# What would end a script element, or make it last beyond its end.
ENDS_A_SCRIPT = re.compile(r"</script|<!--", re.IGNORECASE)
# Plotly brings the style sheet of its maps, which we have none of, unless the page has an element
# of this name already.
STYLE_OF_MAPS = re.compile(r'getElementById\("([0-9a-f]{64})"\)')


class Charted(Protocol):
    """A report, as far as this module must know it."""

    @property
    def charts(self) -> PageFigures:
        """Its charts; without any, the page does without Plotly."""


def render_page(report: Charted) -> str:
    """The page of a report, as the template shows it.

    Args:
        report: What the template calls `report`; its `data` and figures are embedded as JSON.
    """
    style = _text(STYLE)
    scripts = [_script(SCRIPTS)]
    if report.charts.drawn:
        scripts += [plotly_script(), _script(CHART_SCRIPTS)]
    known = STYLE_OF_MAPS.search("".join(scripts[1:2]))
    template = _environment().get_template(PAGE)
    return template.render(
        report=report,
        style=Markup(style),  # noqa: S704 - a file of ours
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - ours and Plotly's
        placeholder=known.group(1) if known else None,
        policy=content_policy([style], scripts),
    )


def json_for_script(data: object) -> Markup:
    """Data as JSON that stands in a `<script type="application/json">` and cannot end it.

    Pure ASCII, without `<`, `>` and `&`: neither `</script>` nor `<!--` nor a line separator that
    JavaScript knows and JSON does not.

    Raises:
        ValueError: The data holds NaN or an infinity, which JSON lacks.
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(JSON_ESCAPES))  # noqa: S704 - what could end it is escaped


def shown(value: object) -> object:
    r"""A value as text in which a control is an escape, `\x1b`; markup of our own as it is."""
    return value if isinstance(value, Markup) else visible(str(value), keep=SHOWN_CONTROLS)


def wrapping(name: object) -> Markup:
    """A name whose line may be broken after an underscore."""
    parts = str(shown(name)).split("_")
    return Markup("_<wbr>").join(parts)


def content_policy(styles: Iterable[str], scripts: Iterable[str]) -> str:
    """The page's Content-Security-Policy: these style sheets and scripts, by their hashes.

    Args:
        styles: Texts of style elements; an empty one is allowed too.
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
    """Plotly's library as the installed package has it, some 5 MB.

    Raises:
        ValueError: It cannot stand in a script element as it is.
    """
    from plotly.offline import get_plotlyjs  # a second that no other page needs

    return _embeddable(get_plotlyjs(), "plotly.min.js")


def _script(names: Iterable[str]) -> str:
    text = "\n".join(map(_text, names))
    return _embeddable(text, ", ".join(names))


def _embeddable(script: str, name: str) -> str:
    if found := ENDS_A_SCRIPT.search(script):
        raise ValueError(f"{name} must not hold {found.group()!r}: no script element may")
    # A browser reads a carriage return as a line feed, and the hash would be another's.
    return script.replace("\r\n", "\n").replace("\r", "\n")


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["json"] = json_for_script
    environment.filters["wrapping"] = wrapping
    return environment
