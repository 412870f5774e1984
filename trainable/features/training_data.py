"""A corpus ready for training: features, speaker numbers, validation pairs.

Shapes: U training utterances, A versions of an utterance: the original and its copies.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spaces.files.digest import file_sha256
from spaces.files.errors import CorpusError
from trainable.corpus.corpus import Corpus, CorpusConfig, read_corpus
from trainable.corpus.shared import shared_recording_faults
from trainable.features.builder import CopyPlan, copy_plans, speed_plans
from trainable.features.feature_table import FeatureTable
from trainable.features.request import feature_request
from trainable.features.shared_rows import shared_rows
from trainable.lists.listed_pairs import first_lines
from trainable.lists.speaker_rule import SpeakerRule
from trainable.store.folder import open_complete, open_stores
from trainable.store.plan import StoreRequest
from trainable.store.tasks import Builder, ProgressCallback, build_shards


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingData:
    """The data of the training loop. Rows are rows of `features`.

    Attributes:
        features: Log-mels: a store of the training utterances, one of each augmented copy of
            them, and one of the validation utterances.
        speakers: Names of the training speakers; the position is the class. With sped copies,
            those of every speed follow, as `NAME@FACTOR`.
        train_paths: Path of each training utterance, as in the train list.
        val_paths: Path of each validation utterance, as in the validation list.
        train_row: Row of each training utterance.
        copy_row: Rows of each training utterance (U, A): the original, its augmented copies, and
            its sped copies.
        train_speaker: Class of each training utterance.
        val_row: Row of each validation utterance.
        val_a: First utterance of each validation trial pair, as a position in `val_row`.
        val_b: Second utterance of each pair.
        val_is_target: Whether each pair is a target pair.
        speaker_rule: How speakers follow from the paths of the validation list, if given.
        num_sped: Sped copies of an utterance, each of a class of its own.
        config: The corpus that it is of; None for data that were made without one.
    """

    features: FeatureTable
    speakers: tuple[str, ...]
    train_paths: tuple[str, ...]
    val_paths: tuple[str, ...]
    train_row: NDArray[np.int64]
    copy_row: NDArray[np.int64]
    train_speaker: NDArray[np.int64]
    val_row: NDArray[np.int64]
    val_a: NDArray[np.int64]
    val_b: NDArray[np.int64]
    val_is_target: NDArray[np.bool_]
    speaker_rule: SpeakerRule | None = None
    num_sped: int = 0
    config: CorpusConfig | None = None

    @property
    def num_speakers(self) -> int:
        """Number of training speakers, each counted once whatever the speeds."""
        return len(self.speakers) // (1 + self.num_sped)

    def classes_of(self, row_U: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the class of a row of every training utterance: its original's or a copy's."""
        if not self.num_sped:
            return self.train_speaker
        version_U = (self.copy_row == row_U[:, None]).argmax(axis=1)
        first_sped = self.copy_row.shape[1] - self.num_sped
        speed_U = np.maximum(version_U - first_sped + 1, 0)
        classes: NDArray[np.int64] = self.train_speaker + self.num_speakers * speed_U
        return classes

    def drawn_rows(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw a row of every training utterance: the original's or a copy's, equally likely."""
        num_utterances, num_versions = self.copy_row.shape
        if num_versions == 1:
            return self.train_row
        version = rng.integers(num_versions, size=num_utterances)
        rows: NDArray[np.int64] = self.copy_row[np.arange(num_utterances), version]
        return rows


def load_training_data(
    config: CorpusConfig,
    *,
    cache_dir: Path,
    progress: ProgressCallback | None = None,
    build: Builder = build_shards,
) -> TrainingData:
    """Check a corpus and open its log-mels, which the first run computes.

    Args:
        config: Config of the corpus.
        cache_dir: Folder of computed log-mels, shared by runs.
        progress: Called with (files done, files in all) while log-mels are computed.
        build: Function that builds the shards of log-mels.

    Raises:
        CorpusError: The lists or the audio have faults, or share recordings; names each.
    """
    corpus = read_corpus(config)
    requests = feature_requests(corpus, cache_dir)
    data = _index(corpus, FeatureTable.of(open_stores(requests, build, progress)))
    _require_apart(corpus, data)
    return data


def reopening_keys(config: CorpusConfig, data: TrainingData) -> tuple[str, ...]:
    """Return what another process needs to open the same data without reading the audio files.

    Returns:
        Digests of the train and the validation list, then the folders of the stores.
    """
    folders = (str(store.folder) for store in data.features.stores)
    return (file_sha256(config.train_list), file_sha256(config.val_list), *folders)


def reopen_training_data(config: CorpusConfig, opened: Sequence[str]) -> TrainingData:
    """Open the data that `reopening_keys` describes, without reading the audio files.

    Raises:
        CorpusError: A list was changed.
        StoreError: A store is damaged or missing.
    """
    # Not strict: the folders of the stores follow the two digests.
    for file, expected in zip((config.train_list, config.val_list), opened, strict=False):
        if not file.is_file() or file_sha256(file) != expected:
            raise CorpusError([f"{file}: was changed since the search began; restore it"])
    corpus = read_corpus(config, check_files=False)
    return _index(corpus, FeatureTable.of([open_complete(Path(each)) for each in opened[2:]]))


def feature_requests(corpus: Corpus, cache_dir: Path) -> tuple[StoreRequest, ...]:
    """Return the stores of a corpus: of the train list, of each copy, of the validation list.

    Raises:
        ConfigError: A folder of sounds for the copies cannot be used.
        CorpusError: Files of either list are missing or not accessible; names each.
    """
    # One list for each store, so that another validation list leaves the training stores valid.
    config, audio, num_train = corpus.config, corpus.audio, len(corpus.train)
    request = partial(feature_request, min_duration_s=config.min_duration_s, cache_dir=cache_dir)
    copies = all_copies(config)
    originals: list[StoreRequest] = []
    faults: list[str] = []
    # Both lists are looked up before an error is raised, so that it names all faults.
    for entries in (audio[:num_train], audio[num_train:]):
        try:
            originals.append(request(entries))
        except CorpusError as error:
            faults += error.faults
    if faults:
        raise CorpusError(faults)
    train, val = originals
    of_copies = (request(audio[:num_train], copy=copy) for copy in copies)
    return (train, *(replace(each, same_audio_as=train.key) for each in of_copies), val)


def all_copies(config: CorpusConfig) -> tuple[CopyPlan, ...]:
    """Return the plans of all copies of the training utterances: augmented ones, then sped ones.

    Raises:
        ConfigError: A folder of sounds for the copies cannot be used.
    """
    copies = copy_plans(config.augmentation)
    return copies + speed_plans(config.speed_factors, 1 + len(copies))


def _require_apart(corpus: Corpus, data: TrainingData) -> None:
    """Refuse training utterances that are in the validation list under another name.

    Raises:
        CorpusError: There are some; with their number.
    """
    config = corpus.config
    shared = shared_rows(data.features, data.train_row, data.val_row)
    faults = shared_recording_faults(
        {data.val_paths[val]: data.train_paths[train] for val, train in shared},
        (config.val_list, first_lines(corpus.val_pairs)),
        (config.train_list, corpus.train),
    )
    if faults:
        raise CorpusError(faults)


def _index(corpus: Corpus, features: FeatureTable) -> TrainingData:
    class_of = {speaker: number for number, speaker in enumerate(corpus.speakers)}
    position_of = {path: number for number, path in enumerate(corpus.val_paths)}
    # Rows follow the stores of `feature_requests`: the training utterances, the same utterances in
    # each copy, then those of the validation list.
    train_row = np.arange(len(corpus.train))
    num_versions = len(features.stores) - 1  # the last store is the validation list's
    copy_row = train_row[:, None] + len(train_row) * np.arange(num_versions)
    return TrainingData(
        features=features,
        speakers=_classes(corpus),
        train_paths=tuple(utterance.path for utterance in corpus.train),
        val_paths=corpus.val_paths,
        train_row=train_row,
        copy_row=copy_row,
        train_speaker=np.array([class_of[u.speaker] for u in corpus.train]),
        val_row=copy_row.size + np.arange(len(corpus.val_paths)),
        val_a=np.array([position_of[pair.path_a] for pair in corpus.val_pairs]),
        val_b=np.array([position_of[pair.path_b] for pair in corpus.val_pairs]),
        val_is_target=np.array([pair.is_target for pair in corpus.val_pairs]),
        speaker_rule=corpus.config.speaker,
        num_sped=len(corpus.config.speed_factors),
        config=corpus.config,
    )


def _classes(corpus: Corpus) -> tuple[str, ...]:
    """Return the names of all classes: the speakers, then the speakers at each speed."""
    factors = corpus.config.speed_factors
    sped = (f"{speaker}@{factor:g}" for factor in factors for speaker in corpus.speakers)
    return (*corpus.speakers, *sped)
