"""`veer trials RUN --watch`: the trials of a search while it runs, only from its journal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from results.terminal.quoting import veer_command
from search.cli.console import INTERRUPTED_STATUS, STOPPED_STATUS, Screen

if TYPE_CHECKING:
    from results.analysis.run_view import RunView
    from results.analysis.trial_scores import RunScores
    from results.journal.run_folder import RunFolder
    from results.journal.tail import JournalTail
    from results.terminal.listing import Listing

# Default seconds between two updates.
INTERVAL_S = 2.0
# The most of its time that the loop may spend on reading: a long journal is read less often.
MAX_BUSY_FRACTION = 0.25
# Shown instead of the state `running`, which tables give to every unfinished trial.
IN_PROGRESS = "running now"
# Rows that are shown even if the terminal is too low for them.
MIN_ROWS = 3
DIED_MESSAGE = "has died: its process is gone, and its journal has no end. Continue it with"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSnapshot:
    """The content of a run's journal at one moment.

    Attributes:
        view: The run.
        listing: The table of the trials, without remarks.
    """

    view: RunView
    listing: Listing


def watch(run: RunFolder, screen: Screen, interval_s: float = INTERVAL_S) -> int:
    """Show the trials of a run until its search ends, then print all of them once.

    A terminal shows as many of the best as fit. In a file or pipe, a line is printed whenever a
    trial has ended.

    Args:
        run: The run folder.
        screen: The console to print to.
        interval_s: Least seconds between two reads of the journal.

    Returns:
        The exit status: 0 if the search has ended, that of Ctrl-C or SIGTERM if one of these ended
        the command, `STOPPED_STATUS` if the search has died.

    Raises:
        RunError: The journal is damaged, or was replaced.
    """
    from results.analysis.run_view import RunView
    from results.analysis.trial_scores import RunScores
    from results.journal.tail import JournalTail
    from results.page.parts import search_state
    from results.terminal.trials import trials_view
    from search.cluster.signals import TERMINATED_STATUS, Terminated, terminable

    tail, scores = JournalTail(run.journal), RunScores(run)
    shown: _Frames | _Lines = _Frames(run, screen) if screen.is_terminal else _Lines(screen)
    try:
        with terminable(), shown:
            is_running = _show_until_end(run, tail, scores, shown.show, interval_s)
    except KeyboardInterrupt as interrupt:
        return TERMINATED_STATUS if isinstance(interrupt, Terminated) else INTERRUPTED_STATUS
    view = RunView(run, tail.records, scores)
    screen.print(trials_view(view, width=screen.width))
    if is_running:
        screen.print(f"the search has ended. {search_state(view)}", highlight=False)
        return 0
    again = veer_command("resume", run.path)
    screen.print(f"the search {DIED_MESSAGE}: {again}", highlight=False, soft_wrap=True)
    return STOPPED_STATUS


def _show_until_end(
    run: RunFolder,
    tail: JournalTail,
    scores: RunScores,
    show: Callable[[JournalSnapshot], None],
    interval_s: float,
) -> bool:
    """Show each state of the journal until it cannot change any more.

    Returns:
        Whether the search has ended; False if its process has died.
    """
    from results.analysis.run_view import RunView
    from search.run.journal_status import has_ended
    from spaces.files.locks import is_locked

    latest_snapshot: JournalSnapshot | None = None
    while True:
        begun_s = time.monotonic()
        # Before the read, so that no record of a process that dies in between is missed.
        is_running = is_locked(run.path)
        # A snapshot reads the whole journal: an unchanged one keeps the earlier.
        if tail.read() or latest_snapshot is None:
            latest_snapshot = take_snapshot(RunView(run, tail.records, scores))
        if has_ended(tail.records):
            return True
        if not is_running:
            return False
        show(latest_snapshot)
        busy_s = time.monotonic() - begun_s
        time.sleep(max(interval_s - busy_s, busy_s / MAX_BUSY_FRACTION - busy_s))


def take_snapshot(view: RunView) -> JournalSnapshot:
    """Return a snapshot of a journal."""
    from results.journal.history import RUNNING
    from results.tables.trials import trials_table
    from results.terminal.listing import trial_listing

    listing = trial_listing(trials_table(view), view.teacher)
    rows = [
        row | {"state": IN_PROGRESS} if row.get("state") == RUNNING else row
        for row in listing.rows
    ]
    return JournalSnapshot(view=view, listing=replace(listing, rows=rows, remarks=[]))


class _Lines:
    """Output for a file or pipe: a line at the start and whenever a trial has ended."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._ended = -1

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, snapshot: JournalSnapshot) -> None:
        from search.run.journal_status import journal_status
        from search.run.progress import status_line

        status = journal_status(snapshot.view, time.time())
        if status.ended != self._ended:
            self._ended = status.ended
            self._screen.print(status_line(status), highlight=False, soft_wrap=True)


