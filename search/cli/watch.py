"""`veer trials RUN --watch`: the trials of a search while it runs, from its journal alone."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from results.analysis.remarks import run_remarks
from results.analysis.trial_scores import RunScores
from results.journal.history import RUNNING, TrialHistory, latest, trial_histories
from results.journal.journal import Record
from results.journal.run_folder import RunFolder
from results.journal.tail import JournalTail
from results.page.parts import search_state
from results.tables.trials import trials_table
from results.terminal.listing import Listing, trial_listing
from results.terminal.quoting import veer_command
from results.terminal.sparklines import veer_curves
from results.terminal.trials import listing_view, trials_view
from search.cli.console import INTERRUPTED_STATUS, STOPPED_STATUS, Screen
from search.cluster.signals import TERMINATED_STATUS, Terminated, terminable
from search.run.journal_status import has_ended, journal_status
from search.run.progress import faults_in_words, status_line
from spaces.files.locks import is_held

INTERVAL_S = 2.0
# Of the time at most such a part is spent on looking: a long journal is looked at less often.
MOST_BUSY = 0.25
# While it runs a trial is no unfinished one.
IN_PROGRESS = "running now"
FEWEST_ROWS = 3
DIED_MESSAGE = "has died: no process leads it any more, and its journal has no end. Go on with"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSnapshot:
    """What a run's journal said at a moment.

    Attributes:
        records: Of the journal.
        trials: Gathered from them.
        listing: Their table, without remarks.
    """

    records: Sequence[Record]
    trials: Sequence[TrialHistory]
    listing: Listing


def watch(run: RunFolder, screen: Screen, interval_s: float = INTERVAL_S) -> int:
    """Show the trials of a run again and again until its search ends; then all of them once.

    A terminal shows the best that it has room for; elsewhere there is a line whenever a trial has
    ended.

    Args:
        run: Its folder.
        screen: Where to show it.
        interval_s: Seconds between two looks at the journal, at least.

    Returns:
        The exit status: 0 where the search has ended, that of Ctrl-C or SIGTERM where these ended
        the watching, `STOPPED_STATUS` where the search has died.

    Raises:
        RunError: The journal is damaged, or was replaced.
    """
    tail, scores = JournalTail(run.journal), RunScores(run)
    shown: _Frames | _Lines = _Frames(run, screen) if screen.is_terminal else _Lines(screen)
    try:
        with terminable(), shown:
            is_led = _follow(run, tail, scores, shown.show, interval_s)
    except KeyboardInterrupt as interrupt:
        return TERMINATED_STATUS if isinstance(interrupt, Terminated) else INTERRUPTED_STATUS
    _print_all(tail.records, scores, screen)
    if is_led:
        screen.print(f"the search has ended. {search_state(tail.records)}", highlight=False)
        return 0
    again = veer_command("resume", run.path)
    screen.print(f"the search {DIED_MESSAGE}: {again}", highlight=False, soft_wrap=True)
    return STOPPED_STATUS


def _follow(
    run: RunFolder,
    tail: JournalTail,
    scores: RunScores,
    show: Callable[[JournalSnapshot], None],
    interval_s: float,
) -> bool:
    """Show each state of the journal until there will be no other.

    Returns:
        Whether the search came to its end; otherwise no process leads it.
    """
    seen: JournalSnapshot | None = None
    while True:
        begun_s = time.monotonic()
        is_led = is_locked(run.path)  # before the reading: who dies after it is seen the next time
        if tail.read() or seen is None:
            seen = take_snapshot(tail.records, scores)
        if has_ended(tail.records):
            return True
        if not is_led:
            return False
        show(seen)
        busy_s = time.monotonic() - begun_s
        time.sleep(max(interval_s - busy_s, busy_s / MOST_BUSY - busy_s))


def take_snapshot(records: Sequence[Record], scores: RunScores | None = None) -> JournalSnapshot:
    """Return what a journal says, with a table of it; ties with the best need the run's scores."""
    records = tuple(records)
    listing = trial_listing(trials_table(records, scores), latest(records, "teacher"))
    rows = [
        row | {"state": IN_PROGRESS} if row.get("state") == RUNNING else row
        for row in listing.rows
    ]
    return JournalSnapshot(
        records=records,
        trials=trial_histories(records),
        listing=replace(listing, rows=rows, remarks=[]),
    )


