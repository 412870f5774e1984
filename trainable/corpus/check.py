"""The full check of a corpus: its lists, then every audio file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from spaces.files.errors import CorpusError
from trainable.audio.scan import AudioScan, scan_audio
from trainable.corpus.copies import (
    recordings,
    shared_copies,
    train_copy_warnings,
    with_recordings,
)
from trainable.corpus.corpus import (
    NOT_APART,
    CorpusConfig,
    apart_faults,
    audio_of_pairs,
    corpus_of,
    parse_lists,
)
from trainable.corpus.known_lists import (
    content_sha256,
    is_same_file,
    known_list_warning,
    overlap_warnings,
)
from trainable.corpus.rates import rate_warnings
from trainable.corpus.shared import (
    ListedUtterances,
    shared_files,
    shared_recording_faults,
    train_warnings,
)
from trainable.lists.listed_pairs import ListedPairs, read_pairs
from trainable.lists.pair_checks import pair_faults


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport:
    """Counts of one part of a corpus.

    Attributes:
        name: train, validation or test.
        num_speakers: Number of speakers.
        num_files: Number of audio files, each counted once.
        num_target_pairs: Trial pairs of one speaker; 0 in training.
        num_nontarget_pairs: Trial pairs of two speakers; 0 in training.
        duration_h: Duration of all audio together, hours.
        shortest_s: Duration of the shortest file, seconds.
        speakers_found: How the speakers were found, and how many; empty in training, whose list
            names them.
    """

    name: str
    num_speakers: int
    num_files: int
    num_target_pairs: int
    num_nontarget_pairs: int
    duration_h: float
    shortest_s: float
    speakers_found: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusReport:
    """The result of the check of a corpus without faults.

    Attributes:
        parts: Training, validation and, if the corpus has a test list, test.
        warnings: Warnings about the lists, one sentence each.
    """

    parts: tuple[PartReport, ...]
    warnings: tuple[str, ...] = ()


def check_corpus(
    config: CorpusConfig, progress: Callable[[int, int], None] | None = None
) -> CorpusReport:
    """Check all lists, also the test list, and decode every file that they name.

    Args:
        config: The corpus.
        progress: Called with (files done, files in all).

    Raises:
        CorpusError: The lists or the audio have faults; names each with list and line.
    """
    faults: list[str] = []
    train, val = parse_lists(config, faults)
    test = _parse_test_list(config, train, val, faults)
    lists = [val] if test is None else [val, test]
    audio = [*corpus_of(config, train, val).audio]
    if test is not None:
        audio += audio_of_pairs(test.pairs, test.file, test.root)
    shortest_s = config.min_duration_s
    scan = scan_audio(audio, min_duration_s=shortest_s, progress=progress, with_voices=True)
    numbers = recordings([entry.path for entry in audio], scan.keys)
    # Audio comes in the order training, validation, test.
    of_train = len(train.utterances)
    of_val = of_train + len(val.listed.index.paths)
    spans = [slice(of_train), slice(of_train, of_val), slice(of_val, None)]
    parts = [numbers[span] for span in spans]
    for trials, own in zip(lists, parts[1:], strict=False):
        faults += _copy_faults(train, parts[0], trials, own)
    # Faults of lists and audio together, so that one check names all of them.
    if faults or scan.faults:
        raise CorpusError([*faults, *scan.faults])
    reports = [_report_train(train, scan.durations_s[spans[0]])]
    for name, trials, span in zip(("validation", "test"), lists, spans[1:], strict=False):
        reports.append(_report_pairs(name, trials, scan.durations_s[span]))
    warnings = _warnings(train, lists, parts, scan)
    named = [[utterance.speaker for utterance in train.utterances], *map(_speakers_of, lists)]
    for speakers, span in zip(named, spans, strict=False):
        warnings += rate_warnings(audio[span], speakers, scan.voices[span])
    return CorpusReport(parts=tuple(reports), warnings=tuple(warnings))


def _speakers_of(trials: ListedPairs) -> list[str]:
    """Return the speaker of each file of a trial list, in the order of its audio.

    Empty where they are unknown, or contradict labels: voices of several would be compared as one.
    """
    is_known = trials.speakers is not None and trials.speakers.agree
    return [*trials.speakers.names] if trials.speakers and is_known else []


def _parse_test_list(
    config: CorpusConfig, train: ListedUtterances, val: ListedPairs, faults: list[str]
) -> ListedPairs | None:
    if not (config.test_list and config.test_dir):
        return None
    test = read_pairs(config.test_list, config.test_dir, faults, rules=config.list_rules)
    faults += test.faults()
    # `parse_lists` reports a validation list that is the same file.
    is_reported = is_same_file(config.val_list, config.test_list)
    if not is_reported and content_sha256(test.pairs) == content_sha256(val.pairs):
        faults.append(f"{config.val_list}, of which {config.test_list} is a copy: {NOT_APART}")
    faults += apart_faults(train, test, allow_speakers=config.allow_shared_speakers)
    return test


def _copy_faults(
    train: ListedUtterances,
    train_numbers: Sequence[int],
    trials: ListedPairs,
    numbers: Sequence[int],
) -> list[str]:
    """Return the faults of a trial list that only the samples show."""
    # Paths to one file are reported without reading audio.
    if shared_files(train, trials):
        return []
    copies = shared_copies(train, train_numbers, trials, numbers)
    faults = shared_recording_faults(
        copies, (trials.file, trials.line_of), (train.file, train.utterances)
    )
    if not pair_faults(trials.listed):
        faults += pair_faults(with_recordings(trials.listed, numbers))
    return faults


def _warnings(
    train: ListedUtterances,
    lists: Sequence[ListedPairs],
    numbers: Sequence[Sequence[int]],
    scan: AudioScan,
) -> list[str]:
    """Return the warnings of all lists.

    Args:
        train: The train list.
        lists: The validation list and, if there is one, the test list.
        numbers: Numbers of the recordings of the train list and of each of the lists.
        scan: The audio.
    """
    warnings = [*train_warnings(train), *train_copy_warnings(train, numbers[0])]
    for trials, own in zip(lists, numbers[1:], strict=False):
        # Copies count as one file: a pair of two copies is a file with itself.
        warnings += replace(trials, listed=with_recordings(trials.listed, own)).warnings()
    warnings += scan.warnings
    val = lists[0]
    if len(lists) > 1:
        overlaps = overlap_warnings(val.pairs, lists[1].pairs, val.rules.speaker)
        num_shared = len(set(numbers[1]) & set(numbers[2]))
        if num_shared and not overlaps:
            overlaps = [
                f"validation and test list share {num_shared} recordings under other names: error "
                "rates on it are too low for a model that was chosen by the other"
            ]
        warnings += overlaps
    num_targets = sum(pair.is_target for pair in val.pairs)
    known = known_list_warning(val.listed.index.paths, len(val.pairs), num_targets)
    return [*warnings, *([known] if known else [])]


def _report_train(train: ListedUtterances, durations_s: Sequence[float]) -> PartReport:
    # A file that the list names twice counts once.
    seconds_of = dict(zip((u.path for u in train.utterances), durations_s, strict=True))
    return PartReport(
        name="train",
        num_speakers=len({utterance.speaker for utterance in train.utterances}),
        num_files=len(seconds_of),
        num_target_pairs=0,
        num_nontarget_pairs=0,
        duration_h=sum(seconds_of.values()) / 3600,
        shortest_s=min(seconds_of.values()),
    )


def _report_pairs(name: str, trials: ListedPairs, durations_s: Sequence[float]) -> PartReport:
    num_target = sum(pair.is_target for pair in trials.pairs)
    speakers = trials.speakers
    return PartReport(
        name=name,
        num_speakers=0 if speakers is None else speakers.num_speakers,
        num_files=len(durations_s),
        num_target_pairs=num_target,
        num_nontarget_pairs=len(trials.pairs) - num_target,
        duration_h=sum(durations_s) / 3600,
        shortest_s=min(durations_s),
        speakers_found="" if speakers is None else speakers.in_words,
    )
