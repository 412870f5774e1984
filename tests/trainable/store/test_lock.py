"""A store has many readers and one builder, and is not removed while a process uses it."""

import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spaces.files.errors import StoreError
from tests.worlds.read_only import read_only
from tests.worlds.small_store import everything, opened, store
from trainable.audio.reading import AudioEntry
from trainable.store.lock import BUILD_LOCK, USE_LOCK, remove_store, sole_builder, use_store

HOLD = """
import sys
from pathlib import Path
from trainable.store.lock import use_store
held = use_store(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_store_in_use_is_not_removed(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    first, second = use_store(folder), use_store(folder)
    assert not remove_store(folder)
    first.release()
    assert not remove_store(folder)
    second.release()
    assert remove_store(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_hold_ends_with_its_last_reference(tmp_path: Path) -> None:
    held = use_store(tmp_path / "store")
    del held
    assert remove_store(tmp_path / "store")


def test_the_hold_of_a_killed_process_ends(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert not remove_store(folder)
        process.kill()
        process.wait()
    assert remove_store(folder)


def test_a_removed_store_is_gone_for_a_second_remover(tmp_path: Path) -> None:
    use_store(tmp_path / "store").release()
    assert remove_store(tmp_path / "store")
    assert remove_store(tmp_path / "store")


def test_a_hold_taken_while_the_store_is_removed_is_on_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "store"
    use_store(folder).release()
    real, calls = fcntl.flock, []

    def flock_after_removal(descriptor: int, operation: int) -> None:
        if not calls:
            calls.append(operation)
            folder.rename(tmp_path / "removed")
        real(descriptor, operation)

    monkeypatch.setattr("fcntl.flock", flock_after_removal)
    held = use_store(folder)
    assert (folder / "in-use.lock").exists()
    monkeypatch.undo()
    assert not remove_store(folder)
    held.release()


def test_one_builder_at_a_time(tmp_path: Path) -> None:
    waited, inside = threading.Event(), threading.Event()

    def second() -> None:
        with sole_builder(tmp_path, waited.set):
            inside.set()

    thread = threading.Thread(target=second)
    with sole_builder(tmp_path, pytest.fail):
        thread.start()
        assert waited.wait(5)
        assert not inside.is_set()
    thread.join(5)
    assert inside.is_set()


@pytest.mark.parametrize("has_locks", [True, False])
def test_a_complete_store_is_used_where_nothing_can_be_written(
    tmp_path: Path, entries: list[AudioEntry], has_locks: bool
) -> None:
    built = everything(opened(entries, tmp_path))
    if not has_locks:  # copied without them
        for name in (USE_LOCK, BUILD_LOCK):
            (store(tmp_path) / name).unlink(missing_ok=True)
    with read_only(tmp_path):
        assert everything(opened(entries, tmp_path)).equal(built)


def test_a_store_that_is_not_complete_cannot_be_built_there(
    tmp_path: Path, entries: list[AudioEntry]
) -> None:
    opened(entries, tmp_path)
    (store(tmp_path) / "manifest.json").unlink()
    (store(tmp_path) / "features-00000.arrow").unlink()
    with read_only(tmp_path), pytest.raises(StoreError, match="Read-only file system; name anot"):
        opened(entries, tmp_path)
