"""Commands of `veer` on several kinds of screens: run as a process of its own.

    python -m tests.worlds.displays LOCKED < COMMANDS

COMMANDS is JSON: by screen a list of commands, each a list of words; LOCKED is a folder that is
read-only. The heavy libraries are imported once; each screen is a fork of this process, which
imports Veer's consoles anew. Printed is JSON: by screen what each command ended with, and all that
was shown.
"""

import importlib
import json
import os
import pty
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.worlds.read_only import read_only

HEAVY = ("torch", "ray", "optuna", "pyarrow.parquet", "pandas", "plotly.graph_objects",
         "trainable.training.trainer", "search.run.run_search", "results.page.report")  # fmt: skip
SCREENS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "terminal": {"TERM": "xterm-256color"},
        "dumb terminal": {"TERM": "dumb"},
        "terminal without colour": {"TERM": "xterm-256color", "NO_COLOR": "1"},
        "narrow terminal": {"TERM": "xterm", "COLUMNS": "40"},
        "pipe": {},
        "ascii pipe": {"PYTHONIOENCODING": "ascii"},
        "latin-1 terminal": {"TERM": "xterm", "PYTHONIOENCODING": "latin-1"},
        "closed": {},
    }
)


def shown_on(screen: str, commands: Sequence[Sequence[str]], locked: Path) -> dict[str, Any]:
    """Run the commands in a fork of this process."""
    ours, theirs = pty.openpty() if "terminal" in screen else os.pipe()
    report_from, report_to = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(report_from)
        _become(screen, theirs)
        with os.fdopen(report_to, "w") as report, read_only(locked):
            json.dump([_end_of(words) for words in commands], report)
        os._exit(0)
    os.close(theirs)
    os.close(report_to)
    text = _all_of(ours)
    with os.fdopen(report_from) as report:
        ends = json.load(report)
    os.waitpid(child, 0)
    return {"ends": ends, "text": text}


def _become(screen: str, descriptor: int) -> None:
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "TERM"):
        os.environ.pop(name, None)
    os.environ.update(SCREENS[screen])
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    for number in (1, 2):
        os.dup2(descriptor, number)
    sys.stderr = open(2, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    if screen == "closed":
        os.close(1)
        sys.stdout = None  # type: ignore[assignment]


def _end_of(words: Sequence[str]) -> str:
    """Return the exit status of a command as text, or the traceback that it would end with."""
    from search.cli.entry import main

    sys.argv = ["veer", *words]
    try:
        main()
    except SystemExit as end:
        return str(end.code or 0)
    except BaseException:  # noqa: BLE001 - the result of the test
        return traceback.format_exc()
    finally:
        sys.stdout.flush()
    return "0"


def _all_of(descriptor: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # a terminal whose other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(descriptor)
    return b"".join(parts).decode("utf-8", "replace")


if __name__ == "__main__":
    for name in HEAVY:
        importlib.import_module(name)
    wanted = json.load(sys.stdin)
    found = {name: shown_on(name, words, Path(sys.argv[1])) for name, words in wanted.items()}
    json.dump(found, sys.stdout)
