"""A corpus: audio folders and lists in the formats of voxceleb_trainer.

This module reads and checks the lists; `check` also decodes the audio.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from spaces.files.errors import CorpusError
from spaces.files.yaml_file import load_model, read_yaml
from trainable.audio.augmentation_config import AugmentationConfig
from trainable.audio.reading import AudioEntry
from trainable.audio.speed import speed_fault
from trainable.corpus.known_lists import is_same_file
from trainable.corpus.shared import (
    ListedUtterances,
    shared_files,
    shared_recording_faults,
    shared_speaker_faults,
    train_faults,
)
from trainable.list_formats.listed_files import ListedFiles
from trainable.list_formats.sources import FormatName, ListSource
from trainable.lists.listed_pairs import ListedPairs, ListRules, first_lines, read_pairs
from trainable.lists.pair_checks import LabelRule
from trainable.lists.parsing import TrialPair, Utterance, parse_train_list
from trainable.lists.speaker_rule import SpeakerRule

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
    speaker: SpeakerRule | None = Field(
        default=None,
        description="how speakers follow from the paths of trial lists: `{folder: 2}`, "
        "`{name_until: '-'}`, or a file 'PATH SPEAKER'; found by the labels if not given",
    )
    labels: LabelRule | None = Field(
        default=None,
        description="`0 is target` if 0, not 1, stands for the same speaker; `1 is target` keeps "
        "labels that seem to contradict the paths",
    )
    format: FormatName = Field(
        default="veer",
        description="format of the lists: veer, kaldi, wespeaker, speechbrain, table (other "
        "columns), or auto for any that is recognised",
    )
    wav_scp: Path | None = Field(
        default=None, description="Kaldi's file 'UTTERANCE PATH', for lists of utterances"
    )
    augmentation: AugmentationConfig = Field(
        default_factory=AugmentationConfig,
        description="augmented copies of the training utterances",
    )
    speed_factors: tuple[float, ...] = Field(
        default=(),
        description="factors of sped copies of the training utterances, such as [0.9, 1.1]; at "
        "each speed every speaker is a class of its own",
    )

    @field_validator("speed_factors")
    @classmethod
    def _are_speeds(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if fault := speed_fault(value):
            raise ValueError(fault)
        return value

    @model_validator(mode="after")
    def _check_test(self) -> Self:
        if (self.test_dir is None) != (self.test_list is None):
            raise ValueError("test_dir and test_list must be given together or not at all")
        if self.wav_scp is not None and self.format == "veer":
            raise ValueError("wav_scp needs the format of its lists, such as format: kaldi")
        return self

    def resolved_against(self, folder: Path) -> Self:
        """Return the same config with absolute paths; relative ones start from the folder."""
        paths = {name: value for name, value in self if isinstance(value, Path)}
        found: dict[str, object] = {name: (folder / p).resolve() for name, p in paths.items()}
        found["augmentation"] = self.augmentation.resolved_against(folder)
        if self.speaker is not None:
            found["speaker"] = self.speaker.resolved_against(folder)
        return self.model_copy(update=found)

    @property
    def list_rules(self) -> ListRules:
        """How the trial lists are read."""
        source = ListSource(format=self.format, wav_scp=self.wav_scp)
        return ListRules(speaker=self.speaker, labels=self.labels, source=source)


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
            two training speakers, labels that contradict the speakers of the paths, or speakers or
            recordings in both training and validation.
    """
    faults: list[str] = []
    corpus = parse_corpus(config, faults, check_files=check_files)
    if faults:
        raise CorpusError(faults)
    return corpus


def parse_corpus(config: CorpusConfig, faults: list[str], *, check_files: bool = True) -> Corpus:
    """Read and check as `read_corpus`, but add faults to `faults` and return the valid lines."""
    train, trials = parse_lists(config, faults, check_files=check_files)
    return corpus_of(config, train, trials)


def parse_lists(
    config: CorpusConfig, faults: list[str], *, check_files: bool = True
) -> tuple[ListedUtterances, ListedPairs]:
    """Read and check train and validation list; add faults to `faults`."""
    files = ListedFiles(config.train_dir, check_files=check_files)
    utterances = parse_train_list(
        config.train_list,
        config.train_dir,
        faults,
        check_files=check_files,
        files=files,
        read_as=config.list_rules.read_as,
    )
    train = ListedUtterances(file=config.train_list, utterances=utterances, files=files)
    trials = read_pairs(
        config.val_list, config.val_dir, faults, rules=config.list_rules, check_files=check_files
    )
    # Paths only, since no search reads the test list; `check_corpus` compares the pairs.
    if config.test_list is not None and is_same_file(config.val_list, config.test_list):
        faults.append(f"{config.val_list}: {NOT_APART}")
    if check_files:
        faults += [*train_faults(train), *trials.faults()]
        faults += apart_faults(train, trials, allow_speakers=config.allow_shared_speakers)
    return train, trials


def corpus_of(config: CorpusConfig, train: ListedUtterances, trials: ListedPairs) -> Corpus:
    """Return the lists as a corpus."""
    return Corpus(
        config=config,
        train=train.utterances,
        val_pairs=trials.pairs,
        # Sorted, so that a class does not depend on the order of the list.
        speakers=tuple(sorted({utterance.speaker for utterance in train.utterances})),
        # Sorted: the store's key covers the order of the files, and the order of pairs is free.
        val_paths=tuple(sorted(first_lines(trials.pairs))),
    )


def apart_faults(
    train: ListedUtterances, trials: ListedPairs, *, allow_speakers: bool
) -> list[str]:
    """Return the faults of what training shares with a trial list: speakers and files."""
    faults = shared_recording_faults(
        shared_files(train, trials),
        (trials.file, trials.line_of),
        (train.file, train.utterances),
    )
    if not allow_speakers:
        try:
            faults += shared_speaker_faults(train, trials)
        except CorpusError as error:
            faults += error.faults
    return faults


def read_trial_list(
    path: Path, root: Path, rules: ListRules | None = None
) -> tuple[TrialPair, ...]:
    """Read and check one trial list, without opening audio.

    Args:
        path: File with lines `1|0 PATH_A PATH_B`.
        root: Folder that the paths start from.
        rules: How the list is read.

    Raises:
        CorpusError: The list has faults; names each.
    """
    faults: list[str] = []
    trials = read_pairs(path, root, faults, rules=rules)
    faults += trials.faults()
    if faults:
        raise CorpusError(faults)
    return trials.pairs


def audio_of_pairs(
    pairs: Sequence[TrialPair], trial_list: Path, root: Path
) -> tuple[AudioEntry, ...]:
    """Return the files of trial pairs, sorted by path, each with the first line that names it."""
    first_line = first_lines(pairs)
    return tuple(
        AudioEntry(path=root / path, listed_at=f"{trial_list}:{first_line[path]}")
        for path in sorted(first_line)
    )
