"""What two lists of a corpus share: speakers and recordings, and repeats in the train list."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainable.list_formats.listed_files import ListedFiles
from trainable.lists.listed_pairs import ListedPairs
from trainable.lists.pair_checks import MAX_NAMED
from trainable.lists.parsing import Utterance
from trainable.lists.speakers import training_names

# From this many speakers with one utterance each, the names are taken to be of utterances.
_MIN_SINGLE = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListedUtterances:
    """The valid lines of a train list.

    Attributes:
        file: The list.
        utterances: Its utterances, in their order.
        files: The files of its paths.
    """

    file: Path
    utterances: tuple[Utterance, ...]
    files: ListedFiles


def shared_speaker_faults(train: ListedUtterances, trials: ListedPairs) -> list[str]:
    """Return a fault if speakers are both in training and in a trial list, with their number.

    Raises:
        CorpusError: The map of speakers cannot be read.
    """
    speakers = trials.speakers
    # Names that come from labels are paths, not speakers.
    if speakers is None or speakers.rule is None:
        return []
    train_line, path_line = training_names(train.utterances, trials.rules.speaker), trials.line_of
    line_of: dict[str, int] = {}
    for path, name in zip(trials.listed.index.paths, speakers.names, strict=True):
        line_of[name] = min(path_line[path], line_of.get(name, path_line[path]))
    shared = sorted(train_line.keys() & line_of.keys(), key=lambda name: (line_of[name], name))
    if not shared:
        return []
    first = shared[0]
    what = f"speaker {first} is also in training, {train.file}:{train_line[first]}"
    if len(shared) > 1:
        what += f"; {len(shared):,} of the {len(line_of):,} speakers of this list are"
        what += f" ({_named(shared)})"
    return [
        f"{trials.file}:{line_of[first]}: {what}; if meant so, set allow_shared_speakers: true"
    ]


def shared_recording_faults(
    shared: Mapping[str, str],
    trials: tuple[Path, Mapping[str, int]],
    train: tuple[Path, Iterable[Utterance]],
) -> list[str]:
    """Return a fault if recordings are both in training and in a trial list, with their number.

    Args:
        shared: Path in the train list of each path in the trial list that has one.
        trials: The trial list, and the first line of each of its paths.
        train: The train list, and its utterances.
    """
    if not shared:
        return []
    trial_list, line_of = trials
    path = min(shared, key=lambda each: line_of[each])
    in_train = next(each for each in train[1] if each.path == shared[path])
    return [
        f"{trial_list}:{line_of[path]}: {len(shared):,} of the {len(line_of):,} recordings of "
        f"this list are also in training, such as {path}, which is {in_train.path} in "
        f"{train[0]}:{in_train.line}; leave them out of one of the two lists"
    ]


def shared_files(train: ListedUtterances, trials: ListedPairs) -> dict[str, str]:
    """Return the path in the train list of each path in a trial list that leads to its file."""
    paths_of: dict[int, list[str]] = {}
    for path in trials.listed.index.paths:
        if (identity := trials.files.identity(path)) is not None:
            paths_of.setdefault(identity, []).append(path)
    found: dict[str, str] = {}
    for utterance in train.utterances:
        identity = train.files.identity(utterance.path)
        for path in paths_of.get(identity, ()) if identity is not None else ():
            found.setdefault(path, utterance.path)
    return found


def train_faults(train: ListedUtterances) -> list[str]:
    """Return the faults of files with two speakers, and of a list with one speaker in all."""
    faults = []
    for utterance, known in _repeats(train):
        if known.speaker != utterance.speaker:
            faults.append(
                f"{train.file}:{utterance.line}: a file has one speaker, got "
                f"{utterance.speaker} for {utterance.path} and {known.speaker} in line "
                f"{known.line}"
            )
    # No speaker at all: the list is empty, or has faults that the parser reports.
    speakers = {utterance.speaker for utterance in train.utterances}
    if len(speakers) == 1:
        faults.append(f"{train.file}:1: must name at least two speakers, got {speakers.pop()}")
    return faults


def train_warnings(train: ListedUtterances) -> list[str]:
    """Return warnings of utterances that are listed twice, and of speakers that are utterances."""
    warnings, num_lines = [], len(train.utterances)
    if repeats := _repeats(train):
        again, earlier = repeats[0]
        warnings.append(
            f"{train.file}:{again.line}: {len(repeats):,} of {num_lines:,} lines repeat an "
            f"earlier utterance (this one that of line {earlier.line}), which an epoch takes as "
            "often as it is listed; leave the repeats out"
        )
    num_speakers = len({utterance.speaker for utterance in train.utterances})
    if num_lines == num_speakers >= _MIN_SINGLE:
        warnings.append(
            f"{train.file}:1: each of the {num_lines:,} speakers has one utterance; if the first "
            "column names utterances (wav.scp of Kaldi), name speakers in their place"
        )
    return warnings


def _repeats(train: ListedUtterances) -> list[tuple[Utterance, Utterance]]:
    """Return each utterance whose file was listed before, with its first one."""
    first: dict[object, Utterance] = {}
    repeats = []
    for utterance in train.utterances:
        known = first.setdefault(train.files.identity(utterance.path) or utterance.path, utterance)
        if known is not utterance:
            repeats.append((utterance, known))
    return repeats


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
