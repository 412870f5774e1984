"""What a worker does with a shard, without Ray."""

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from search.cluster import store_worker
from search.cluster.shard_progress import ShardProgress
from search.cluster.store_worker import MAX_STARTS, ShardOutcome, try_build_shard
from spaces.files.errors import StoreError
from trainable.store.shards import ShardKind, ShardLocation, Vectors, open_shard
from trainable.store.tasks import Tick

KIND = ShardKind(stem="things", vectors="things", width=4)
NUM_ROWS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    location: ShardLocation
    row: Callable[[int], tuple[str, Vectors] | str]
    num_rows: int = NUM_ROWS
    uses_gpu: bool = False

    def rows(self) -> Iterator[tuple[str, Vectors] | str]:
        return map(self.row, range(self.num_rows))

    def faults(self, tick: Tick) -> tuple[str, ...]:
        raise NotImplementedError


class Actor:
    """A `ShardProgress` whose calls are answered at once."""

    def __init__(self) -> None:
        self.shard_progress = ShardProgress()

    def __getattr__(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(remote=getattr(self.shard_progress, name))


@pytest.fixture
def actor(monkeypatch: pytest.MonkeyPatch) -> Actor:
    monkeypatch.setattr(store_worker.ray, "get", lambda answer: answer)
    return Actor()


@pytest.fixture
def location(tmp_path: Path) -> ShardLocation:
    (tmp_path / "plan.json").write_text("{}")
    return ShardLocation(folder=tmp_path, kind=KIND, key="key", number=3)


def good(number: int) -> tuple[str, Vectors]:
    return f"{number}.wav", np.full((2, 4), number, np.float16)


def raising(error: Exception) -> Callable[[int], tuple[str, Vectors]]:
    def row(number: int) -> tuple[str, Vectors]:
        if number == 2:
            raise error
        return good(number)

    return row


def test_a_shard_is_written_and_its_utterances_counted(
    location: ShardLocation, actor: Actor
) -> None:
    assert try_build_shard(Task(location=location, row=good), actor) == ShardOutcome(number=3)
    assert open_shard(location).record.num_rows == NUM_ROWS
    assert actor.shard_progress.total() == NUM_ROWS


def test_all_faults_are_handed_over_and_nothing_written(
    location: ShardLocation, actor: Actor
) -> None:
    outcome = try_build_shard(
        Task(location=location, row=lambda n: f"list:{n}: silent" if n in (1, 4) else good(n)),
        actor,
    )
    assert outcome == ShardOutcome(number=3, faults=("list:1: silent", "list:4: silent"))
    assert not location.path.exists()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError(errno.EROFS, "Read-only file system"),
            "cannot be written: Read-only file system; name another folder",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "cannot be written (No space left on device): ",
        ),
        (StoreError("features-1: is not complete"), "features-1: is not complete"),
        (MemoryError(), "no memory was left to build it; build again with fewer --workers"),
        (ZeroDivisionError("of the user's own code"), "cannot be built:\nTraceback"),
    ],
    ids=["disk", "full", "store", "memory", "own"],
)
def test_an_error_names_the_shard(
    location: ShardLocation, actor: Actor, error: Exception, message: str
) -> None:
    outcome = try_build_shard(Task(location=location, row=raising(error)), actor)
    assert outcome.error.startswith(f"{location.path}: {message}")
    assert outcome.faults == ()
    assert outcome.is_disk_full == (getattr(error, "errno", None) == errno.ENOSPC)
    assert not list(location.folder.glob("*things*"))


def test_an_unknown_error_comes_with_its_trace(location: ShardLocation, actor: Actor) -> None:
    task = Task(location=location, row=raising(ZeroDivisionError("by zero")))
    outcome = try_build_shard(task, actor)
    assert "in row" in outcome.error
    assert outcome.error.rstrip().endswith("ZeroDivisionError: by zero")


def test_a_node_that_does_not_see_the_folder_reports_it(
    location: ShardLocation, actor: Actor
) -> None:
    (location.folder / "plan.json").unlink()
    outcome = try_build_shard(Task(location=location, row=good), actor)
    assert "does not see this folder; $VEER_CACHE must name one that all nodes" in outcome.error
    assert str(location.path) in outcome.error


def test_a_shard_that_killed_its_workers_is_given_up(
    location: ShardLocation, actor: Actor
) -> None:
    for _ in range(MAX_STARTS):
        actor.shard_progress.begin(location.number)
    outcome = try_build_shard(Task(location=location, row=good), actor)
    assert outcome.error.startswith(f"{location.path}: its builder was killed 3 times, perhaps")
    assert not location.path.exists()


def test_a_shard_that_was_built_before_another_of_its_group_failed_stays(
    location: ShardLocation, actor: Actor
) -> None:
    assert try_build_shard(Task(location=location, row=good), actor) == ShardOutcome(number=3)
    for _ in range(MAX_STARTS):
        actor.shard_progress.begin(location.number)
    again = Task(location=location, row=raising(ZeroDivisionError()))
    assert try_build_shard(again, actor) == ShardOutcome(number=3)
    assert actor.shard_progress.total() == NUM_ROWS


def test_a_shard_that_is_started_again_counts_from_zero() -> None:
    shard_progress = ShardProgress()
    assert shard_progress.begin(0) == 1
    shard_progress.record(0, 70)
    shard_progress.record(1, 5)
    assert shard_progress.begin(0) == 2
    assert shard_progress.total() == 5
