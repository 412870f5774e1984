"""A search watched from another process: in a terminal, in a pipe, to its end or its death."""

import fcntl
import io
import os
import pty
import re
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from results.journal.journal import Journal, read_journal
from results.journal.run_folder import RunFolder
from results.records.search_records import SearchEnded, SearchStarted
from results.records.trial_records import TrialEnded
from search.cli import results as commands
from search.cli.console import Screen
from search.cli.watch import watch
from search.provenance.run_lock import run_lock
from search.run.journal_status import journal_status
from spaces.files.errors import RunError, VeerError
from spaces.files.locks import is_locked
from tests.search.commands import veer
from tests.worlds.journal_writing import report, start
from tests.worlds.views import view_of

TICK_S = 0.05
LONG_S = 30.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "first"
    folder.mkdir()
    return folder


def begin(path: Path, num_trials: int = 4) -> Journal:
    journal = Journal(path / "journal.jsonl")
    settings = {"num_trials": num_trials, "max_epochs": 2}
    journal.append(SearchStarted(settings=settings, provenance={}))
    return journal


def run_trial(journal: Journal, trial: int, veer_pct: float) -> None:
    start(journal, trial, loss__distillation="none", training__lr=1e-3 * (trial + 1))
    report(journal, trial, 1, veer_pct + 1)
    report(journal, trial, 2, veer_pct)
    journal.append(TrialEnded(trial=trial, state="complete", reason=None))


class Terminal:
    """A pseudo-terminal, and all that was written to it."""

    def __init__(self, width: int = 100, height: int = 20) -> None:
        self._master, self._slave = pty.openpty()
        self.file = os.fdopen(self._slave, "w")
        self.screen = Screen(
            file=self.file, width=width, height=height, force_terminal=True,
            color_system="standard",
        )  # fmt: skip
        self.text = ""
        self._is_open = True
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while self._is_open:
            ready, _, _ = select.select([self._master], [], [], TICK_S)
            if ready:
                self.text += os.read(self._master, 65536).decode(errors="replace")

    def wait_for(self, pattern: str) -> None:
        until_s = time.monotonic() + LONG_S
        while not re.search(pattern, self.text):
            assert time.monotonic() < until_s, f"{pattern} never came:\n{self.text}"
            time.sleep(TICK_S)

    def close(self) -> None:
        self.file.flush()
        time.sleep(3 * TICK_S)
        self._is_open = False
        self._reader.join()
        self.file.close()
        os.close(self._master)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.close()


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread below
            failures.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    yield
    thread.join()
    assert not failures


def test_a_terminal_follows_a_search_to_its_end(path: Path, terminal: Terminal) -> None:
    def search() -> None:
        with run_lock(path), begin(path) as journal:
            ready.set()
            run_trial(journal, 0, 20.0)
            terminal.wait_for(r"1 of 4 trials ended")
            start(journal, 1, loss__distillation="none", training__lr=2e-3)
            report(journal, 1, 1, 12.5)
            terminal.wait_for("running now")
            terminal.wait_for(r"best VEER 12\.50 % \(trial 1\)")
            report(journal, 1, 2, 13.0)
            journal.append(TrialEnded(trial=1, state="complete", reason=None))
            journal.append(SearchEnded(reason="finished"))

    ready = threading.Event()
    with meanwhile(search):
        assert ready.wait(LONG_S)
        status = watch(RunFolder(path), terminal.screen, TICK_S)
    terminal.wait_for("the search has ended. Finished: every trial has ended")
    assert status == 0
    assert terminal.text.index("1 of 4 trials") < terminal.text.index("the search has ended")
    assert "\x1b[?25h" in terminal.text  # the cursor is shown again


def test_a_dead_search_is_reported(path: Path, terminal: Terminal) -> None:
    def search() -> None:
        with run_lock(path), begin(path) as journal:
            ready.set()
            run_trial(journal, 0, 20.0)
            terminal.wait_for(r"1 of 4 trials ended")
        # The lock is let go of, and the journal has no end: as after SIGKILL.

    ready = threading.Event()
    with meanwhile(search):
        assert ready.wait(LONG_S)
        assert watch(RunFolder(path), terminal.screen, TICK_S) == 1
    terminal.wait_for("the search has died: its process is gone")
    assert f"veer resume {path}" in re.sub(r"\s+", " ", terminal.text)


