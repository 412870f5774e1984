"""A corpus: audio folders and lists in the formats of voxceleb_trainer.

This module reads and checks the lists; `check` also decodes the audio.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from spaces.files.errors import CorpusError
from spaces.files.yaml_file import load_model, read_yaml
from trainable.audio.augmentation_config import AugmentationConfig
from trainable.audio.reading import AudioEntry
from trainable.corpus.known_lists import is_same_file
from trainable.corpus.lists import (
    TrialPair,
    Utterance,
    parse_train_list,
    parse_trial_list,
    speaker_of,
)

__all__ = [
    "Corpus",
    "CorpusConfig",
    "TrialPair",
    "Utterance",
    "audio_of_pairs",
    "read_corpus",
    "read_corpus_config",
    "read_trial_list",
]


NOT_APART = (
    "must not be the test list too: a model that is chosen by a list cannot be tested on it; name "
    "pairs of other speakers, or leave test_list out"
)


class CorpusConfig(BaseModel):
    """The content of `corpus.yaml`: where the lists and the audio of a corpus are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train_dir: Path = Field(description="folder that the paths of the train list start from")
    train_list: Path = Field(description="lines 'SPEAKER PATH'")
    val_dir: Path = Field(description="folder that the paths of the validation list start from")
    val_list: Path = Field(description="lines '1|0 PATH_A PATH_B'; a search minimises its EER")
    test_dir: Path | None = Field(default=None, description="as val_dir, for the test list")
    test_list: Path | None = Field(default=None, description="as val_list; no search reads it")
    min_duration_s: float = Field(
        default=0.5, ge=0, allow_inf_nan=False, description="shorter audio is refused, seconds"
    )
    allow_shared_speakers: bool = Field(
        default=False, description="let training and validation share speakers"
    )
    augmentation: AugmentationConfig = Field(
        default_factory=AugmentationConfig,
        description="augmented copies of the training utterances",
    )

    @model_validator(mode="after")
    def _check_test(self) -> Self:
        if (self.test_dir is None) != (self.test_list is None):
            raise ValueError("test_dir and test_list must be given together or not at all")
        return self

    def resolved_against(self, folder: Path) -> Self:
        """Return the same config with absolute paths; relative ones start from the folder."""
        paths = {name: value for name, value in self if isinstance(value, Path)}
        found: dict[str, object] = {name: (folder / p).resolve() for name, p in paths.items()}
        found["augmentation"] = self.augmentation.resolved_against(folder)
        return self.model_copy(update=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """The checked lists of a corpus.

    Attributes:
        config: Config that names the lists.
        train: Training utterances, in the order of the list.
        val_pairs: Validation trial pairs, in the order of the list.
        speakers: Training speakers, sorted; the position is the class.
        val_paths: Files that the validation pairs name, sorted, each once.
    """

    config: CorpusConfig
    train: tuple[Utterance, ...]
    val_pairs: tuple[TrialPair, ...]
    speakers: tuple[str, ...]
    val_paths: tuple[str, ...]

    @property
    def audio(self) -> tuple[AudioEntry, ...]:
        """All audio files with list and line: those of `train`, then those of `val_paths`."""
        config = self.config
        train = (
            AudioEntry(path=config.train_dir / u.path, listed_at=f"{config.train_list}:{u.line}")
            for u in self.train
        )
        return (*train, *audio_of_pairs(self.val_pairs, config.val_list, config.val_dir))


def read_corpus_config(path: Path) -> CorpusConfig:
    """Read a `corpus.yaml`; its relative paths start from its own folder.

    Raises:
        ConfigError: The file is missing or breaks a rule; names the line.
    """
    return load_model(CorpusConfig, read_yaml(path)).resolved_against(path.parent)


def read_corpus(config: CorpusConfig, *, check_files: bool = True) -> Corpus:
    """Read and check the train and validation lists, without opening audio.

    Args:
        config: Config that names the lists.
        check_files: Whether to check that each audio file exists; false for lists that were
            checked before.

    Raises:
        CorpusError: The lists have faults; names each: a line that does not parse, a missing file,
            a path outside the root, an empty list, no target or no non-target pairs, fewer than
            two training speakers, or speakers in both training and validation.
    """
    faults: list[str] = []
    corpus = parse_corpus(config, faults, check_files=check_files)
    if faults:
        raise CorpusError(faults)
    return corpus


def parse_corpus(config: CorpusConfig, faults: list[str], *, check_files: bool = True) -> Corpus:
    """Read and check as `read_corpus`, but add faults to `faults` and return the valid lines."""
    train = parse_train_list(config.train_list, config.train_dir, faults, check_files=check_files)
    pairs = parse_trial_list(config.val_list, config.val_dir, faults, check_files=check_files)
    faults += _speaker_faults(train, config.train_list)
    faults += class_faults(pairs, config.val_list)
    # Paths only, since no search reads the test list; `check_corpus` compares the pairs.
    if config.test_list is not None and is_same_file(config.val_list, config.test_list):
        faults.append(f"{config.val_list}: {NOT_APART}")
    if not config.allow_shared_speakers:
        faults += shared_speaker_faults(train, config.train_list, pairs, config.val_list)
    return Corpus(
        config=config,
        train=train,
        val_pairs=pairs,
        # Sorted, so that a class does not depend on the order of the list.
        speakers=tuple(sorted({utterance.speaker for utterance in train})),
        # Sorted: the store's key covers the order of the files, and the order of pairs is free.
        val_paths=tuple(sorted({p for pair in pairs for p in (pair.path_a, pair.path_b)})),
    )


def read_trial_list(path: Path, root: Path) -> tuple[TrialPair, ...]:
    """Read and check one trial list, without opening audio.

    Args:
        path: File with lines `1|0 PATH_A PATH_B`.
        root: Folder that the paths start from.

    Raises:
        CorpusError: The list has faults; names each.
    """
    faults: list[str] = []
    pairs = parse_trial_list(path, root, faults)
    faults += class_faults(pairs, path)
    if faults:
        raise CorpusError(faults)
    return pairs


def audio_of_pairs(
    pairs: Sequence[TrialPair], trial_list: Path, root: Path
) -> tuple[AudioEntry, ...]:
    """Return the files of trial pairs, sorted by path, each with the first line that names it."""
    first_line: dict[str, int] = {}
    for pair in pairs:
        first_line.setdefault(pair.path_a, pair.line)
        first_line.setdefault(pair.path_b, pair.line)
    return tuple(
        AudioEntry(path=root / path, listed_at=f"{trial_list}:{first_line[path]}")
        for path in sorted(first_line)
    )


def shared_speaker_faults(
    train: Sequence[Utterance], train_list: Path, pairs: Sequence[TrialPair], trial_list: Path
) -> list[str]:
    """Return one fault for each speaker that is both in training and in a trial list."""
    train_line = _first_lines((u.speaker, u.line) for u in train)
    pair_line = _first_lines(
        (speaker_of(path), pair.line) for pair in pairs for path in (pair.path_a, pair.path_b)
    )
    return [
        f"{trial_list}:{pair_line[speaker]}: speaker {speaker} is also in training, "
        f"{train_list}:{train_line[speaker]}; if meant so, set allow_shared_speakers: true"
        for speaker in sorted(train_line.keys() & pair_line.keys())
    ]


def class_faults(pairs: Sequence[TrialPair], trial_list: Path) -> list[str]:
    """Return a fault if all pairs of a trial list have one label, since then there is no EER."""
    labels = {pair.is_target for pair in pairs}
    # No label at all: the list is empty, or has faults that the parser reports.
    if len(labels) != 1:
        return []
    label = int(labels.pop())
    return [
        f"{trial_list}:1: must have target pairs (1) and non-target pairs (0), "
        f"got {label} in all {len(pairs)} lines"
    ]


def _first_lines(found: Iterable[tuple[str, int]]) -> dict[str, int]:
    lines: dict[str, int] = {}
    for name, line in found:
        lines.setdefault(name, line)
    return lines


def _speaker_faults(train: Sequence[Utterance], train_list: Path) -> list[str]:
    """Return the faults of files with two speakers, and of a list with one speaker in all."""
    faults = []
    first: dict[str, Utterance] = {}
    for utterance in train:
        known = first.setdefault(utterance.path, utterance)
        if known.speaker != utterance.speaker:
            faults.append(
                f"{train_list}:{utterance.line}: a file has one speaker, got "
                f"{utterance.speaker} for {utterance.path} and {known.speaker} in line "
                f"{known.line}"
            )
    # No speaker at all: the list is empty, or has faults that the parser reports.
    speakers = {utterance.speaker for utterance in train}
    if len(speakers) == 1:
        faults.append(f"{train_list}:1: must name at least two speakers, got {speakers.pop()}")
    return faults
