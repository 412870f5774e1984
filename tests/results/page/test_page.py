"""No text of a run can break out of its place in the page."""

import fnmatch
import json
import tomllib
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import Markup

from results.page.page import content_policy, json_for_script, plotly_script, visible_value

ROOT = Path(__file__).parents[3]
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>",
    "a\u2028b\u2029c",
    "&lt;/script&gt;",
    "\\u003c/script>",
    '"\\',
    "\ud800",
)


class Scripts(HTMLParser):
    """A parser that counts script elements and keeps their content."""

    def __init__(self) -> None:
        super().__init__()
        self.num_scripts = 0
        self.content = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.num_scripts += tag == "script"

    def handle_data(self, data: str) -> None:
        self.content += data


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_embedded_data_stays_in_its_element_and_is_read_back(text: str) -> None:
    data = {text: [text, 1.5, None]}
    embedded = json_for_script(data)
    assert embedded.isascii()
    assert not set("<>&") & set(embedded)
    page = Scripts()
    page.feed(f'<script type="application/json">{embedded}</script>')
    assert page.num_scripts == 1
    assert json.loads(page.content) == data


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_lacks_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_for_script([number])


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain, é, 中", "plain, é, 中"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x00", "\\x1b[31mred\\x00"),
        ("evil\u202egnp.exe", "evil\\u202egnp.exe"),
        ("zero\u200bwidth\u2028", "zero\\u200bwidth\\u2028"),
        ("half \ud800", "half \\ud800"),
        (7, "7"),
    ],
)
def test_characters_that_no_screen_shows_are_shown_as_escapes(text: object, seen: str) -> None:
    assert visible_value(text) == seen


def test_markup_of_our_own_is_left_as_it_is() -> None:
    ours = Markup("<b>\u200b</b>")
    assert visible_value(ours) is ours


def test_the_policy_allows_these_scripts_and_style_sheets_by_their_hashes() -> None:
    def hashed(text: str) -> str:
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    assert content_policy(["p {}"], ["a()", "b()"]).split("; ") == [
        "default-src 'none'",
        f"script-src {hashed('a()')} {hashed('b()')}",
        f"style-src {hashed('p {}')} {hashed('')}",
        "style-src-attr 'unsafe-inline'",
        "img-src data: blob:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert "script-src 'none'" in content_policy([], [])


def test_plotly_can_stand_in_a_page() -> None:
    script = plotly_script()
    assert len(script) > 1_000_000
    assert "</script" not in script.lower()
    assert "\r" not in script


def test_every_file_beside_the_code_is_packaged() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = config["package-data"]["*"]
    files = [
        file
        for file in (ROOT / "results").rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc", ".md")
    ]
    names = {"report.html.jinja", "report.css", "table.js", "details.js", "charts.js"}
    assert names <= {file.name for file in files}
    left = [f.name for f in files if not any(fnmatch.fnmatch(f.name, p) for p in patterns)]
    assert left == []
