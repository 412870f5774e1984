"""Files with the same samples, whatever their names and formats."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from trainable.audio.reading import AudioError
from trainable.audio.scan import wave_sha256
from trainable.corpus.shared import ListedUtterances
from trainable.lists.listed_pairs import ListedPairs
from trainable.lists.pair_checks import IndexedList


def recordings(files: Sequence[Path], keys: Sequence[int]) -> list[int]:
    """Number the recordings: files with the same samples share a number.

    Only files that share a key with another file are decoded again.

    Args:
        files: The files.
        keys: The key of each file, see `AudioScan`; 0 for one that cannot be read.
    """
    first = {key: place for place, key in reversed([*enumerate(keys)])}
    repeated = {key for place, key in enumerate(keys) if files[first[key]] != files[place]}
    digest_of: dict[Path, str] = {}
    number_of: dict[object, int] = {}
    numbers = []
    for file, key in zip(files, keys, strict=True):
        recording: object = file
        if key and key in repeated:
            if file not in digest_of:
                digest_of[file] = _digest(file)
            recording = digest_of[file]
        numbers.append(number_of.setdefault(recording, len(number_of)))
    return numbers


def _digest(file: Path) -> str:
    try:
        return wave_sha256(file)
    except AudioError:  # it was read a moment ago, and is gone or changed
        return str(file)


def with_recordings(listed: IndexedList, numbers: Sequence[int]) -> IndexedList:
    """Return a list whose paths to equal recordings count as paths to one file.

    Args:
        listed: The list.
        numbers: (V,) number of each utterance's recording.
    """
    _, same_file = np.unique(np.array(numbers, dtype=np.int64), return_inverse=True)
    return IndexedList(
        file=listed.file, index=listed.index, lines=listed.lines, same_file=same_file
    )


def shared_copies(
    train: ListedUtterances,
    train_numbers: Sequence[int],
    trials: ListedPairs,
    numbers: Sequence[int],
) -> dict[str, str]:
    """Return the path in the train list of each path in a trial list with the same samples."""
    wanted = set(numbers)
    first: dict[int, str] = {}
    for utterance, number in zip(train.utterances, train_numbers, strict=True):
        if number in wanted:
            first.setdefault(number, utterance.path)
    paths = trials.listed.index.paths
    return {
        path: first[number] for path, number in zip(paths, numbers, strict=True) if number in first
    }


def train_copy_warnings(train: ListedUtterances, numbers: Sequence[int]) -> list[str]:
    """Return warnings of copies in the train list: with two speakers, and with one."""
    first: dict[int, int] = {}
    copies = []
    for place, (utterance, number) in enumerate(zip(train.utterances, numbers, strict=True)):
        earlier = train.utterances[first.setdefault(number, place)]
        # One path listed twice is reported without reading audio.
        if earlier.path != utterance.path:
            copies.append((utterance, earlier))
    kinds: Mapping[str, list[int]] = {
        "which has another speaker: one of the labels is wrong": [
            n for n, (one, other) in enumerate(copies) if one.speaker != other.speaker
        ],
        "which an epoch takes twice": [
            n for n, (one, other) in enumerate(copies) if one.speaker == other.speaker
        ],
    }
    warnings = []
    for text, places in kinds.items():
        if places:
            one, other = copies[places[0]]
            more = f" ({len(places):,} such copies)" if len(places) > 1 else ""
            warnings.append(
                f"{train.file}:{one.line}: {one.path} has the samples of {other.path} in line "
                f"{other.line}, {text}{more}"
            )
    return warnings
