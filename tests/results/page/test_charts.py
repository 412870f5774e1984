"""Charts on the page: text of a run is no markup, and an error in one stops no other."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from results.page.charts import draw_figures, harmless_text
from results.page.report import write_report
from tests.results.pages import Page
from tests.worlds.made_up_run import write_made_up_run


@dataclass(frozen=True)
class Drawn:
    """A chart of a test's own."""

    draw: Callable[[Any], go.Figure | None]
    title: str = "A chart"
    needs: str = "something"

    def caption(self, view: Any) -> str:
        return f"What it shows of {view}."

    def __call__(self, view: Any) -> go.Figure | None:
        return self.draw(view)


def fail(view: Any) -> go.Figure:
    raise ZeroDivisionError(f"no {view}")


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("plain <b>bold</b><br>H<sub>2</sub>O", "plain <b>bold</b><br>H<sub>2</sub>O"),
        ("%{x}<extra></extra>", "%{x}<extra></extra>"),
        ('<a href="javascript:x()">l</a>', '&lt;a href="javascript:x()">l&lt;/a>'),
        ("<b onclick=x()>b</b>", "&lt;b onclick=x()>b</b>"),
        ("<BR><A HREF='https://e.org'>", "<BR>&lt;A HREF='https://e.org'>"),
        ("<span style='x'>", "&lt;span style='x'>"),
        ("<br onload=x>", "&lt;br onload=x>"),
        ("1 < 2 <", "1 &lt; 2 &lt;"),
        ("&lt;a&gt;", "&lt;a&gt;"),
        ("a\u202eb\x1b", "a\\u202eb\\x1b"),
        ("%\u200b{x}", "%\u200b{x}"),
    ],
)
def test_only_markup_without_attributes_is_left_to_plotly(text: str, harmless: str) -> None:
    assert harmless_text(text) == harmless


def test_very_long_text_is_cut() -> None:
    assert len(harmless_text("x" * 100_000)) < 5000


def test_texts_everywhere_in_a_figure_are_harmless_and_numbers_stay() -> None:
    link = '<a href="https://e.org">l</a>'
    figure = go.Figure(
        go.Bar(x=[1.5, 2.5], y=[link, "b"], customdata=[[1, link], [2, ""]], name=link),
        layout={"xaxis": {"title": {"text": link}}, "annotations": [{"text": link}]},
    )
    found = draw_figures({"own": Drawn(lambda _: figure)}, None)
    assert "<a" not in str(found.drawn[0].spec)
    assert found.drawn[0].spec["data"][0]["x"] == [1.5, 2.5]
    assert found.drawn[0].spec["data"][0]["customdata"][0][0] == 1
    assert "template" not in found.drawn[0].spec["layout"]


def test_a_chart_that_fails_is_logged_and_shown_and_the_others_are_drawn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    figures = {
        "fails": Drawn(fail, title="Bad luck"),
        "nothing": Drawn(lambda _: None),
        "works": Drawn(lambda _: go.Figure(), title="Good luck"),
    }
    with caplog.at_level(logging.WARNING):
        found = draw_figures(figures, "view")
    assert [each.title for each in found.drawn] == ["Good luck"]
    assert found.failed == ("Bad luck: cannot be drawn (ZeroDivisionError: no view)",)
    assert "the chart fails cannot be drawn" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_charts_that_are_not_drawn_are_named_with_what_they_need() -> None:
    figures = {
        "drawn": Drawn(lambda _: go.Figure(), title="Drawn"),
        "one": Drawn(lambda _: None, title="DET curves", needs="scores"),
        "other": Drawn(lambda _: None, title="Importance", needs="five trials"),
        "third": Drawn(lambda _: None, title="Scores", needs="scores"),
    }
    text = "Not drawn: DET curves, Scores (needs scores); Importance (needs five trials)."
    assert draw_figures(figures, None).absent_text == text
    assert draw_figures({"drawn": figures["drawn"]}, None).absent_text == ""


def test_a_chart_that_fails_does_not_cost_the_page(
    journal_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("results.figures.FIGURES", {"fails": Drawn(fail, title="Bad luck")})
    page = Page(write_report(RunView.read(journal_run), tmp_path / "report.html"))
    assert "Bad luck: cannot be drawn (ZeroDivisionError" in page.text
    assert len(page.scripts) == 2  # data and our own: without charts Plotly stays away


def test_every_chart_of_a_run_is_on_its_page_with_title_and_caption(tmp_path: Path) -> None:
    run = write_made_up_run(tmp_path / "run", 12)
    page = Page(write_report(RunView.read(run), tmp_path / "report.html"))
    assert {"data-learning_curves", "data-veer_by_parameters", "data-slices"} <= set(page.embedded)
    assert "Learning curves" in page.text
    assert "Validation EER by epoch, one line per trial" in page.text
    needs = "validation scores, which this run did not keep"
    assert "Not drawn: " in page.text
    assert f"Detection error trade-off, Scores (needs {needs})." in page.text