def test_ctrl_c_leaves_the_last_screen_and_its_status(path: Path, terminal: Terminal) -> None:
    with run_lock(path), begin(path) as journal:
        run_trial(journal, 0, 20.0)

        def press() -> None:
            terminal.wait_for(r"1 of 4 trials ended")
            os.kill(os.getpid(), signal.SIGINT)

        # A process that was started in the background ignores Ctrl-C.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with meanwhile(press):
                assert watch(RunFolder(path), terminal.screen, TICK_S) == 130
        finally:
            signal.signal(signal.SIGINT, before)
    terminal.file.flush()
    terminal.wait_for(r"\x1b\[\?25h[\s\S]*1 of 4 trials ended")
    assert "Traceback" not in terminal.text


def test_many_trials_fit_the_height_the_best_first(path: Path) -> None:
    terminal = Terminal(width=80, height=16)
    with run_lock(path), begin(path, 60) as journal:
        for trial in range(50):
            run_trial(journal, trial, 60.0 - trial)

        def stop() -> None:
            terminal.wait_for(r"and \d+ more rows")
            journal.append(SearchEnded(reason="interrupted"))

        with meanwhile(stop):
            assert watch(RunFolder(path), terminal.screen, TICK_S) == 0
    terminal.close()
    first = terminal.text[: re.search(r"and \d+ more rows", terminal.text).end()]  # type: ignore[union-attr]
    assert first.count("\n") < 16
    assert "11.00" in first
    assert "60.00" not in first
    assert "60.00" in terminal.text  # all of them at the end


def test_a_pipe_gets_a_line_a_trial_and_the_table_at_the_end(path: Path) -> None:
    out = io.StringIO()
    screen = Screen(file=out, width=120)

    def search() -> None:
        for trial in range(2):
            run_trial(journal, trial, 20.0 - trial)
            while f"{trial + 1}/4 trials ended" not in out.getvalue():
                time.sleep(TICK_S)
        journal.append(SearchEnded(reason="time_limit"))

    with run_lock(path), begin(path) as journal, meanwhile(search):
        assert watch(RunFolder(path), screen, TICK_S) == 0
    text = out.getvalue()
    assert "2/4 trials ended, 0 running, 2 complete" in text
    assert text.rstrip().splitlines()[-1].startswith("the search has ended. Stopped at its time")
    assert "\x1b" not in text


def test_a_damaged_journal_ends_it_with_the_line(path: Path) -> None:
    with begin(path):
        pass
    with (path / "journal.jsonl").open("ab") as file:
        file.write(b"nonsense\n")
    with pytest.raises(RunError, match=r"journal\.jsonl:2: damaged"):
        watch(RunFolder(path), Screen(file=io.StringIO()), TICK_S)


def test_looking_at_the_lock_neither_takes_nor_makes_it(path: Path) -> None:
    assert not is_locked(path)
    assert not (path / ".lock").exists()
    with run_lock(path):
        assert is_locked(path)
    assert not is_locked(path)
    with run_lock(path):
        pass


def test_a_search_waits_a_moment_for_a_process_that_checks_its_lock(path: Path) -> None:
    (path / ".lock").touch()
    with (path / ".lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        timer = threading.Timer(TICK_S, lambda: fcntl.flock(looking, fcntl.LOCK_UN))
        timer.start()
        with run_lock(path):
            pass
        timer.join()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--interval", "3"], "--interval needs --watch"),
        (["--watch", "--sort", "epochs"], "--watch shows the main columns by rank"),
        (["--watch", "--format", "json"], "--watch shows the main columns by rank"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    path: Path, arguments: list[str], message: str
) -> None:
    begin(path).close()
    with pytest.raises(VeerError, match=message):
        veer("trials", path, *arguments)


def test_the_command_gives_the_status_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with begin(path) as journal:
        asked: list[Any] = []
        monkeypatch.setattr(commands, "watch", lambda *a: asked.append(a) or 130)
        assert veer("trials", path, "--watch", "--interval", "0.5").exit_code == 130
        assert asked[0][2] == 0.5
        monkeypatch.undo()
        journal.append(SearchEnded(reason="finished"))
    result = veer("trials", path, "--watch")
    assert result.exit_code == 0
    assert "the search has ended. Finished" in result.output


def status_at(path: Path, now_s: float) -> Any:
    records = read_journal(path / "journal.jsonl")
    return journal_status(view_of(records), now_s)


def test_no_time_left_before_the_first_epoch(path: Path) -> None:
    begin(path).close()
    status = status_at(path, time.time())
    assert (status.left_s, status.best_veer_pct, status.num_trials) == (None, None, 4)
