import json

import pytest

from results.figures import FIGURES
from results.page.report import make_report
from results.page.sections import search_sections
from tests.worlds.goals_run import latency_of, write_goals_run


@pytest.fixture(scope="module")
def goals_view(tmp_path_factory):
    return write_goals_run(tmp_path_factory.mktemp("run") / "run")


def test_veer_by_cpu_time_draws_every_ranked_trial_and_the_front(goals_view):
    figure = FIGURES["veer_by_cpu_time"](goals_view)
    front, *rest = figure.data
    assert sorted(e[0] for e in front.customdata) == sorted(t.trial for t in goals_view.front)
    marks = [trace for trace in rest if trace.customdata]
    drawn = {e[0]: x for t in marks for e, x in zip(t.customdata, t.x, strict=True)}
    assert drawn == {t.trial: round(latency_of(t.trial), 4) for t in goals_view.ranked}
    assert [t.x[0] for t in rest if t.name == "teacher"] == [1.0]
    caption = FIGURES["veer_by_cpu_time"].caption(goals_view)
    assert "front." in caption
    assert "95 % intervals" in caption


def test_the_volume_states_its_reference(goals_view):
    figure = FIGURES["volume_by_epoch"](goals_view)
    assert list(figure.data[0].y) == sorted(figure.data[0].y)
    caption = FIGURES["volume_by_epoch"].caption(goals_view)
    assert "VEER 50, CPU time / teacher 0.87 that" in caption


def test_the_figures_of_goals_need_goals(view, goals_view):
    names = ("veer_by_cpu_time", "veer_by_macs", "volume_by_epoch")
    assert [FIGURES[name](view) for name in names] == [None] * 3
    assert FIGURES["veer_by_macs"](goals_view) is None


def test_the_page_has_the_front_with_its_intervals(goals_view):
    section = next(iter(search_sections(goals_view, None)))
    assert section.id == "front"
    rows = [[cell.text for cell in cells] for cells in section.table.rows]
    best = goals_view.front[0]
    interval = f"{best.best.veer_low_pct:.2f} to {best.best.veer_high_pct:.2f}"
    assert rows[0][:4] == [
        str(best.trial), f"{best.best_veer_pct:.2f}", interval, f"{latency_of(best.trial):.3f}"
    ]  # fmt: skip
    assert len(rows) == len(goals_view.front)
    drawn = {figure.name: figure.spec for figure in make_report(goals_view).charts.drawn}
    assert {"veer_by_cpu_time", "volume_by_epoch"} <= drawn.keys()
    # No colour of text or ground: the page has a light and a dark theme.
    assert "font\": {\"color" not in json.dumps(drawn["veer_by_cpu_time"]["layout"])
