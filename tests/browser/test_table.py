"""The table of trials, in a real browser: sorted, filtered, by mouse and by keyboard."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import MANY_TRIALS, NUM_TRIALS

pytestmark = pytest.mark.browser

COLUMN = """(rows, place) => rows.filter((row) => !row.hidden)
  .map((row) => row.cells[place].textContent)"""


def heading(page: Page, text: str) -> Locator:
    return page.locator("#trials th", has=page.get_by_text(text, exact=True))


def column(page: Page, text: str) -> list[str]:
    """Return the texts of a column in the visible rows, from top to bottom."""
    place = heading(page, text).evaluate("each => each.cellIndex")
    texts: list[str] = page.locator("#trials tr[data-trial]").evaluate_all(COLUMN, place)
    return texts


def numbers(texts: list[str]) -> list[float]:
    # A cell has the VEER before its interval.
    return [float(text.split()[0].replace(",", "")) for text in texts if text != "-"]


def test_a_click_sorts_and_another_turns_round(look: Callable[..., Page]) -> None:
    page = look()
    sizes = numbers(column(page, "parameters"))
    assert sizes != sorted(sizes)
    button = heading(page, "parameters").locator("button")
    button.click()
    assert heading(page, "parameters").get_attribute("aria-sort") == "ascending"
    assert numbers(column(page, "parameters")) == sorted(sizes)
    button.click()
    assert heading(page, "parameters").get_attribute("aria-sort") == "descending"
    shown = column(page, "parameters")
    assert numbers(shown) == sorted(sizes, reverse=True)
    assert shown[-1] == "-"  # a trial that never began has none, and comes last all the same
    assert page.locator("#trials th[aria-sort]").count() == 1
    assert page.locator("#trials tbody tr").first.get_attribute("class") == "pinned"


def test_the_keyboard_sorts_and_opens_a_trial(look: Callable[..., Page]) -> None:
    page = look()
    heading(page, "epochs").locator("button").focus()
    page.keyboard.press("Enter")
    epochs = numbers(column(page, "epochs"))
    assert epochs == sorted(epochs)
    link = page.locator("#trials tr[data-trial='7'] a")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#details-title")).to_have_text("Trial 7")
    assert page.evaluate("document.activeElement.id") == "close"
    page.keyboard.press("Escape")
    expect(page.locator("#details")).not_to_be_visible()
    assert link.evaluate("each => each === document.activeElement")


def test_words_and_state_filter_the_rows(look: Callable[..., Page]) -> None:
    page = look()
    every = column(page, "state")
    assert len(every) == NUM_TRIALS
    expect(page.locator("#count")).to_have_text(f"{NUM_TRIALS} rows")
    page.locator("#state").select_option("stopped_early")
    assert set(column(page, "state")) == {"stopped early"}
    stopped = every.count("stopped early")
    expect(page.locator("#count")).to_have_text(f"{stopped} of {NUM_TRIALS} rows")
    page.locator("#words").fill("cosine")
    assert set(column(page, "distill")) == {"cosine"}
    assert 0 < len(column(page, "state")) < stopped
    page.locator("#state").select_option("")
    page.locator("#words").fill("no such words")
    assert column(page, "state") == []


def test_a_thousand_rows_are_sorted(
    look: Callable[..., Page], many: Path
) -> None:
    page = look(many)
    button = heading(page, "VEER %").locator("button")
    button.click()
    button.click()
    veers = column(page, "VEER %")
    assert len(veers) == MANY_TRIALS
    assert numbers(veers) == sorted(numbers(veers), reverse=True)
