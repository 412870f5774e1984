"""What scores pairs of a list: a model on audio, or embeddings that a file has."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow.parquet as pq
import torch

from search.use.model_in_use import ModelInUse, open_model
from spaces.files.errors import ConfigError
from trainable.embedding.embedder import CropPlan, embed_utterances
from trainable.embedding.sinks import DURATION
from trainable.teachers.any_teacher import is_stored
from trainable.teachers.embedding_file import UTTERANCE, read_embeddings
from trainable.verification.embedded import EmbeddedUtterances

Progress = Callable[[int, int], None]


class EmbeddingSystem(Protocol):
    """Gives utterances their embeddings.

    Attributes:
        name: Its path, for tables.
        model: The model; None where a file has the embeddings.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see the class

    @property
    def model(self) -> ModelInUse | None: ...  # noqa: D102 - see the class

    def utterances(
        self, root: Path, paths: Sequence[str], progress: Progress | None = None
    ) -> EmbeddedUtterances:
        """Return the embeddings of utterances, whose paths start from the root."""
        ...


class ModelSystem:
    """A model that embeds audio.

    Args:
        model: The model.
        plan: Which crops.
    """

    def __init__(self, model: ModelInUse, plan: CropPlan) -> None:
        self._model, self._plan = model, plan

    @property
    def name(self) -> str:
        """The path of the model."""
        return str(self._model.path)

    @property
    def model(self) -> ModelInUse:
        """The model."""
        return self._model

    def utterances(
        self, root: Path, paths: Sequence[str], progress: Progress | None = None
    ) -> EmbeddedUtterances:
        """Embed the audio of utterances."""
        return embed_utterances(self._model.embedder, root, paths, self._plan, progress)


class StoredSystem:
    """A Parquet file of embeddings; of several crops of an utterance the mean counts.

    Args:
        file: The file, as `veer embed` writes it, or a teacher's.
    """

    model = None

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self._file)

    def utterances(
        self, root: Path, paths: Sequence[str], progress: Progress | None = None  # noqa: ARG002
    ) -> EmbeddedUtterances:
        """Return the stored embeddings of utterances.

        Raises:
            ConfigError: The file lacks one.
            TrainingError: It is no file of embeddings.
        """
        table = read_embeddings(self._file, paths)
        count_U = np.bincount(table.utterance_N, minlength=len(paths))
        if not count_U.all():
            missing = paths[int(np.argmin(count_U > 0))]
            raise ConfigError(
                f"{self._file}: has no embedding of {missing}, the first of "
                f"{int((count_U == 0).sum()):,} utterances of the list without one"
            )
        total_UD = np.zeros((len(paths), table.embedding_ND.shape[1]))
        np.add.at(total_UD, table.utterance_N, table.embedding_ND.astype(np.float64))
        return EmbeddedUtterances(
            paths=tuple(paths),
            mean_UD=total_UD / count_U[:, None],
            duration_s_U=_durations(self._file, paths),
        )


def open_system(
    path: Path, device: torch.device, plan: CropPlan, trial: int | None = None
) -> EmbeddingSystem:
    """Open a model, or a `.parquet` file of embeddings.

    Raises:
        VeerError: There is neither; see `find_model`.
    """
    if is_stored(path):
        if not path.is_file():
            raise ConfigError(f"{path}: there is no such file of embeddings")
        return StoredSystem(path)
    return ModelSystem(open_model(path, device, trial), plan)


def _durations(file: Path, paths: Sequence[str]) -> np.ndarray:
    """Return the durations that a file has of utterances, NaN without."""
    if DURATION not in pq.read_schema(file).names:
        return np.full(len(paths), np.nan)
    table = pq.read_table(file, columns=[UTTERANCE, DURATION]).to_pydict()
    known = dict(zip(table[UTTERANCE], table[DURATION], strict=True))
    return np.array([known[path] for path in paths])
