"""Shards whose vectors changed are found by reading them, removed, and only these are rebuilt."""

from pathlib import Path

import pytest

from spaces.files.errors import StoreError
from tests.worlds.small_store import (
    NUM_FILES,
    flip_byte,
    frames_position,
    identities,
    opened,
    store,
)
from trainable.audio.reading import AudioEntry
from trainable.features.request import LOG_MELS
from trainable.store.verifying import remove_damaged


def test_only_damaged_shards_are_removed_and_rebuilt(
    entries: list[AudioEntry], tmp_path: Path
) -> None:
    opened(entries, tmp_path)
    folder = store(tmp_path)
    before, content = identities(tmp_path), (folder / LOG_MELS.file_name(3)).read_bytes()
    reports: list[tuple[int, int]] = []
    assert remove_damaged([folder], lambda *numbers: reports.append(numbers)) == ()
    assert reports == [(n + 1, NUM_FILES) for n in range(NUM_FILES)]
    assert identities(tmp_path) == before
    path = folder / LOG_MELS.file_name(3)
    held = path.open("rb")  # so that the new file cannot get the old one's number
    flip_byte(path, frames_position(path) + 100)
    (damage,) = remove_damaged([folder])
    assert damage.startswith(f"{path}: CRC-32 of {entries[3].path} must be ")
    assert not path.exists()
    opened(entries, tmp_path)
    after = identities(tmp_path)
    held.close()
    assert [n for n in range(NUM_FILES) if after[n] != before[n]] == [3]
    assert path.read_bytes() == content


def test_a_store_that_is_not_complete_is_refused(
    entries: list[AudioEntry], tmp_path: Path
) -> None:
    opened(entries, tmp_path)
    manifest = store(tmp_path) / "manifest.json"
    manifest.unlink()
    with pytest.raises(StoreError, match=rf"{manifest}: is missing or damaged; `veer data build`"):
        remove_damaged([store(tmp_path)])
