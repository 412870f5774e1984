"""Text of a foreign run stays text in the browser, wherever it is shown."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from results.analysis.run_view import RunView
from results.page.report import write_report
from results.records.record import Record, TrialRecord
from results.records.trial_records import TrialEnded, TrialPlaced, TrialStarted
from tests.browser.pictures import draw_all
from tests.results.pages import write_run
from tests.worlds.journals import changed
from tests.worlds.made_up_run import write_made_up_run

pytestmark = pytest.mark.browser

# Plotly reads some HTML: links, styles, and entities that would become markup if read twice.
PAYLOADS = (
    '<a href="javascript:injected()">click</a>',
    '<a href="https://example.org/x" target="_top">click</a>',
    "<b onmouseover=injected()>bold</b>",
    '<span style="background:url(https://example.org/y)">s</span>',
    "<img src=x onerror=injected()>",
    "</script><script>injected()</script>",
    "&lt;img src=x onerror=injected()&gt;",
    "%{customdata[0]}<extra></extra>",
    "javascript:injected()",
    "\u202egnp.exe",
)
LINKS = """() => [...document.querySelectorAll("a")]
  .map((each) => each.getAttribute("href") || each.getAttribute("xlink:href") || "")
  .filter((href) => href && !href.startsWith("#"))"""
HOVER = """(plot) => {
  const shown = [];
  for (const trace of plot._fullData) {
    if (!trace.customdata || trace.hoverinfo === "skip") continue;
    const last = { curveNumber: trace.index, pointNumber: trace.customdata.length - 2 };
    Plotly.Fx.hover(plot, [last], `${trace.xaxis}${trace.yaxis}`);
    shown.push(...[...plot.querySelectorAll(".hoverlayer text")].map((each) => each.textContent));
  }
  return shown.join("\\n");
}"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run whose every sampled word, name and reason is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    plain = write_made_up_run(folder / "plain", 20)
    records: list[Record] = []
    for record in plain.read():
        number = record.trial if isinstance(record, TrialRecord) else 0
        payload = PAYLOADS[number % len(PAYLOADS)]
        match record:
            case TrialStarted(params=params, config=config):
                params = {**params, f"model.{PAYLOADS[0]}": payload, PAYLOADS[4]: 0.5}
                loss = {**config["loss"], payload: payload}
                records.append(changed(record, params=params, config={**config, "loss": loss}))
            case TrialEnded(reason=str()):
                records.append(changed(record, reason=payload))
            case TrialPlaced():
                records.append(changed(record, host=payload))
            case _:
                records.append(record)
    name = "\"><img src=x onerror=injected()>'"
    run = write_run(folder / name, records, "\n".join(PAYLOADS).encode())
    return write_report(RunView.read(run))


def test_no_script_of_a_hostile_run_runs_and_no_link_of_it_is_there(
    look: Callable[..., Page], hostile: Path
) -> None:
    page = look(hostile)
    page.evaluate("() => { window.injected = () => { window.wasInjected = true; }; }")
    draw_all(page)
    hovered = ""
    for plot in page.locator(".plot").all():
        hovered += plot.evaluate(HOVER)
        assert page.evaluate(LINKS) == []
    assert "trial" in hovered
    assert "<img src=x onerror=injected()>" in hovered
    for number in range(len(PAYLOADS)):
        page.evaluate(f"location.hash = 'trial-{number}'")
        expect(page.locator("#details-title")).to_have_text(f"Trial {number}")
        assert page.locator("#details img, #details script, #details a").count() == 0
        assert page.evaluate(LINKS) == []
    assert page.evaluate("window.wasInjected") is None
    assert page.locator("img, iframe, object, embed").count() == 0


def test_a_script_that_got_in_all_the_same_would_not_run(
    look: Callable[..., Page], report: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.html"
    script = "<script>window.wasInjected = true</script><img src=x onerror='wasInjected = true'>"
    link = "<a id='evil' href='javascript:window.wasInjected = true'>x</a>"
    text = report.read_text()
    broken.write_text(text.replace("<h1>", f"{script}{link}<h1>"))
    page = look(broken, expects_complaints=True)
    page.locator("#evil").click()
    page.evaluate("() => { setTimeout('window.wasInjected = true'); }")
    page.wait_for_timeout(200)
    assert page.evaluate("window.wasInjected") is None
    assert len(page.evaluate("violations")) >= 3
