"""A browser for all tests, pages to open, and a record of everything that pages must not do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from results.page.report import write_report
from tests.browser.chromium import chromium
from tests.worlds.made_up_run import write_made_up_run

NUM_TRIALS = 30
MANY_TRIALS = 1000
HEIGHT_PX = 900
# Violations of the policy are reported by an event, besides the console.
WATCH = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A page in the browser, and a record of what must not happen on it.

    Attributes:
        page: The page.
        complaints: Errors and warnings of the console, dialogs, requests but the page's own.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Record from now on what must not happen."""
        self.page.add_init_script(WATCH)
        self.page.on("console", lambda each: self._note_of_console(each.type, each.text))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", lambda request: self._note_of_request(request.url))
        self.page.on("dialog", lambda dialog: self._dismiss(dialog))

    def check(self) -> None:
        """Fail if something happened that must not."""
        violations = [] if self.page.is_closed() else self.page.evaluate("violations")
        assert self.complaints + violations == []

    def _note_of_console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"{kind}: {text}")

    def _note_of_request(self, url: str) -> None:
        # The picture of a chart for download is a blob of the page itself.
        if not url.startswith(("file:", "blob:", "data:")):
            self.complaints.append(f"request: {url}")

    def _dismiss(self, dialog: object) -> None:
        self.complaints.append(f"dialog: {dialog.message}")  # type: ignore[attr-defined]
        dialog.dismiss()  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return write_made_up_run(tmp_path_factory.mktemp("page") / "first", NUM_TRIALS)


@pytest.fixture(scope="session")
def report(run: RunFolder) -> Path:
    return write_report(RunView.read(run))


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with very many trials."""
    run = write_made_up_run(tmp_path_factory.mktemp("many") / "many", MANY_TRIALS)
    return write_report(RunView.read(run))


@pytest.fixture
def look(browser: Browser, report: Path) -> Iterator[Callable[..., Page]]:
    """Open a page, by default that of the first run; the test fails on what must not happen."""
    opened: list[Watched] = []
    forbidden: list[Watched] = []

    def open_page(
        file: Path = report,
        *,
        width_px: int = 1280,
        scheme: str = "light",
        place: str = "",
        expects_complaints: bool = False,
    ) -> Page:
        size = {"width": width_px, "height": HEIGHT_PX}
        context = browser.new_context(viewport=size, color_scheme=scheme)
        watched = Watched(page=context.new_page())
        watched.watch()
        (forbidden if expects_complaints else opened).append(watched)
        watched.page.goto(file.as_uri() + place)
        return watched.page

    yield open_page
    try:
        for each in opened:
            each.check()
    finally:
        for each in (*opened, *forbidden):
            each.page.context.close()
