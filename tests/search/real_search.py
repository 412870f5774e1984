"""Searches as processes of their own, as a user starts them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from results.journal.journal import read_journal
from spaces.files.yaml_file import write_yaml
from trainable.report.epoch_report import TIMING_FIELDS as EPOCH_TIMING

VEER = [sys.executable, "-c", "from search.cli.app import run_app; run_app()"]
ROOT = Path(__file__).parents[2]
DEADLINE_S = 300  # of a machine with other work on it
POLL_S = 0.05  # a condition may read a whole journal
# Fields of an epoch that differ between two runs of the same trial.
TIMING_FIELDS = EPOCH_TIMING | {"time_s"}
TRIAL_EVENTS = ("trial_started", "epoch", "trial_ended")


def events_of(folder: Path, *events: str) -> list[dict[str, Any]]:
    """Return the journal's records of these events, without the fields that differ by run."""
    return [
        {k: v for k, v in record.as_dict().items() if k not in TIMING_FIELDS}
        for record in read_journal(folder / "journal.jsonl")
        if record.event in (events or TRIAL_EVENTS)
    ]


def num_records(run: Path, event: str) -> int:
    """How many records of an event a journal has, 0 where there is none; quick."""
    try:
        return (run / "journal.jsonl").read_bytes().count(f'"event":"{event}"'.encode())
    except FileNotFoundError:
        return 0


def epochs_of(run: Path) -> int:
    """How many epochs a journal has."""
    return num_records(run, "epoch")


def wait_for(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Return once the condition holds.

    Raises:
        AssertionError: It did not within the deadline.
    """
    latest_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < latest_s, f"waited in vain for {what}"
        time.sleep(POLL_S)


def tiny_settings(tiny_world: Path, **changes: Any) -> dict[str, Any]:
    """Settings of a tiny search: 3 trials of 20 epochs, one at a time, none stopped early."""
    return {
        "corpus": str(tiny_world / "corpus" / "corpus.yaml"),
        "teacher": str(tiny_world / "teacher"),
        "space": str(tiny_world / "space.yaml"),
        "num_trials": 3,
        "max_epochs": 20,
        "max_concurrent": 1,
        "scheduler": {"kind": "none"},
        "benchmark_top": 0,
        **changes,
    }


class Driver:
    """A `veer` process in a session of its own; its output goes to a file.

    As a context manager it is killed at the end, if it still runs.

    Args:
        arguments: Of the command.
        out: The file, which is replaced.
        environment: More than this process's.

    Attributes:
        process: The process, which leads its group; Ray's own processes are in the group too.
        started_s: When it was started, seconds since 1970.
    """

    def __init__(
        self, arguments: list[str], out: Path, environment: Mapping[str, str]
    ) -> None:
        self._out = out
        self.started_s = time.time()
        with out.open("w") as file:
            self.process = subprocess.Popen(
                [*VEER, *arguments],
                env=os.environ | {"COLUMNS": "200", "PYTHONPATH": str(ROOT)} | environment,
                stdout=file, stderr=subprocess.STDOUT, start_new_session=True, cwd=ROOT,
            )  # fmt: skip

    @property
    def output(self) -> str:
        """Its output so far."""
        return self._out.read_text()

    @property
    def is_up(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to its whole group, as a terminal does with Ctrl-C."""
        os.killpg(self.process.pid, number)

    def wait(self, deadline_s: float = DEADLINE_S) -> int:
        """Wait for its end and return its exit status."""
        return self.process.wait(deadline_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_up:
            self.signal_group(signal.SIGKILL)
        self.process.wait()


class RealSearch:
    """One search, begun and gone on with by as many processes as it takes.

    Args:
        tiny_world: See `build_tiny_world`.
        run: Its run folder.
        settings: As `tiny_settings` gives them.
        environment: More than this process's.

    Attributes:
        run: Its run folder.
        environment: Of its processes, more than this one's.
    """

    def __init__(
        self, tiny_world: Path, run: Path, settings: Mapping[str, Any], **environment: str
    ) -> None:
        self.run = run
        self._settings = run.with_suffix(".yaml")
        self.environment = {"VEER_CACHE": str(tiny_world / "cache")} | environment
        write_yaml(self._settings, dict(settings))

    def start(self, *options: str) -> Driver:
        """Start `veer search`."""
        return self._driver(["search", str(self._settings), "--run", str(self.run), *options])

    def resume(self, *options: str) -> Driver:
        """Start `veer resume`."""
        return self._driver(["resume", str(self.run), *options])

    def go_on(self) -> Driver:
        """Resumes the search, or starts it again where it died before it was a run."""
        is_run = (self.run / "search.yaml").is_file() and num_records(self.run, "search_started")
        return self.resume() if is_run else self.start()

    def _driver(self, arguments: list[str]) -> Driver:
        return Driver(arguments, self.run.with_suffix(".out"), self.environment)