def _print_all(records: Sequence[Record], scores: RunScores, screen: Screen) -> None:
    """The trials, as without --watch."""
    teacher, remarks = latest(records, "teacher"), run_remarks(records)
    curves = veer_curves(trial_histories(records))
    table = trials_table(records, scores)
    screen.print(trials_view(table, teacher, remarks=remarks, width=screen.width, curves=curves))


class _Lines:
    """A line whenever a trial has ended, and at the first look."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._ended = -1

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, look: JournalSnapshot) -> None:
        status = journal_status(look.records, look.trials, time.time())
        if status.ended != self._ended:
            self._ended = status.ended
            self._screen.print(status_line(status), highlight=False, soft_wrap=True)


class _Frames:
    """The header and the best trials, in place of what was shown before."""

    def __init__(self, run: RunFolder, screen: Screen) -> None:
        self._run, self._screen = run, screen
        self._live = Live(console=screen, auto_refresh=False, transient=True)
        self._last: RenderableType | None = None

    def __enter__(self) -> "_Frames":
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        self._live.stop()
        if kind is not None and issubclass(kind, KeyboardInterrupt) and self._last is not None:
            self._screen.print(self._last)  # what was seen last stays

    def show(self, look: JournalSnapshot) -> None:
        self._last = frame(look, self._run, self._screen, time.time())
        self._live.update(self._last, refresh=True)


def frame(look: JournalSnapshot, run: RunFolder, screen: Screen, now_s: float) -> RenderableType:
    """Return a screenful: how the search stands, and as many trials as there is room for.

    Args:
        look: What is known.
        run: Its folder.
        screen: Whose width and height there are.
        now_s: The time, seconds since 1970.
    """
    header = _header(look, run, now_s)
    room = screen.height - 1  # the cursor's line
    most = min(len(look.listing.rows), screen.height)
    while True:
        shown = Group(header, *_table(look, most, screen.width))
        height = len(screen.render_lines(shown, pad=False))
        if height <= room or most <= FEWEST_ROWS:
            return shown
        most = max(min(most - 1, most - (height - room)), FEWEST_ROWS)


def _header(look: JournalSnapshot, run: RunFolder, now_s: float) -> Text:
    status = journal_status(look.records, look.trials, now_s)
    best = (
        "no VEER yet"
        if status.best_veer_pct is None
        else f"best VEER {status.best_veer_pct:.2f} % (trial {status.best_trial})"
    )
    parts = [
        f"{status.running} running, {status.complete} complete, "
        f"{status.stopped_early} stopped early, {status.failed} failed",
        f"{best}, {status.epochs} epochs, {duration_text(status.elapsed_s)} so far, "
        f"about {duration_text(status.left_s)} left",
    ]
    if status.faults:
        parts.append(faults_in_words(status.faults))
    if follow_ups := [trial for trial in look.trials if trial.follow_up is not None]:
        ended = sum(trial.ended is not None for trial in follow_ups)
        parts.append(f"follow-ups: {ended} of {len(follow_ups)} begun have ended")
    title = f"{run.path.absolute().name}: {status.ended} of {status.num_trials} trials ended"
    return Text("\n").join([Text(title, "bold"), *map(Text, parts)])


def _table(look: JournalSnapshot, most: int, width: int) -> list[RenderableType]:
    """Return the first rows, and how many more there are."""
    rows = look.listing.rows[:most]
    curves = veer_curves(look.trials)
    view = listing_view(replace(look.listing, rows=rows), width, curves)
    view.caption = None  # the marks are explained where all trials are shown
    more = len(look.listing.rows) - len(rows)
    word = "row" if more == 1 else "rows"
    return [view, Text(f"and {more:,} more {word}", "dim")] if more else [view]
