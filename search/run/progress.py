"""The progress of a search on the screen, and the status that it shows."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from results.analysis.ranking import ranked
from results.journal.decision import BY_VEER, FIGURE_NAMES, DecisionKind
from results.journal.history import CONTROL, REPEAT
from search.loop.coordinator import Coordinator
from search.loop.fault_ledger import kinds_in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchStatus:
    """The status of a search at one moment.

    Attributes:
        num_trials: Planned number of the search's own trials.
        running: Trials that run now.
        complete: Trials that ran to the last epoch.
        stopped_early: Trials that early stopping ended.
        failed: Trials that failed or diverged.
        epochs: Epochs reported, earlier runs of a resumed search included.
        best_trial: The best trial so far; None before the first VEER.
        best_veer_pct: VEER of that trial, percent.
        elapsed_s: Seconds since the start of this run.
        left_s: Estimate of the seconds left; None before the first epoch.
        faults: Number of faults by kind, earlier runs included.
        follow_ups: The follow-ups that run now, in words; empty before them and without any.
        decide_by: The figure by which the best trial is chosen.
    """

    num_trials: int
    running: int
    complete: int
    stopped_early: int
    failed: int
    epochs: int
    best_trial: int | None
    best_veer_pct: float | None
    elapsed_s: float
    left_s: float | None
    faults: Mapping[str, int] = field(default_factory=dict)
    follow_ups: str = ""
    decide_by: DecisionKind = BY_VEER

    @property
    def ended(self) -> int:
        """Number of trials that have ended, in any state."""
        return self.complete + self.stopped_early + self.failed


def search_status(coordinator: Coordinator) -> SearchStatus:
    """Summarize a search."""
    states = Counter(trial.state for trial in coordinator.own_trials)
    best = next(iter(ranked(coordinator.own_trials)), None)
    return SearchStatus(
        num_trials=coordinator.budget.num_trials,
        running=sum(trial.is_running for trial in coordinator.trials),
        complete=states["complete"],
        stopped_early=states["stopped_early"],
        failed=states["failed"] + states["diverged"],
        epochs=sum(len(trial.veer_pct) for trial in coordinator.trials),
        best_trial=None if best is None else best.trial,
        best_veer_pct=None if best is None else best.best_veer_pct,
        elapsed_s=coordinator.elapsed_s,
        left_s=_left_s(coordinator),
        faults=dict(coordinator.ledger.kinds),
        follow_ups=describe_follow_ups_now(coordinator),
        decide_by=BY_VEER if best is None else best.decide_by,
    )


def describe_follow_ups_now(coordinator: Coordinator) -> str:
    """Describe the follow-ups that run now; empty until the search's own trials have ended."""
    begun = [trial for trial in coordinator.trials if trial.follow_up is not None]
    if not coordinator.own_trials_ended:
        return ""
    parts = []
    for kind, doing in ((REPEAT, "repeating the best"), (CONTROL, "running stopped trials")):
        due = [each.follows for each in coordinator.due if each.kind == kind]
        own = [trial for trial in begun if trial.follow_up == kind]
        left = len(due) + sum(trial.state is None for trial in own)
        if left:
            num_configs = len({*due, *(trial.follows for trial in own)})
            doing += f" {num_configs}" if kind == REPEAT else " to the end"
            parts.append(f"{doing} ({left} of {len(due) + len(own)} left)")
    return ", ".join(parts)


class SearchView:
    """A live table in a terminal; in a file or pipe, a line whenever a trial has ended.

    Args:
        console: The console to print to.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None
        self._shown = (-1, "")

    def show(self, status: SearchStatus) -> None:
        """Show the latest status."""
        if self.console.is_terminal:
            self._update(_table(status))
        # Only on a change: `show` is called many times a second, and would fill a log file.
        elif (status.ended, status.follow_ups) != self._shown:
            self._shown = status.ended, status.follow_ups
            self.console.print(status_line(status), highlight=False)

    def counter(self, what: str, unit: str) -> Callable[[int, int], None]:
        """Return a function that shows the progress of work before or after the trials."""

        def show(done: int, total: int) -> None:
            if self.console.is_terminal:
                self._update(Text(f"{what}: {done} of {total} {unit}"))
            elif done == total:
                self.console.print(f"{what}: {total} {unit}", highlight=False)

        return show

    def print_line(self, text: str) -> None:
        """Print a line, above the table where there is one."""
        self.console.print(text, highlight=False)

    def close(self) -> None:
        """Leave the last status on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _update(self, shown: RenderableType) -> None:
        if self._live is None:
            # Started at the first status: an error before it is printed without an empty table.
            self._live = Live(console=self.console, refresh_per_second=4)
            self._live.start()
        self._live.update(shown)


