"""How a page looks, in a real browser: nothing cut off, legible, not blank, quick."""

import struct
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from results.analysis.run_view import RunView
from results.page.report import write_report
from tests.browser.pictures import draw_all, eventually, screenshot

pytestmark = pytest.mark.browser

LARGEST_BYTES = 15_000_000
SLOWEST_PAINT_MS = 2000
LEAST_CONTRAST = 4.5
# Elements that extend beyond the page, except in parts that scroll by themselves.
OUTSIDE = """() => [...document.querySelectorAll("body *")].filter((each) => {
  const box = each.getBoundingClientRect();
  const width = document.documentElement.clientWidth;
  const isBeyond = box.right > width + 1 || box.left < -1;
  return box.width && isBeyond && !each.closest(".scroll, pre, svg");
}).map((each) => each.outerHTML.slice(0, 120))"""
# Texts of charts that their SVG cuts off.
CUT = """() => [...document.querySelectorAll(".plot text")].filter((each) => {
  const [box, plot] = [each, each.closest(".plot")].map((e) => e.getBoundingClientRect());
  const isAcross = box.left < plot.left - 1 || box.right > plot.right + 1;
  const isUpOrDown = box.top < plot.top - 1 || box.bottom > plot.bottom + 1;
  return box.width && each.textContent && (isAcross || isUpOrDown);
}).map((each) => `${each.closest("figure").id}: ${each.textContent}`)"""
# Texts whose contrast with their background, by the formula of WCAG 2, is below the minimum.
FAINT = """(least) => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const luminance = (rgb) => rgb.map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
  const under = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const { rgb, a } = parse(getComputedStyle(each).backgroundColor);
      if (a === 1) return rgb;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const each of document.querySelectorAll("body *")) {
    const isText = [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!isText || !each.getClientRects().length || each.closest("script, option")) continue;
    const style = getComputedStyle(each);
    const { rgb } = parse(each.closest("svg") ? style.fill : style.color);
    const [dark, light] = [luminance(rgb), luminance(under(each))].sort((a, b) => a - b);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < least) found.push(`${contrast.toFixed(2)} ${each.outerHTML.slice(0, 120)}`);
  }
  return found;
}"""
RIGHT = "name => document.querySelector(name).getBoundingClientRect().right"
SIZES = "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width_px", [1280, 390])
def test_nothing_is_cut_off_and_every_text_is_legible(
    look: Callable[..., Page], width_px: int, scheme: str
) -> None:
    page = look(width_px=width_px, scheme=scheme)
    draw_all(page)
    scrolled, visible = page.evaluate(SIZES)
    assert scrolled <= visible == width_px
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(CUT) == []
    assert page.evaluate(FAINT, LEAST_CONTRAST) == []
    page.evaluate("location.hash = 'trial-0'")
    expect(page.locator("#details")).to_be_visible()
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(FAINT, LEAST_CONTRAST) == []


def test_details_cover_nothing_of_a_wide_page(look: Callable[..., Page]) -> None:
    page = look(place="#trial-0")
    page.locator("#chart-learning_curves").scroll_into_view_if_needed()
    expect(page.locator("#chart-learning_curves[data-state=drawn]")).to_have_count(1)
    expect(page.locator("#details")).to_be_visible()
    panel = page.locator("#details").bounding_box()
    assert panel is not None
    for part in ("#best", "#trials .tall", "#chart-learning_curves .main-svg"):
        eventually(page, f"({RIGHT})({part!r}) <= {panel['x']}")
    page.keyboard.press("Escape")
    eventually(page, f"({RIGHT})('#chart-learning_curves .main-svg') > {panel['x']}")


