"""The charts of a page, in a real browser: drawn, clickable, in the page's colours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from results.analysis.run_view import RunView
from results.figures import FIGURES
from results.figures.style import format_value
from results.journal.history import trial_histories
from results.journal.run_folder import RunFolder
from tests.browser.pictures import draw_all, eventually

pytestmark = pytest.mark.browser

MARKS = ".trace path.js-line, .trace path.point, .trace .point path, .trace .bars path, .hm image"
CHOSEN_MARKS = """plot =>
  (plot.data || []).filter(trace => trace.name === "chosen trial" && trace.x.length).length"""
# The trial of a mark that was drawn: Plotly keeps what it drew with the element.
TRIALS_OF = """(points) => points.map((point) => {
  const { trace } = point.closest(".trace").__data__[0];
  return trace.customdata ? trace.customdata[point.__data__.i][0] : null;
})"""
MARKS_OF = """plot =>
  plot.data.filter(trace => trace.name === "chosen trial" && trace.x.length)"""
TITLE = "(plot, axis) => plot._fullLayout[axis.replace('x', 'xaxis')].title.text"
COUNT_REDRAWS = """window.redraws = {};
for (const figure of document.querySelectorAll("figure.chart")) {
  const { chart } = figure.dataset;
  figure.querySelector(".plot").on("plotly_afterplot", () => {
    redraws[chart] = (redraws[chart] || 0) + 1;
  });
}"""
RANGES = """plot => Object.entries(plot._fullLayout)
  .filter(([key]) => /^[xy]axis/.test(key)).map(([key, axis]) => [key, axis.range])"""
FONT = "plot => getComputedStyle(plot.querySelector('.xtick text')).fill"


def test_every_chart_that_the_run_has_is_drawn_with_marks(
    look: Callable[..., Page], run: RunFolder
) -> None:
    view = RunView.read(run)
    expected = [name for name, figure in FIGURES.items() if figure(view) is not None]
    page = look()
    draw_all(page)
    charts = page.locator("figure.chart")
    names = charts.evaluate_all("all => all.map(each => each.dataset.chart)")
    assert names == expected
    assert len(names) >= 3
    counts = {
        name: page.locator(f"#chart-{name}").locator(MARKS).count() for name in names
    }
    assert [name for name, count in counts.items() if count == 0] == []


def test_a_chart_is_drawn_when_it_comes_into_view(look: Callable[..., Page]) -> None:
    page = look()
    last = page.locator("figure.chart").last
    assert last.locator(".main-svg").count() == 0
    last.scroll_into_view_if_needed()
    expect(last.locator(".main-svg").first).to_be_attached()


def test_a_click_on_a_mark_opens_its_trial(look: Callable[..., Page]) -> None:
    page = look()
    draw_all(page)
    chart = page.locator("#chart-veer_by_parameters")
    chart.scroll_into_view_if_needed()
    points = chart.locator(".scatterlayer path.point")
    numbers = points.evaluate_all(TRIALS_OF)
    place = next(place for place, number in enumerate(numbers) if number is not None)
    number, box = numbers[place], points.nth(place).bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#details-title")).to_have_text(f"Trial {number}")
    assert page.url.endswith(f"#trial-{number}")


def test_the_chosen_trial_is_marked_in_charts_and_table(
    look: Callable[..., Page], run: RunFolder
) -> None:
    page = look()
    draw_all(page)
    page.locator("tr[data-trial='0'] td").first.click()
    page.locator("#chart-learning_curves").scroll_into_view_if_needed()
    epochs = trial_histories(run.read())[0].in_order
    [mark] = marks_of(page, "learning_curves")
    assert [x for x in mark["x"] if x is not None] == [each.epoch for each in epochs]
    drawn = [y for y in mark["y"] if y is not None]
    assert drawn == [round(each.veer_pct or 0.0, 3) for each in epochs]
    assert page.locator("tr.chosen").evaluate_all("all => all.map(e => e.dataset.trial)") == ["0"]
    page.keyboard.press("Escape")
    eventually(page, f"({CHOSEN_MARKS})({page_plot('learning_curves')}) === 0")
    assert page.locator("tr.chosen").count() == 0


@pytest.mark.parametrize("trial", [0, 5])
def test_a_mark_stands_at_the_trials_own_values_in_every_subplot(
    look: Callable[..., Page], run: RunFolder, trial: int
) -> None:
    view = RunView.read(run)
    history = view.histories[trial]
    assert history.best is not None
    page = look(place=f"#trial-{trial}")
    page.locator("#chart-slices").scroll_into_view_if_needed()
    slices = page.locator("#chart-slices .plot")
    found = {}
    for mark in marks_of(page, "slices"):
        name = slices.evaluate(TITLE, mark["xaxis"])
        found[name] = points_of(mark)
    best_pct = round(history.best.veer_pct, 3)
    # Choices are at their indices in the space, numbers at their values.
    places = {"distillation": ["none", "mse", "cosine"], "num_blocks": [2, 4, 6]}
    assert found == {
        (short := view.short_names[name]): [
            (places[short].index(value) if short in places else value, best_pct)
        ]
        for name, value in history.params.items()
    }


def test_a_mark_stands_at_the_trials_size_and_veer(
    look: Callable[..., Page], run: RunFolder
) -> None:
    trial = trial_histories(run.read())[5]
    assert trial.best is not None
    page = look(place="#trial-5")
    page.locator("#chart-veer_by_parameters").scroll_into_view_if_needed()
    [mark] = marks_of(page, "veer_by_parameters")
    expected = (trial.best.num_params, round(trial.best_veer_pct or 0.0, 4))
    assert set(points_of(mark)) == {expected}


def test_charts_out_of_view_are_left_alone_until_they_come_into_view(
    look: Callable[..., Page],
) -> None:
    page = look()
    draw_all(page)
    page.wait_for_timeout(300)
    page.evaluate(COUNT_REDRAWS)
    page.locator("tr[data-trial='0'] td").first.click()
    expect(page.locator("#details-title")).to_have_text("Trial 0")
    page.wait_for_timeout(500)
    assert page.evaluate("redraws") == {}
    page.locator("#chart-learning_curves").scroll_into_view_if_needed()
    marks_of(page, "learning_curves")
    page.wait_for_timeout(300)
    drawn = page.evaluate("redraws")
    assert 1 <= drawn["learning_curves"] <= 2  # beside the details it is narrower, too
    assert "timeline" not in drawn
    page.locator("#chart-timeline").scroll_into_view_if_needed()
    page.locator("#chart-learning_curves").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    assert page.evaluate("redraws")["learning_curves"] == drawn["learning_curves"]


def test_hovering_a_mark_shows_the_config(look: Callable[..., Page], run: RunFolder) -> None:
    page = look()
    draw_all(page)
    chart = page.locator("#chart-veer_by_parameters")
    chart.scroll_into_view_if_needed()
    points = chart.locator(".scatterlayer path.point")
    numbers = points.evaluate_all(TRIALS_OF)
    box = points.nth(place := numbers.index(0)).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(chart.locator(".hoverlayer .hovertext")).to_have_count(1)
    lines = chart.locator(".hoverlayer .hovertext .nums tspan.line").all_text_contents()
    assert lines[0].startswith(f"trial {numbers[place]}, ")
    view = RunView.read(run)
    params = view.histories[0].params
    assert params
    for name, value in params.items():
        assert f"{view.short_names[name]}: {format_value(value)}" in lines


def test_shares_of_the_loss_stay_as_they_are_when_a_trial_is_chosen(
    look: Callable[..., Page], run: RunFolder
) -> None:
    best = RunView.read(run).ranked[0].trial
    page = look()
    draw_all(page)
    page.locator("#chart-loss_shares").scroll_into_view_if_needed()
    plot = page.locator("#chart-loss_shares .plot")
    assert plot.evaluate("(plot, n) => plot.data.some(e => e.customdata[0][0] === n)", best)
    before = plot.evaluate(RANGES)
    page.evaluate(f"location.hash = 'trial-{best}'")
    page.wait_for_timeout(300)
    assert plot.evaluate(CHOSEN_MARKS) == 0
    assert plot.evaluate(RANGES) == before


def test_charts_take_the_colours_of_the_page_and_follow_a_change(
    look: Callable[..., Page],
) -> None:
    page = look(scheme="light")
    draw_all(page)
    plot = page.locator("#chart-learning_curves .plot")
    assert plot.evaluate(FONT) == "rgb(27, 31, 36)"
    page.emulate_media(color_scheme="dark")
    eventually(page, f"({FONT})({page_plot('learning_curves')}) === 'rgb(230, 233, 237)'")


def test_a_chart_can_be_kept_as_a_picture(look: Callable[..., Page], tmp_path: Path) -> None:
    page = look()
    draw_all(page)
    chart = page.locator("#chart-learning_curves")
    chart.scroll_into_view_if_needed()
    chart.hover()
    with page.expect_download() as download:
        chart.locator("a.modebar-btn[data-title^='Download'], button.modebar-btn").first.click()
    picture = tmp_path / "chart.png"
    download.value.save_as(picture)
    assert download.value.suggested_filename == "first-learning_curves.png"
    assert picture.read_bytes()[:4] == b"\x89PNG"


def marks_of(page: Page, name: str) -> list[dict[str, Any]]:
    """Return the traces of a chart that mark the chosen trial, once there are any."""
    eventually(page, f"({CHOSEN_MARKS})({page_plot(name)}) > 0")
    marks: list[dict[str, Any]] = page.evaluate(f"({MARKS_OF})({page_plot(name)})")
    return marks


def points_of(mark: dict[str, Any]) -> list[tuple[float, float]]:
    """Return the positions of a mark, without its gaps."""
    return [(x, y) for x, y in zip(mark["x"], mark["y"], strict=True) if y is not None]


def page_plot(name: str) -> str:
    return f"document.querySelector('#chart-{name} .plot')"