def status_line(status: SearchStatus) -> str:
    """Format a status as one line."""
    parts = [
        f"{status.ended}/{status.num_trials} trials ended",
        f"{status.running} running",
        f"{status.complete} complete",
        f"{status.stopped_early} stopped early",
        f"{status.failed} failed",
        best_in_words(status),
        f"{status.epochs} epochs",
        f"{duration_text(status.elapsed_s)} so far",
        f"about {duration_text(status.left_s)} left",
    ]
    if status.faults:
        parts.insert(5, faults_in_words(status.faults))
    if status.follow_ups:
        parts.insert(1, status.follow_ups)
    return ", ".join(parts)


def duration_text(seconds: float | None) -> str:
    """Format seconds for a reader: `48 s`, `3 min 10 s`, `5 h 2 min`; `?` for None."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def faults_in_words(kinds: Mapping[str, int]) -> str:
    """Format the number of faults and their kinds: `2 faults: 1 worker lost, 1 hung`."""
    total = sum(kinds.values())
    words = kinds_in_words(Counter(kinds).elements())
    return f"{total} {'fault' if total == 1 else 'faults'}: {words}"


def best_in_words(status: SearchStatus) -> str:
    """Return the best trial so far: `best VEER 9.10 % (trial 3)`, or `best by ...` a figure."""
    return " ".join(_best(status))


def _best(status: SearchStatus) -> tuple[str, str]:
    veer = "-" if status.best_veer_pct is None else f"{status.best_veer_pct:.2f} %"
    if status.decide_by == BY_VEER or status.best_veer_pct is None:
        known = "" if status.best_trial is None else f" (trial {status.best_trial})"
        return "best VEER", f"{veer}{known}"
    return f"best by {FIGURE_NAMES[status.decide_by]}", f"trial {status.best_trial}, VEER {veer}"


def _table(status: SearchStatus) -> Table:
    table = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=status.num_trials, completed=status.ended, width=30)
    table.add_row(f"trials {status.ended}/{status.num_trials}", bar)
    best, best_value = _best(status)
    rows = {
        **({"now": status.follow_ups} if status.follow_ups else {}),
        "running": status.running,
        "complete": status.complete,
        "stopped early": status.stopped_early,
        "failed": status.failed,
        best: best_value,
        "epochs": status.epochs,
        **({"faults": faults_in_words(status.faults)} if status.faults else {}),
        "time": f"{duration_text(status.elapsed_s)}, about {duration_text(status.left_s)} left",
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    return table


def _left_s(coordinator: Coordinator) -> float | None:
    """Estimate the seconds left, if each trial runs as long as the ended ones on average."""
    # Only epochs of this process count: replayed ones took no time in it.
    if coordinator.num_reported == 0:
        return None
    budget, own = coordinator.budget, coordinator.own_trials
    lengths = [trial.epoch for trial in own if trial.state and trial.epoch]
    usual = sum(lengths) / len(lengths) if lengths else budget.max_epochs
    waiting = 0 if coordinator.own_trials_ended else budget.num_trials - len(own)
    open_trials = [trial.epoch for trial in own if trial.state is None]
    # An open trial beyond the usual length has at least one more epoch.
    epochs = waiting * usual + sum(max(usual - epoch, 1) for epoch in open_trials)
    if budget.total_epochs is not None:
        epochs = min(epochs, budget.total_epochs - coordinator.num_epochs)
    # Running trials may each finish an epoch beyond the budget: never below 0.
    epochs = max(epochs, 0) + _follow_up_epochs(coordinator)
    left_s = max(epochs, 0) * coordinator.working_s / coordinator.num_reported
    limit_s = budget.time_limit_s
    return left_s if limit_s is None else min(left_s, max(limit_s - coordinator.elapsed_s, 0.0))


def _follow_up_epochs(coordinator: Coordinator) -> int:
    """Return the epochs of follow-ups still to run; the most, while the finalists are unknown."""
    budget = coordinator.budget
    running = [each.epoch for each in coordinator.trials if each.follow_up and each.state is None]
    if coordinator.own_trials_ended:
        waiting = len(coordinator.due)
    else:
        begun = sum(trial.follow_up is not None for trial in coordinator.trials)
        waiting = max(budget.follow_ups.max_trials - begun, 0)
    return waiting * budget.max_epochs + sum(budget.max_epochs - epoch for epoch in running)
