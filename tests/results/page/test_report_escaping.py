"""Hostile text in a journal, in whatever field, is text on the page and nothing else."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from results.page.page import visible_value as on_page
from results.page.report import write_report
from results.records.record import Record
from tests.results.pages import Page, rich_records, write_run

PAYLOADS = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{7*7}}{% raw %}${7*7}",
    "javascript:alert(1)",
    "<!-- <style>*{display:none}</style>",
    "line\u2028separator\u2029",
    "\x1b[31m\x1b]0;title\x07\x00",
    "evil\u202egnp.exe\u2066",
    "</style></title></textarea></svg><iframe src=//x>",
    "&lt;b&gt;&#x3c;",
    "`$(touch injected)`;touch injected",
)
# Their keys, too, come from files and configs.
OPEN = frozenset(
    {"params", "success", "provenance", "versions", "hardware", "lists", "stores", "git"}
)
STRUCTURE = frozenset({"reason", "distillation", "stages", "limit"})
# A journal with another word in these is refused where it is read.
CHECKED = frozenset({"event", "state", "kind", "resource", "follow_up"})


@pytest.fixture
def page_of(tmp_path: Path) -> Callable[[RunFolder], Page]:
    return lambda run: Page(write_report(RunView.read(run), tmp_path / "page" / "report.html"))


def renamed(record: Record, new: Callable[[str], str], kept: frozenset[str]) -> Any:
    """The fields of a record with every text replaced, but that of the keys kept."""
    is_end = record.event == "search_ended"
    return rewritten(record.as_dict(), new, kept | {"reason"} if is_end else kept)


def rewritten(value: Any, new: Callable[[str], str], kept: frozenset[str], key: str = "") -> Any:
    """The same data with every text replaced, but that of the keys kept."""
    if isinstance(value, Mapping):
        is_open = key in OPEN
        return {
            new(name) if is_open else name: rewritten(item, new, kept, name)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [rewritten(each, new, kept, key) for each in value]
    return new(value) if isinstance(value, str) and key not in kept else value


class Names:
    """Another text for every text, always the same for the same."""

    def __init__(self, pattern: Callable[[int], str]) -> None:
        self.pattern = pattern
        self.given: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        return self.given.setdefault(text, self.pattern(len(self.given)))


@pytest.mark.parametrize("kept", [STRUCTURE, frozenset()], ids=["values", "values and kinds"])
@pytest.mark.parametrize("shift", range(3))
@pytest.mark.parametrize("fixture", ["journal_run", "shared_run"])
def test_hostile_text_in_every_field_is_text_on_the_page(
    fixture: str,
    shift: int,
    kept: frozenset[str],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    page_of: Callable[[RunFolder], Page],
) -> None:
    records = rich_records(request.getfixturevalue(fixture))
    mild = Names(lambda number: f"mild{number}end")
    wild = Names(lambda number: f"{PAYLOADS[(number + shift) % len(PAYLOADS)]}{number}end")
    always = kept | CHECKED
    mild_run = write_run(
        tmp_path / "mild", [renamed(r, mild, always) for r in records], b"mild space"
    )
    wild_run = write_run(
        tmp_path / "\"><img src=x onerror=alert(1)>{{7*7}}'\x1b\u202e",
        [renamed(r, wild, always) for r in records],
        "\n".join(PAYLOADS).encode() + b"\xff\x00",
    )
    harmless, hostile = page_of(mild_run), page_of(wild_run)
    assert hostile.elements == harmless.elements
    assert hostile.others == harmless.others == []
    shown = [text for text, name in mild.given.items() if name in harmless.text]
    assert len(shown) > 20
    # A unit may be shown in capitals.
    text = hostile.text.casefold()
    assert [t for t in shown if str(on_page(wild.given[t])).casefold() not in text] == []
    assert str(on_page(wild_run.path.name)) in hostile.text
    assert all(str(on_page(each)) in hostile.folded for each in PAYLOADS)
