"""The system's Chromium, driven by Playwright: where it is, and how it is started."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
VARIABLE = "VEER_CHROMIUM"
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FIX = (
    f"no browser for the tests of the page: none of {', '.join(NAMES)} is on PATH, and "
    f"${VARIABLE} names none; `make browser` installs Debian's (as root), or: sudo apt-get "
    "install -y --no-install-recommends chromium fonts-dejavu-core"
)


def find_chromium() -> Path:
    """The browser's executable.

    Raises:
        FileNotFoundError: No browser is installed; the message names the command to install it.
    """
    if named := os.environ.get(VARIABLE):
        if not Path(named).is_file():
            raise FileNotFoundError(f"${VARIABLE} names {named}, which is no file")
        return Path(named)
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise FileNotFoundError(FIX)
    return Path(found)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window, closed at the end."""
    executable = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()
