"""The model card shows text of a run as text, whatever markup it contains."""

import pytest

from results.analysis.run_view import RunView
from results.export.export import export_trial
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.search_records import SearchStarted
from results.terminal.quoting import escape_markdown, inline_code

HOSTILE = "<script>x</script>\n# owned\n[a](http://x) `b` *c* | d &lt; \x1b[2J"


def test_names_are_shown_and_not_obeyed(trained_run: RunFolder) -> None:
    folder = export_trial(RunView.read(trained_run)).folder
    before = folder.joinpath("README.md").read_text().splitlines()
    settings = trained_run.read()[0].settings
    with Journal(trained_run.journal) as journal:
        journal.append(SearchStarted(settings=settings, provenance={HOSTILE: HOSTILE}))
    card = export_trial(RunView.read(trained_run)).folder.joinpath("README.md").read_text()
    added = [line for line in card.splitlines() if line not in before]
    assert added == [f"- {escape_markdown(HOSTILE)}: {escape_markdown(HOSTILE)}"]
    assert "<script" not in card.replace("\\<", "")
    assert "\x1b" not in card


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mlp_mixer, 2.11.0+cu128", "mlp_mixer, 2.11.0+cu128"),
        ("<b>", "\\<b\\>"),
        ("[a](b)", "\\[a\\](b)"),
        ("a | b", "a \\| b"),
        ("a\n# b", "a\\\\n# b"),
        ("`a` &amp;", "\\`a\\` \\&amp;"),
    ],
)
def test_marks_of_markdown_are_escaped(text: str, shown: str) -> None:
    assert escape_markdown(text) == shown


def test_code_does_not_end_before_its_end() -> None:
    assert inline_code("a`b\n<c>") == "`a'b\\n<c>`"
