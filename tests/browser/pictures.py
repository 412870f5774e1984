"""Pictures of parts of a page, for the documentation."""

from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import chromium

WIDTH_PX = 1280
HEIGHT_PX = 900


def screenshot(
    page_html: Path,
    selector: str,
    out: Path,
    *,
    width_px: int = WIDTH_PX,
    scheme: Literal["light", "dark"] = "light",
    browser: Browser | None = None,
) -> None:
    """Write a PNG of one element of a page, its charts drawn.

    Args:
        page_html: A page of `veer report`.
        selector: CSS of the element, such as `#chart-learning_curves`, `#best` or `body`.
        out: The PNG.
        width_px: Of the window.
        scheme: Colours.
        browser: One that runs; one of its own otherwise.
    """
    if browser is None:
        with chromium() as started:
            screenshot(
                page_html, selector, out, width_px=width_px, scheme=scheme, browser=started
            )
        return
    page = browser.new_page(
        viewport={"width": width_px, "height": HEIGHT_PX},
        color_scheme=scheme,
        device_scale_factor=2,
        reduced_motion="reduce",
    )
    try:
        page.goto(page_html.absolute().as_uri())
        draw_all(page)
        page.locator(selector).first.screenshot(path=out)
    finally:
        page.close()


def draw_all(page: Page) -> None:
    """Bring every chart into view once, and wait until all are drawn."""
    for chart in page.locator("figure.chart").all():
        chart.scroll_into_view_if_needed()
    expect(page.locator("figure.chart:not([data-state=drawn])")).to_have_count(0)
    page.evaluate("scrollTo(0, 0)")


def eventually(page: Page, truth: str) -> None:
    """Wait until an expression is true on the page.

    Playwright's own `wait_for_function` evaluates text in the page, which its policy forbids.

    Raises:
        AssertionError: It is not after 10 s.
    """
    for _ in range(200):
        if page.evaluate(truth):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not true of the page after 10 s: {truth}")
