"""Files of an object store, and what is done about a bad network."""

import time
from pathlib import Path

import pytest

from spaces.files.errors import StorageError
from tests.trainable.storage.conftest import QUICK
from tests.worlds.object_store import ObjectStore
from trainable.storage.remote import RemoteFolder

CONTENT = bytes(range(256)) * 40


@pytest.mark.parametrize("content", [b"", b"a", CONTENT, CONTENT * 1200], ids=len)
def test_a_file_comes_back_as_it_was_put(
    remote: RemoteFolder, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "here").write_bytes(content)
    remote.put(tmp_path / "here", "a/b")
    remote.fetch("a/b", tmp_path / "back" / "b")
    assert (tmp_path / "back" / "b").read_bytes() == content
    assert remote.read("a/b") == content
    assert remote.files() == {"a/b": len(content)}
    assert remote.size("a/b") == len(content)


def test_a_deleted_file_is_gone_and_may_be_deleted_again(remote: RemoteFolder) -> None:
    remote.write(b"1", "x")
    remote.delete("x")
    remote.delete("x")
    assert remote.files() == {}
    assert remote.size("x") is None


def test_a_missing_file_is_none_and_leaves_nothing(remote: RemoteFolder, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        remote.fetch("nothing", tmp_path / "got" / "nothing")
    assert list((tmp_path / "got").iterdir()) == []


@pytest.mark.parametrize("fault", ["500", "truncated"])
def test_a_fault_that_passes_is_not_noticed(
    store: ObjectStore, remote: RemoteFolder, tmp_path: Path, fault: str
) -> None:
    remote.write(CONTENT, "x")
    store.set_fault(fault, 2, "GET")
    remote.fetch("x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_slow_answers_are_waited_for(store: ObjectStore, remote: RemoteFolder) -> None:
    store.set_fault("slow", 2, delay_s=0.3)
    begun_s = time.monotonic()
    remote.write(CONTENT, "x")
    assert remote.read("x") == CONTENT
    assert time.monotonic() - begun_s > 0.5


def test_an_answer_that_is_always_cut_short_is_refused_and_leaves_nothing(
    store: ObjectStore, remote: RemoteFolder, tmp_path: Path
) -> None:
    remote.write(CONTENT, "x")
    store.set_fault("truncated", -1, "GET")
    with pytest.raises(StorageError, match=r"/x: cannot be read, tried 3 times: .*; "):
        remote.fetch("x", tmp_path / "got" / "x")
    assert list((tmp_path / "got").iterdir()) == []


def test_a_failed_fetch_leaves_the_earlier_file(
    store: ObjectStore, remote: RemoteFolder, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"earlier")
    remote.write(CONTENT, "x")
    store.set_fault("500", -1)
    with pytest.raises(StorageError, match="check the network"):
        remote.fetch("x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"earlier"


def test_a_failed_write_leaves_the_earlier_file(
    store: ObjectStore, remote: RemoteFolder
) -> None:
    remote.write(b"earlier", "x")
    store.set_fault("500", -1, "PUT", "POST")
    with pytest.raises(StorageError, match="/x: cannot be written, tried 3 times"):
        remote.write(CONTENT, "x")
    store.set_fault(None)
    assert remote.read("x") == b"earlier"


def test_lost_credentials_are_named(store: ObjectStore, remote: RemoteFolder) -> None:
    store.set_fault("403", -1)
    with pytest.raises(StorageError, match="the credentials of this machine must have the right"):
        remote.write(b"1", "x")


def test_a_bucket_that_does_not_exist_is_named(store: ObjectStore, tmp_path: Path) -> None:
    del store
    gone = RemoteFolder("s3://gone/runs", QUICK)
    (tmp_path / "x").write_bytes(b"1")
    for act in (gone.files, lambda: gone.size("x"), lambda: gone.put(tmp_path / "x", "x")):
        with pytest.raises(StorageError, match="the bucket must exist, got none named gone"):
            act()
