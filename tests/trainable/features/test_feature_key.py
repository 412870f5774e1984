"""The key of a store changes with the audio, the order and the settings."""

import os
from pathlib import Path

import pytest

from spaces.files.errors import CorpusError
from trainable.audio.reading import AudioEntry
from trainable.features import request as module
from trainable.features.request import audio_dirs_of, lists_of, store_key


@pytest.fixture
def entries(tmp_path: Path) -> list[AudioEntry]:
    found = []
    for number in range(3):
        path = tmp_path / f"{number % 2}" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * number)
        os.utime(path, ns=(5, 5))
        found.append(
            AudioEntry(path=path, listed_at=f"{'val' if number else 'train'}.txt:{number}")
        )
    return found


def test_the_same_files_give_the_same_key_and_their_sizes(entries: list[AudioEntry]) -> None:
    assert store_key(entries, 0.5) == store_key(list(entries), 0.5)
    assert store_key(entries, 0.5).size_bytes == (0, 1, 2)


def test_whatever_decides_the_numbers_changes_the_key(
    entries: list[AudioEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = [
        store_key(entries, 0.5).digest,
        store_key(entries, 0.6).digest,
        store_key(entries[::-1], 0.5).digest,
        store_key(entries[:2], 0.5).digest,
    ]
    os.utime(entries[1].path, ns=(5, 6))
    digests.append(store_key(entries, 0.5).digest)
    entries[1].path.write_bytes(b"xyz")
    os.utime(entries[1].path, ns=(5, 6))
    digests.append(store_key(entries, 0.5).digest)
    for setting in module.FRONT_END_SETTINGS:
        with monkeypatch.context() as patch:
            patch.setitem(module.FRONT_END_SETTINGS, setting, 7)
            digests.append(store_key(entries, 0.5).digest)
    assert len(set(digests)) == 6 + 7


def test_where_a_list_names_a_file_does_not_matter(entries: list[AudioEntry]) -> None:
    moved = [AudioEntry(path=entry.path, listed_at="other.txt:1") for entry in entries]
    assert store_key(moved, 0.5) == store_key(entries, 0.5)


def test_every_missing_file_is_named(entries: list[AudioEntry]) -> None:
    for entry in entries[1:]:
        entry.path.unlink()
    with pytest.raises(CorpusError, match=r"txt:1: .*1\.wav.*\nval\.txt:2: .*2\.wav: No such"):
        store_key(entries, 0.5)


def test_lists_and_the_folder_of_each(entries: list[AudioEntry], tmp_path: Path) -> None:
    assert lists_of(entries) == ("train.txt", "val.txt")
    assert audio_dirs_of(entries) == (str(tmp_path / "0"), str(tmp_path))
    assert audio_dirs_of([]) == ()