def test_rank_and_trial_stay_in_sight_on_a_narrow_page(look: Callable[..., Page]) -> None:
    page = look(width_px=390)
    cells = page.locator("tr[data-trial='0'] td")
    before = [cells.nth(place).bounding_box() for place in range(3)]
    page.locator(".tall").evaluate("table => { table.scrollLeft = 100; }")
    after = [cells.nth(place).bounding_box() for place in range(3)]
    assert None not in before + after
    moved = [round(b["x"] - a["x"]) for b, a in zip(before, after, strict=True) if a and b]
    assert moved == [0, 0, 100]


def test_no_tile_of_the_best_trial_is_alone_in_a_row(look: Callable[..., Page]) -> None:
    page = look()
    tops = "all => all.map(each => each.getBoundingClientRect().top)"
    tiles = page.locator("dl.tiles > div")
    while (count := tiles.count()) > 3:
        rows = Counter(tiles.evaluate_all(tops))
        assert min(rows.values()) > 1, f"{count} tiles in rows of {list(rows.values())}"
        tiles.last.evaluate("each => each.remove()")


@pytest.mark.parametrize(
    ("scheme", "ground"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(15, 19, 23)")]
)
def test_a_page_has_the_colours_that_are_wished_and_is_not_blank(
    look: Callable[..., Page], tmp_path: Path, scheme: str, ground: str
) -> None:
    page = look(scheme=scheme)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
    page.screenshot(path=tmp_path / "top.png")
    chart = page.locator("#chart-learning_curves")
    chart.scroll_into_view_if_needed()
    expect(chart).to_have_attribute("data-state", "drawn")
    chart.screenshot(path=tmp_path / "chart.png")
    for picture in ("top.png", "chart.png"):
        assert len(set(rows_of(tmp_path / picture))) > 50


def test_a_chart_can_be_pictured_for_the_documentation(
    browser: Browser, report: Path, tmp_path: Path
) -> None:
    out = tmp_path / "chart.png"
    screenshot(report, "#chart-veer_by_parameters", out, width_px=600, browser=browser)
    width, height = struct.unpack(">II", out.read_bytes()[16:24])
    assert (width > 1000, height > 600) == (True, True)  # two pixels a point
    assert len(set(rows_of(out))) > 50


def test_a_page_of_a_thousand_trials_is_small_and_seen_at_once(
    look: Callable[..., Page], many: Path
) -> None:
    assert many.stat().st_size < LARGEST_BYTES
    page = look(many)
    expect(page.locator("#count")).to_have_text("1,000 rows")
    paints = page.evaluate("performance.getEntriesByType('paint').map(each => each.startTime)")
    assert paints
    assert max(paints) < SLOWEST_PAINT_MS
    draw_all(page)
    assert page.evaluate(OUTSIDE) == []


def test_paper_shows_all_of_it_in_dark_ink(look: Callable[..., Page]) -> None:
    page = look(scheme="dark")
    draw_all(page)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 31, 36)"
    assert not page.locator("nav").is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.tall')).maxHeight") == "none"
    font = "getComputedStyle(document.querySelector('.plot .xtick text')).fill"
    eventually(page, f"{font} === 'rgb(27, 31, 36)'")


def test_a_run_without_trials_has_a_quiet_page(look: Callable[..., Page], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "journal.jsonl").write_text("")
    page = look(write_report(RunView.read(tmp_path / "run")))
    expect(page.get_by_text("No trial has started yet.")).to_be_visible()
    assert page.locator("figure.chart").count() == 0


def rows_of(png: Path) -> list[bytes]:
    """Return the filtered rows of pixels of a PNG file, as stored."""
    content = png.read_bytes()
    place, packed = 8, b""
    height = struct.unpack(">I", content[20:24])[0]
    while place < len(content):
        size, kind = struct.unpack(">I4s", content[place : place + 8])
        packed += content[place + 8 : place + 8 + size] if kind == b"IDAT" else b""
        place += 12 + size
    pixels = zlib.decompress(packed)
    step = len(pixels) // height
    return [pixels[start : start + step] for start in range(0, len(pixels), step)]
