"""A corpus made ready for training: features, speaker numbers, validation pairs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainable.corpus import Corpus, CorpusConfig, read_corpus
from trainable.features import FeatureTable, Progress, open_features


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What the training loop reads. Rows are rows of `features`.

    Attributes:
        features: Log-mels of the training and validation utterances.
        speakers: Names of the training speakers; the position is the class.
        train_paths: Each training utterance as the train list has it.
        val_paths: Likewise the validation utterances.
        train_row: Row of each training utterance.
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
    train_speaker: NDArray[np.int64]
    val_row: NDArray[np.int64]
    val_a: NDArray[np.int64]
    val_b: NDArray[np.int64]
    val_is_target: NDArray[np.bool_]


def load_training_data(
    config: CorpusConfig, *, cache_dir: Path, progress: Progress | None = None
) -> TrainingData:
    """Check a corpus and open its log-mels, computing them on the first run.

    Args:
        config: Where the corpus is.
        cache_dir: Where computed log-mels are kept, shared by runs.
        progress: Told (files done, files in all) while log-mels are computed.

    Raises:
        CorpusError: With every fault of the lists, or of the audio.
    """
    corpus = read_corpus(config)
    features = open_features(
        corpus.audio,
        min_duration_s=config.min_duration_s,
        cache_dir=cache_dir,
        progress=progress,
    )
    return _index(corpus, features)


def _index(corpus: Corpus, features: FeatureTable) -> TrainingData:
    class_of = {speaker: number for number, speaker in enumerate(corpus.speakers)}
    position_of = {path: number for number, path in enumerate(corpus.val_paths)}
    num_train = len(corpus.train)
    return TrainingData(
        features=features,
        speakers=corpus.speakers,
        train_paths=tuple(utterance.path for utterance in corpus.train),
        val_paths=corpus.val_paths,
        train_row=np.arange(num_train),
        train_speaker=np.array([class_of[u.speaker] for u in corpus.train]),
        val_row=num_train + np.arange(len(corpus.val_paths)),
        val_a=np.array([position_of[pair.path_a] for pair in corpus.val_pairs]),
        val_b=np.array([position_of[pair.path_b] for pair in corpus.val_pairs]),
        val_is_target=np.array([pair.is_target for pair in corpus.val_pairs]),
    )
