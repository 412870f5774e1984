"""A corpus made ready for training: features, speaker numbers, validation pairs."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainable.copies import copy_plans
from trainable.corpus import Corpus, CorpusConfig, read_corpus
from trainable.feature_plan import feature_request
from trainable.features import FeatureTable
from trainable.store.folder import open_stores
from trainable.store.plan import StoreRequest
from trainable.store.tasks import Builder, Progress, build_shards


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What the training loop reads. Rows are rows of `features`.

    Attributes:
        features: Log-mels of the training and validation utterances.
        speakers: Names of the training speakers; the position is the class.
        train_paths: Each training utterance as the train list has it.
        val_paths: Likewise the validation utterances.
        train_row: Row of each training utterance.
        copy_row: Rows of each training utterance (U, A): the original and its augmented copies.
        train_speaker: Class of each training utterance.
        val_row: Row of each validation utterance.
        val_a: First utterance of each validation trial pair, as a position in `val_row`.
        val_b: Second utterance of each pair.
        val_is_target: Whether a pair has one speaker.
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

    def drawn_rows(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """A row of every training utterance: the original's or a copy's, each as likely."""
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
    progress: Progress | None = None,
    build: Builder = build_shards,
) -> TrainingData:
    """Check a corpus and open its log-mels, computing them on the first run.

    Args:
        config: Where the corpus is.
        cache_dir: Where computed log-mels are kept, shared by runs.
        progress: Told (files done, files in all) while log-mels are computed.
        build: What builds the shards of log-mels.

    Raises:
        CorpusError: With every fault of the lists, or of the audio.
    """
    corpus = read_corpus(config)
    requests = feature_requests(corpus, cache_dir)
    return _index(corpus, FeatureTable.of(open_stores(requests, build, progress)))


def feature_requests(corpus: Corpus, cache_dir: Path) -> tuple[StoreRequest, ...]:
    """The stores of a corpus: all its log-mels, then each augmented copy of the training's.

    Raises:
        ConfigError: A folder of sounds for the copies cannot be used.
        CorpusError: With every file that is missing or may not be looked at.
    """
    config, audio = corpus.config, corpus.audio
    request = partial(
        feature_request, min_duration_s=config.min_duration_s, cache_dir=cache_dir
    )
    copies = copy_plans(config.augmentation)
    return (request(audio), *(request(audio[: len(corpus.train)], copy=copy) for copy in copies))


def _index(corpus: Corpus, features: FeatureTable) -> TrainingData:
    class_of = {speaker: number for number, speaker in enumerate(corpus.speakers)}
    position_of = {path: number for number, path in enumerate(corpus.val_paths)}
    num_train, num_val = len(corpus.train), len(corpus.val_paths)
    num_copies = len(features.stores) - 1
    first_row_A = np.concatenate([[0], num_train + num_val + num_train * np.arange(num_copies)])
    return TrainingData(
        features=features,
        speakers=corpus.speakers,
        train_paths=tuple(utterance.path for utterance in corpus.train),
        val_paths=corpus.val_paths,
        train_row=np.arange(num_train),
        copy_row=np.arange(num_train)[:, None] + first_row_A.astype(np.int64),
        train_speaker=np.array([class_of[u.speaker] for u in corpus.train]),
        val_row=num_train + np.arange(num_val),
        val_a=np.array([position_of[pair.path_a] for pair in corpus.val_pairs]),
        val_b=np.array([position_of[pair.path_b] for pair in corpus.val_pairs]),
        val_is_target=np.array([pair.is_target for pair in corpus.val_pairs]),
    )
