"""A damaged shard is named and rebuilt; the other shards stay."""

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.worlds.small_store import NUM_FILES, everything, identities, manifest, opened, store
from trainable.audio.reading import AudioEntry
from trainable.features.request import LOG_MELS


@pytest.mark.parametrize(
    ("damage", "warning"),
    [
        (lambda path: os.truncate(path, 500), r"00002\.arrow: must have \d+ bytes, got 500"),
        (lambda path: path.unlink(), r"00002\.arrow: is missing"),
        (
            lambda path: path.write_bytes(path.with_name(LOG_MELS.file_name(1)).read_bytes()),
            r"00002\.arrow: must have \d+ bytes, got",
        ),
    ],
    ids=["truncated", "missing", "another"],
)
def test_only_a_damaged_shard_is_named_and_rebuilt(
    entries: list[AudioEntry],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], object],
    warning: str,
) -> None:
    whole = everything(opened(entries, tmp_path))
    before = identities(tmp_path)
    # Held, so that a new file cannot get an old one's number.
    held = [file.open("rb") for file in store(tmp_path).glob("*.arrow")]
    path = store(tmp_path) / LOG_MELS.file_name(2)
    damage(path)
    done: list[int] = []
    with caplog.at_level(logging.WARNING):
        features = opened(entries, tmp_path, done)
    for file in held:
        file.close()
    (message,) = caplog.messages
    assert re.search(warning, message)
    assert message.endswith("this shard is rebuilt")
    assert done == [NUM_FILES]
    after = identities(tmp_path)
    assert [n for n in range(NUM_FILES) if after[n] != before[n]] == [2]
    assert torch.equal(everything(features), whole)


def test_a_wrong_checksum_record_is_found_at_opening(
    entries: list[AudioEntry], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = everything(opened(entries, tmp_path))
    right = manifest(tmp_path)
    wrong = right.shards[4].model_copy(update={"crc32": right.shards[4].crc32 ^ 1})
    shards = (*right.shards[:4], wrong, right.shards[5])
    text = right.model_copy(update={"shards": shards}).model_dump_json()
    (store(tmp_path) / "manifest.json").write_text(text)
    assert torch.equal(everything(opened(entries, tmp_path)), whole)
    assert f"00004.arrow: crc32 must be {wrong.crc32}, got {right.shards[4].crc32}" in caplog.text
    assert manifest(tmp_path) == right


@pytest.mark.parametrize("text", ["{", "{}", ""])
def test_a_damaged_manifest_is_computed_from_the_shards(
    entries: list[AudioEntry], tmp_path: Path, text: str
) -> None:
    opened(entries, tmp_path)
    right, files = manifest(tmp_path), identities(tmp_path)
    (store(tmp_path) / "manifest.json").write_text(text)
    done: list[int] = []
    opened(entries, tmp_path, done)
    assert done == []
    assert (manifest(tmp_path), identities(tmp_path)) == (right, files)


def test_a_store_of_other_audio_is_never_used_whatever_its_name(
    entries: list[AudioEntry], tmp_path: Path
) -> None:
    opened(entries, tmp_path)
    name = store(tmp_path).name
    other = list(reversed(entries))
    expected = everything(opened(other, tmp_path / "fresh"))
    target = store(tmp_path / "fresh")
    for file in target.iterdir():
        file.unlink()
    for file in (tmp_path / "cache" / name).iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    assert torch.equal(everything(opened(other, tmp_path / "fresh")), expected)
