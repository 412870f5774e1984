"""The pictures of docs/example.md: `python -m tests.browser.example runs/example docs/example`.

Run it in the folder to which the search's paths are relative. The page is that of `veer report`;
the pictures of the terminal are the coloured output of commands.
"""

import argparse
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from playwright.sync_api import Browser
from rich.console import Console
from rich.text import Text

from results.analysis.run_view import RunView
from results.figures import FIGURES
from results.page.report import write_report
from search.review.audit_run import audit_search
from tests.browser.chromium import chromium
from tests.browser.pictures import draw_all

WIDTH_PX, HEIGHT_PX = 1080, 900
# Columns of the terminal.
TERMINALS: Mapping[str, tuple[tuple[str, ...], int]] = MappingProxyType(
    {"trials": (("trials",), 160), "audit": (("audit",), 110)}
)


def main() -> None:
    """Take all pictures of a run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with chromium() as browser, TemporaryDirectory() as folder:
        view = RunView.read(given.run)
        page = write_report(view, Path(folder) / "page.html", audit=audit_search)
        picture_page(browser, page, given.out)
        for name, (command, columns) in TERMINALS.items():
            picture = Path(folder) / f"{name}.html"
            picture.write_text(_terminal((*command, str(given.run)), columns))
            _shoot(browser, picture, "svg", given.out / f"{name}.png")


def picture_page(browser: Browser, page_html: Path, out: Path) -> None:
    """Take pictures of the top of the page in light and dark, and of each chart."""
    for scheme in ("light", "dark"):
        page = browser.new_page(
            viewport={"width": WIDTH_PX, "height": HEIGHT_PX}, color_scheme=scheme
        )
        page.goto(page_html.absolute().as_uri())
        draw_all(page)
        page.screenshot(path=out / f"page-{scheme}.png")
        if scheme == "light":
            for name in FIGURES:
                chart = page.locator(f"#chart-{name}")
                if chart.count():
                    chart.screenshot(path=out / f"{name}.png")
        page.close()


def _terminal(arguments: tuple[str, ...], columns: int) -> str:
    """Return the output of a command on a terminal of so many columns, as an HTML page."""
    veer = [sys.executable, "-c", "from search.cli.entry import main; main()"]
    environment = os.environ | {"COLUMNS": str(columns), "FORCE_COLOR": "1"}
    done = subprocess.run(
        [*veer, *arguments], check=True, capture_output=True, text=True, env=environment
    )
    console = Console(record=True, width=columns, file=io.StringIO())
    console.print(Text.from_ansi(done.stdout), soft_wrap=True)
    return console.export_svg(title=f"veer {' '.join(arguments)}")


def _shoot(browser: Browser, file: Path, selector: str, out: Path) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": HEIGHT_PX})
    page.goto(file.absolute().as_uri())
    page.locator(selector).first.screenshot(path=out)
    page.close()


if __name__ == "__main__":
    main()