class _Frames:
    """Output for a terminal: the header and the best trials, updated in place."""

    def __init__(self, run: RunFolder, screen: Screen) -> None:
        self._run, self._screen = run, screen
        # Drawn by `show` only: rich's own thread would redraw an unchanged table.
        self._live = Live(console=screen, auto_refresh=False, transient=True)
        self._last: RenderableType | None = None

    def __enter__(self) -> _Frames:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        self._live.stop()
        if kind is not None and issubclass(kind, KeyboardInterrupt) and self._last is not None:
            self._screen.print(self._last)  # keep the last frame on the screen

    def show(self, snapshot: JournalSnapshot) -> None:
        self._last = frame(snapshot, self._run, self._screen, time.time())
        self._live.update(self._last, refresh=True)


def frame(
    snapshot: JournalSnapshot, run: RunFolder, screen: Screen, now_s: float
) -> RenderableType:
    """Return a frame: the status of the search, and as many trials as fit the screen.

    Args:
        snapshot: The state of the journal.
        run: The run folder.
        screen: The console whose width and height must fit.
        now_s: The current time, seconds since 1970.
    """
    header = _header(snapshot, run, now_s)
    # Rows differ in height, so the number that fits is found by drawing.
    room = screen.height - 1  # the cursor's line
    most = min(len(snapshot.listing.rows), screen.height)
    while True:
        shown = Group(header, *_table(snapshot, most, screen.width))
        height = len(screen.render_lines(shown, pad=False))
        if height <= room or most <= MIN_ROWS:
            return shown
        most = max(min(most - 1, most - (height - room)), MIN_ROWS)


def _header(snapshot: JournalSnapshot, run: RunFolder, now_s: float) -> Text:
    from search.run.journal_status import journal_status
    from search.run.progress import best_in_words, duration_text, faults_in_words

    status = journal_status(snapshot.view, now_s)
    best = "no VEER yet" if status.best_veer_pct is None else best_in_words(status)
    parts = [
        f"{status.running} running, {status.complete} complete, "
        f"{status.stopped_early} stopped early, {status.failed} failed",
        f"{best}, {status.epochs} epochs, {duration_text(status.elapsed_s)} so far, "
        f"about {duration_text(status.left_s)} left",
    ]
    if status.faults:
        parts.append(faults_in_words(status.faults))
    if follow_ups := [trial for trial in snapshot.view.histories if trial.follow_up is not None]:
        ended = sum(trial.ended is not None for trial in follow_ups)
        parts.append(f"follow-ups: {ended} of {len(follow_ups)} begun have ended")
    title = f"{run.path.absolute().name}: {status.ended} of {status.num_trials} trials ended"
    return Text("\n").join([Text(title, "bold"), *map(Text, parts)])


def _table(snapshot: JournalSnapshot, most: int, width: int) -> list[RenderableType]:
    """Return a table of the first rows, and a line with the number of further rows."""
    from results.terminal.sparklines import veer_curves
    from results.terminal.trials import listing_view

    rows = snapshot.listing.rows[:most]
    curves = veer_curves(snapshot.view.histories)
    view = listing_view(replace(snapshot.listing, rows=rows), width, curves)
    view.caption = None  # the marks are explained in the table of all trials
    more = len(snapshot.listing.rows) - len(rows)
    word = "row" if more == 1 else "rows"
    return [view, Text(f"and {more:,} more {word}", "dim")] if more else [view]
