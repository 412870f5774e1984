"""How a report becomes one HTML file that nothing in it can turn against the reader.

Everything in a report may come from a config, a file name or a speaker id of somebody else, so
Jinja2 escapes every value, and characters that a screen does not show are written as escapes. A
Content-Security-Policy stands behind that: the page runs no script and loads nothing.
"""

import json
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from spaces.visible import visible

TEMPLATES = Path(__file__).with_name("templates")
PAGE = "report.html.jinja"
STYLE = "report.css"
SHOWN_CONTROLS = "\n\t"
# What ends a script element, or opens a comment in one, is written as JSON's own escapes.
JSON_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def render_page(report: object) -> str:
    """The page of a report, as the template shows it.

    Args:
        report: What the template calls `report`; its `data` is embedded as JSON.
    """
    style = (TEMPLATES / STYLE).read_text(encoding="utf-8")
    template = _environment().get_template(PAGE)
    policy = content_policy(style)
    return template.render(
        report=report,
        style=Markup(style),  # noqa: S704 - a file of ours
        policy=policy,
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


def content_policy(style: str) -> str:
    """The page's Content-Security-Policy: nothing but the style sheet, by its hash."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


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
    return environment
