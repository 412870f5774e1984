"""A search is sent to a tracker as its journal has it, and no fault of the tracker reaches it."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from results.analysis.run_view import RunView
from results.journal.history import TrialHistory
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.search_records import SearchStarted
from results.records.trial_records import EpochEnded, TrialEnded
from results.trackers.sender import Sender, TrackedSearch, tracked_search
from results.trackers.trackers import require_trackers
from spaces.files.errors import ConfigError
from tests.worlds.journal_writing import report, start
from tests.worlds.simulated_search import make_coordinator, work

Epochs = dict[int, dict[int, float | None]]


class MadeUpTracker:
    """A tracker that keeps what it is sent, and fails on demand."""

    def __init__(self, fault: Callable[[], None] = lambda: None) -> None:
        self.fault = fault
        self.search: TrackedSearch | None = None
        self.epochs: Epochs = {}
        self.low: list[float] = []
        self.states: dict[int, str] = {}
        self.files: list[str] = []

    def open(self, search: TrackedSearch) -> None:
        self.fault()
        self.search = search

    def start(self, trial: TrialHistory, name: str) -> None:
        self.fault()
        assert name.startswith(f"trial-{trial.trial:04d}")
        self.epochs.setdefault(trial.trial, {})

    def epoch(self, trial: TrialHistory, record: EpochEnded, numbers: Mapping[str, float]) -> None:
        self.fault()
        self.epochs[trial.trial][record.epoch] = numbers.get("veer_pct")
        self.low += [numbers["veer_low_pct"]] if "veer_low_pct" in numbers else []

    def end(self, trial: TrialHistory, summary: Mapping[str, float]) -> None:
        self.fault()
        assert summary["trial/best_veer_pct"] == trial.best_veer_pct
        self.states[trial.trial] = trial.state

    def finish(self, files: Sequence[Path], summary: Mapping[str, float]) -> None:
        self.fault()
        self.files = [file.name for file in files]
        self.best = summary["trial/best_veer_pct"]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "run" / "journal.jsonl") as opened:
        opened.append(SearchStarted(settings={"seed": 3, "a": {"b": 1}}, provenance={}))
        yield opened


def of_journal(run: RunFolder) -> Epochs:
    return {trial.trial: trial.measured for trial in RunView.read(run).histories}


def searched(journal: Journal, sender: Sender) -> RunView:
    """Run a search of a few trials that the sender follows, and end it."""
    run = RunFolder(journal.path.parent)
    sender.begin(run, run.read())
    journal.follow(sender.take)
    work(make_coordinator(journal, num_trials=6), at_once=2, rng=np.random.default_rng(0))
    (run.path / "report.html").write_text("page")
    view = RunView.read(run)
    sender.finish(run, view.records, [run.report, run.front], within_s=20)
    return view


def make_sender(tracker: MadeUpTracker, printed: list[str], **options: object) -> Sender:
    fast: dict[str, object] = {"retry_after_s": (0.001,), **options}
    return Sender(tracker, "tracker", "veer resume run", printed.append, **fast)  # type: ignore[arg-type]


def test_a_tracker_has_what_the_journal_has(journal: Journal) -> None:
    tracker, printed = MadeUpTracker(), list[str]()
    view = searched(journal, make_sender(tracker, printed))
    assert tracker.epochs == of_journal(view.folder)
    assert tracker.states == {trial.trial: trial.state for trial in view.histories}
    assert tracker.files == ["report.html"]
    assert tracker.best == min(min(each.values()) for each in of_journal(view.folder).values())
    assert tracker.search is not None
    assert (tracker.search.name, tracker.search.params) == ("run", {"seed": 3, "a.b": 1})
    assert printed == []


def test_a_veer_is_sent_with_its_interval(journal: Journal) -> None:
    tracker = MadeUpTracker()
    sender, run = make_sender(tracker, []), RunFolder(journal.path.parent)
    journal.follow(sender.take)
    sender.begin(run, run.read())
    start(journal, 0, loss__distillation="none", model__num_blocks=2, training__lr=1e-3)
    report(journal, 0, 1, 20.0, veer_low_pct=17.5, veer_high_pct=23.0)
    journal.append(TrialEnded(trial=0, state="complete", reason=None))
    sender.finish(run, run.read(), [], within_s=20)
    assert tracker.low == [17.5]


def test_what_an_outage_held_up_is_sent_afterwards(journal: Journal) -> None:
    calls = iter(range(10**6))

    def fault() -> None:
        if 5 < next(calls) < 15:
            raise ConnectionError("no route to host\nand more")

    tracker, printed = MadeUpTracker(fault), list[str]()
    view = searched(journal, make_sender(tracker, printed))
    assert tracker.epochs == of_journal(view.folder)
    (line,) = printed
    assert "tracker is not up to date: no route to host; the search goes on" in line
    assert "veer resume run" in line


@pytest.mark.parametrize("most_waiting", [1, 10_000])
def test_a_tracker_that_is_down_costs_one_line(journal: Journal, most_waiting: int) -> None:
    def fault() -> None:
        raise OSError("refused")

    tracker, printed = MadeUpTracker(fault), list[str]()
    view = searched(journal, make_sender(tracker, printed, most_waiting=most_waiting))
    assert len(view.histories) == 6
    assert len(printed) == 1
    # The same search, sent again once the tracker is there.
    tracker.fault = lambda: None
    again = make_sender(tracker, printed)
    again.finish(view.folder, view.records, [])
    assert tracker.epochs == of_journal(view.folder)
    assert len(printed) == 1


def test_a_full_queue_is_made_up_for_at_the_end(journal: Journal) -> None:
    held = threading.Event()
    tracker, printed = MadeUpTracker(lambda: held.wait() and None), list[str]()
    sender, run = make_sender(tracker, printed, most_waiting=3), RunFolder(journal.path.parent)
    sender.begin(run, run.read())
    journal.follow(sender.take)
    work(make_coordinator(journal, num_trials=6), rng=np.random.default_rng(0))
    held.set()
    sender.finish(run, run.read(), [], within_s=20)
    assert tracker.epochs == of_journal(run)


def test_a_tracker_that_hangs_ends_nothing(journal: Journal) -> None:
    held, printed = threading.Event(), list[str]()
    sender = make_sender(MadeUpTracker(lambda: held.wait() and None), printed)
    run = RunFolder(journal.path.parent)
    sender.begin(run, run.read())
    journal.follow(sender.take)
    begin_s = time.monotonic()
    work(make_coordinator(journal, num_trials=6), rng=np.random.default_rng(0))
    sender.finish(run, run.read(), [], within_s=0.2)
    assert time.monotonic() - begin_s < 10
    assert "did not answer in time" in printed[0]
    held.set()


def test_a_search_has_one_key_in_all_its_parts(journal: Journal) -> None:
    run = RunFolder(journal.path.parent)
    first = tracked_search(run, run.read())
    work(make_coordinator(journal, num_trials=2), rng=np.random.default_rng(0))
    second = tracked_search(run, run.read())
    assert first is not None
    assert second is not None
    assert first.key == second.key
    assert second.ended == frozenset({0, 1})
    assert tracked_search(run, ()) is None


def test_a_tracker_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("results.trackers.trackers.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"wandb needs .*pip install 'veer\[wandb\]'"):
        require_trackers(["wandb"])
    monkeypatch.setattr("results.trackers.trackers.find_spec", lambda name: name)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ConfigError, match=r"\$MLFLOW_TRACKING_URI, such as http"):
        require_trackers(["mlflow"])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    require_trackers(["mlflow", "wandb"])
