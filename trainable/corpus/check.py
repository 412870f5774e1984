"""The full check of a corpus: its lists, then every audio file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spaces.files.errors import CorpusError
from trainable.audio.reading import scan_audio
from trainable.corpus.corpus import (
    NOT_APART,
    Corpus,
    CorpusConfig,
    TrialPair,
    audio_of_pairs,
    class_faults,
    parse_corpus,
    shared_speaker_faults,
)
from trainable.corpus.known_lists import (
    content_sha256,
    is_same_file,
    known_list_warning,
    overlap_warnings,
)
from trainable.corpus.lists import parse_trial_list, speaker_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport:
    """Counts of one part of a corpus.

    Attributes:
        name: train, validation or test.
        num_speakers: Number of speakers; in a trial list, the first folders of the paths count.
        num_files: Number of audio files, each counted once.
        num_target_pairs: Trial pairs of one speaker; 0 in training.
        num_nontarget_pairs: Trial pairs of two speakers; 0 in training.
        duration_h: Duration of all audio together, hours.
        shortest_s: Duration of the shortest file, seconds.
    """

    name: str
    num_speakers: int
    num_files: int
    num_target_pairs: int
    num_nontarget_pairs: int
    duration_h: float
    shortest_s: float


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
    corpus = parse_corpus(config, faults)
    test_pairs = _parse_test_pairs(config, corpus, faults)
    audio = [*corpus.audio]
    if config.test_list and config.test_dir:
        audio += audio_of_pairs(test_pairs, config.test_list, config.test_dir)
    scan = scan_audio(audio, min_duration_s=config.min_duration_s, progress=progress)
    # Faults of lists and audio together, so that one check names all of them.
    if faults or scan.faults:
        raise CorpusError([*faults, *scan.faults])
    # Durations come in the order of `audio`: training, validation, test.
    val_start, val_end = len(corpus.train), len(corpus.train) + len(corpus.val_paths)
    parts = [
        _report_train(corpus, scan.durations_s[:val_start]),
        _report_pairs("validation", corpus.val_pairs, scan.durations_s[val_start:val_end]),
    ]
    if test_pairs:
        parts.append(_report_pairs("test", test_pairs, scan.durations_s[val_end:]))
    return CorpusReport(parts=tuple(parts), warnings=_warnings(corpus, test_pairs))


def _parse_test_pairs(
    config: CorpusConfig, corpus: Corpus, faults: list[str]
) -> tuple[TrialPair, ...]:
    if not (config.test_list and config.test_dir):
        return ()
    pairs = parse_trial_list(config.test_list, config.test_dir, faults)
    faults += class_faults(pairs, config.test_list)
    # `parse_corpus` reports a validation list that is the same file.
    is_reported = is_same_file(config.val_list, config.test_list)
    if not is_reported and content_sha256(pairs) == content_sha256(corpus.val_pairs):
        faults.append(f"{config.val_list}, of which {config.test_list} is a copy: {NOT_APART}")
    if not config.allow_shared_speakers:
        faults += shared_speaker_faults(corpus.train, config.train_list, pairs, config.test_list)
    return pairs


def _warnings(corpus: Corpus, test_pairs: Sequence[TrialPair]) -> tuple[str, ...]:
    num_targets = sum(pair.is_target for pair in corpus.val_pairs)
    known = known_list_warning(corpus.val_paths, len(corpus.val_pairs), num_targets)
    overlaps = overlap_warnings(corpus.val_pairs, test_pairs)
    return (*overlaps, *([known] if known else []))


def _report_train(corpus: Corpus, durations_s: Sequence[float]) -> PartReport:
    # A file that the list names twice counts once.
    seconds_of = dict(zip((u.path for u in corpus.train), durations_s, strict=True))
    return PartReport(
        name="train",
        num_speakers=len(corpus.speakers),
        num_files=len(seconds_of),
        num_target_pairs=0,
        num_nontarget_pairs=0,
        duration_h=sum(seconds_of.values()) / 3600,
        shortest_s=min(seconds_of.values()),
    )


def _report_pairs(
    name: str, pairs: Sequence[TrialPair], durations_s: Sequence[float]
) -> PartReport:
    num_target = sum(pair.is_target for pair in pairs)
    speakers = {speaker_of(path) for pair in pairs for path in (pair.path_a, pair.path_b)}
    return PartReport(
        name=name,
        num_speakers=len(speakers),
        num_files=len(durations_s),
        num_target_pairs=num_target,
        num_nontarget_pairs=len(pairs) - num_target,
        duration_h=sum(durations_s) / 3600,
        shortest_s=min(durations_s),
    )
