"""CPU time of what is written and printed at the end of a search, against one read of its journal.

`make bench NAME=rebuild`, or `python -m tests.benchmarks.rebuild`. The run is made up: by default
1,000 trials of up to 27 epochs with early stopping, faults, a pause, a trial that was started
again, follow-ups, and saved scores of two trials. Tables, study, TensorBoard's files, page and
printed table are made as at the end of a search. Times are the smallest of several rounds in one
process, after a round that imports what they need.
"""

import argparse
import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from results.analysis.run_view import RunView
from results.journal.journal import Journal
from results.journal.run_folder import JOURNAL, RunFolder
from results.page.report import write_report
from results.records.search_records import SearchEnded, SearchResumed
from results.records.trial_records import TrialEnded, TrialStarted
from results.tables.trials import write_tables
from results.terminal.trials import trials_view
from results.trackers.study import write_study
from results.trackers.tensorboard import event_files, write_event_files
from search.cli.console import Screen
from search.review.audit_run import audit_search
from tests.benchmarks.report import Verdict, finish_all
from tests.worlds.journal_writing import report
from tests.worlds.made_up_run import MAX_EPOCHS, SETTINGS, keep_made_up_scores, write_made_up_run
from trainable.config.reading import read_trial_space
from trainable.machine.hardware import cpu_name

MAX_READS = 1
NUM_FINALISTS, REPEATS_EACH = 3, 3


class Clock:
    """CPU seconds by the name of what was done, and how often the journal was opened to read."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.num_reads = 0
        sys.addaudithook(self._count)

    def _count(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and str(args[0]).endswith(JOURNAL) and args[1] in ("r", "rb"):
            self.num_reads += 1

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        """Add the CPU time of the block."""
        begun_s = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - begun_s


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench NAME=rebuild")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder in which the made-up run stays")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        run = (given.keep or Path(folder)) / "run"
        if not run.exists():
            write_long_run(run, given.trials)
        compare(run, given.rounds, end_of_search)


def compare(path: Path, rounds: int, end: Callable[[Path, Clock], None]) -> None:
    """Time the end of a search on a run several times, print the smallest times, and exit."""
    run, clock = RunFolder(path), Clock()
    size_mb = run.journal.stat().st_size / 1e6
    print(f"CPU: {cpu_name()}; {len(run.read()):,} records, {size_mb:.1f} MB")
    least: dict[str, float] = {}
    for number in range(rounds + 1):
        clock.seconds.clear()
        with clock.timing("one read of the journal"):
            run.read()
        clock.num_reads = 0
        end(path, clock)
        if number:  # the first round also imports
            least = {name: min(s, least.get(name, s)) for name, s in clock.seconds.items()}
    for name, seconds in least.items():
        print(f"{name}: {seconds:.2f} s of CPU")
    read_s = least.pop("one read of the journal")
    total_s = sum(least.values())
    print(f"end of the search: {total_s:.2f} s of CPU, {total_s / read_s:.1f} times the read")
    name = "reads of the journal at the end"
    finish_all([Verdict(name=name, ratio=clock.num_reads, target=MAX_READS, is_limit=True)])


def end_of_search(path: Path, clock: Clock) -> None:
    """Make all that is written and printed at the end of a search."""
    dimensions = read_trial_space(path / "space.yaml").dimensions
    with clock.timing("read"):
        view = RunView.read(path)
    with clock.timing("tables"):
        write_tables(view)
    with clock.timing("study"):
        write_study(view, dimensions)
    with clock.timing("TensorBoard"):
        write_event_files(view.folder.tensorboard, event_files(view, dimensions))
    with clock.timing("page"):
        write_report(view, audit=audit_search)
    with clock.timing("printed table"):
        screen = Screen(width=140, file=io.StringIO())
        screen.print(trials_view(view, width=screen.width))


def write_long_run(path: Path, num_trials: int) -> None:
    """Write a made-up run, in which a failed trial is started again and finalists are repeated."""
    run = write_made_up_run(path, num_trials)
    keep_made_up_scores(run)
    view = RunView.read(run)
    failed = next(trial for trial in reversed(view.histories) if trial.state == "failed")
    kept = ("params", "config", "config_hash", "seed")
    with Journal(run.journal) as journal:
        journal.append(SearchResumed(settings=SETTINGS, provenance={"command": "veer resume"}))

        def go(trial: int, **started: Any) -> None:
            journal.append(TrialStarted(trial=trial, **started))
            for epoch in range(1, MAX_EPOCHS + 1):
                report(journal, trial, epoch, 40.0 - epoch, num_samples=4000)
            journal.append(TrialEnded(trial=trial, state="complete", reason=None))

        go(failed.trial, **{name: getattr(failed.started, name) for name in kept})
        number = num_trials
        for finalist in view.ranked[:NUM_FINALISTS]:
            for _ in range(REPEATS_EACH):
                fields = {name: getattr(finalist.started, name) for name in kept}
                fields |= {"seed": number, "follow_up": "repeat", "follows": finalist.trial}
                go(number, **fields)
                number += 1
        journal.append(SearchEnded(reason="finished"))


if __name__ == "__main__":
    main()
