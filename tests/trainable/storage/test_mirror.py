"""A folder here and its copy there."""

from pathlib import Path

import pytest

from spaces.files.errors import StorageError
from tests.worlds.object_store import ObjectStore
from trainable.storage.mirror import FolderMirror
from trainable.storage.remote import RemoteFolder


def test_new_changed_and_deleted_files_go_up(remote: RemoteFolder, tmp_path: Path) -> None:
    mirror = FolderMirror(tmp_path / "here", remote)
    (tmp_path / "here" / "sub").mkdir(parents=True)
    for name in ("a", "sub/b", ".lock", "c.building"):
        (tmp_path / "here" / name).write_text("1")
    assert mirror.upload() == ["a", "sub/b"]
    assert mirror.upload() == []
    (tmp_path / "here" / "a").write_text("22")
    (tmp_path / "here" / "sub" / "b").unlink()
    assert mirror.upload() == ["a"]
    assert remote.files() == {"a": 2}


def test_files_of_another_machine_stay(remote: RemoteFolder, tmp_path: Path) -> None:
    remote.write(b"1", "theirs")
    (tmp_path / "mine").write_text("1")
    FolderMirror(tmp_path, remote).upload()
    assert remote.files() == {"theirs": 1, "mine": 1}


def test_a_digest_is_there_before_its_file(
    store: ObjectStore, remote: RemoteFolder, tmp_path: Path
) -> None:
    for name in ("a.model", "a.model.sha256"):
        (tmp_path / name).write_text("1")
    assert FolderMirror(tmp_path, remote).upload() == ["a.model.sha256", "a.model"]
    del store


def test_an_upload_that_failed_half_way_goes_on(
    store: ObjectStore, remote: RemoteFolder, tmp_path: Path
) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name)
    mirror = FolderMirror(tmp_path, remote)
    store.set_fault("403", -1, "PUT", "POST")
    with pytest.raises(StorageError, match="/a: cannot be written"):
        mirror.upload()
    store.set_fault(None)
    assert mirror.upload() == ["a", "b", "c"]


def test_fetching_takes_what_is_missing_or_differs_only(
    store: ObjectStore, remote: RemoteFolder, tmp_path: Path
) -> None:
    for name in ("a", "sub/b", "weights"):
        remote.write(b"123", name)
    (tmp_path / "a").write_text("123")
    mirror = FolderMirror(tmp_path, remote)
    store.num_requests.clear()
    assert mirror.fetch(lambda name: name != "weights") == ["sub/b"]
    assert store.num_requests["GET", f"/bucket/{tmp_path.name}/a"] == 0
    assert mirror.upload() == []  # both sides agree
    assert (tmp_path / "sub" / "b").read_text() == "123"
