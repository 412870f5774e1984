"""A teacher that is a file of embeddings: the student trains on exactly the crops in it.

Where the file has a row an utterance, the student trains on any crop, and all get that row.

Shapes: B batch, N stored crops of the training utterances, U training utterances, D embedding,
V validation utterances.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spaces.files.errors import TrainingError
from trainable.features.crop_bank import Index
from trainable.features.training_data import TrainingData
from trainable.loss.teacher_output import (
    MAX_LISTED,
    Crops,
    TeacherFacts,
    TeacherOutput,
    random_starts,
)
from trainable.teachers.embedding_file import EmbeddingTable, StoredEmbeddings, read_embeddings
from trainable.verification.metrics import Floats
from trainable.verification.scoring import cosine_scores

# A crop's key is its utterance times this, plus its first frame: one int64 that sorts by
# utterance, then by frame. No utterance has 2**32 frames (497 days).
STRIDE = 2**32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredTeacher:
    """The embeddings of a fixed set of crops.

    Attributes:
        embedding_ND: As the file has them.
        crop_frames: Length of every crop, frames; None if a row is a whole utterance.
        key_N: Keys of the crops, ascending.
        position_N: Row of `embedding_ND` of each key.
        utterance_of_row: Number of the utterance at each row of the feature table; -1 if the row
            is not for training.
        first_U: Position in `key_N` of each utterance's first crop.
        count_U: Crops of each utterance.
        device: Where outputs are put; the embeddings stay in memory.
    """

    embedding_ND: StoredEmbeddings
    crop_frames: int | None
    key_N: Index
    position_N: Index
    utterance_of_row: Index
    first_U: Index
    count_U: Index
    device: torch.device

    @property
    def facts(self) -> TeacherFacts:
        """Embeddings of crops of one length; no stages and no classifier."""
        return TeacherFacts(
            embedding_dim=self.embedding_ND.shape[1],
            centres=None,
            has_stages=False,
            crop_frames=self.crop_frames,
            is_looked_up=True,
        )

    def to(self, device: torch.device) -> "StoredTeacher":
        """Return the same embeddings with outputs on a device."""
        return replace(self, device=device)

    def stage_dims(self, feat_BTF: Tensor) -> tuple[int, ...]:  # noqa: ARG002 - AnyTeacher's
        """Return an empty tuple: a file has no stages."""
        return ()

    def draw_starts(self, rng: np.random.Generator, row_N: Index, latest_N: Index) -> Index:
        """Return the start of a stored crop of each utterance, drawn uniformly; else of any."""
        if self.crop_frames is None:
            return random_starts(rng, latest_N)
        utterance_N = self.utterance_of_row[row_N]
        drawn_N = rng.integers(0, self.count_U[utterance_N])
        start_N: Index = self.key_N[self.first_U[utterance_N] + drawn_N] % STRIDE
        return start_N

    def output(self, crops: Crops, *, with_stages: bool) -> TeacherOutput:  # noqa: ARG002 - unused
        """Return the stored embeddings of these crops.

        Raises:
            ValueError: A crop is not one of the stored ones.
        """
        start_B = 0 if self.crop_frames is None else crops.start_B
        key_B = self.utterance_of_row[crops.row_B] * STRIDE + start_B
        # A key larger than all others is found one past the end.
        found_B = np.searchsorted(self.key_N, key_B).clip(max=len(self.key_N) - 1)
        if not np.array_equal(self.key_N[found_B], key_B):
            raise ValueError("crops must be drawn by draw_starts, got one that is not stored")
        emb_BD = self.embedding_ND[self.position_N[found_B]].astype(np.float32)
        return TeacherOutput(torch.from_numpy(emb_BD).to(self.device), ())


def load_stored_teacher(file: Path, data: TrainingData) -> StoredTeacher:
    """Load the teacher from a Parquet file of embeddings.

    Args:
        file: In the format of `embedding_file`; rows of other utterances are ignored.
        data: The corpus; every training utterance needs a crop.

    Raises:
        TrainingError: The file breaks a rule; the message lists all broken rules.
    """
    require_originals(file, data)
    names = tuple(dict.fromkeys(data.train_paths))
    number_of = {name: number for number, name in enumerate(names)}
    utterance_of_row = np.full(len(data.features.length), -1)
    utterance_of_row[data.train_row] = [number_of[path] for path in data.train_paths]
    length_U = np.empty(len(names), np.int64)
    length_U[utterance_of_row[data.train_row]] = data.features.length[data.train_row]
    # Only training utterances: others would take memory for the whole search.
    table = read_embeddings(file, names)
    count_U = np.bincount(table.utterance_N, minlength=len(names))
    if faults := list(_faults(table, names, length_U, count_U)):
        raise TrainingError("\n".join(f"{file}: {fault}" for fault in faults))
    key_N = table.utterance_N * STRIDE + table.start_N
    position_N = np.argsort(key_N, kind="stable")
    return StoredTeacher(
        embedding_ND=table.embedding_ND,
        crop_frames=int(table.num_frames_N[0]) if table.is_by_crop else None,
        key_N=key_N[position_N],
        position_N=position_N,
        utterance_of_row=utterance_of_row,
        first_U=np.cumsum(count_U) - count_U,
        count_U=count_U,
        device=torch.device("cpu"),
    )


def require_originals(teacher: Path, data: TrainingData) -> None:
    """Refuse embeddings of utterances where copies of these are trained on.

    Raises:
        TrainingError: There are augmented or sped copies.
    """
    # A row of the file names an utterance, and cannot name a copy of it.
    num_copies = data.copy_row.shape[1] - 1 - data.num_sped
    if data.num_sped:
        raise TrainingError(
            f"{teacher}: embeddings by utterance are not those of sped copies: speed_factors must "
            f"be empty in corpus.yaml, got {data.num_sped}; or give the teacher's model file"
        )
    if num_copies:
        raise TrainingError(
            f"{teacher}: a file of embeddings knows no augmented copies: augmentation.copies must "
            f"be 0, got {num_copies}; or give the teacher's model file"
        )


def stored_scores(file: Path, data: TrainingData) -> Floats | None:
    """Score the validation list by the cosine of each utterance's mean stored embedding, (P,).

    Returns:
        None if the file does not have every validation utterance.

    Raises:
        TrainingError: The file cannot be read, or breaks a rule.
    """
    table = read_embeddings(file, data.val_paths)
    count_V = np.bincount(table.utterance_N, minlength=len(data.val_paths))
    if not count_V.all():
        return None
    mean_VD = np.zeros((len(count_V), table.embedding_ND.shape[1]))
    # `+=` with an index array would add only one crop of each utterance.
    np.add.at(mean_VD, table.utterance_N, table.embedding_ND)
    mean_VD /= count_V[:, None]
    return cosine_scores(mean_VD[:, None], data.val_a, data.val_b)


def _faults(
    table: EmbeddingTable, names: Sequence[str], length_U: Index, count_U: Index
) -> Iterator[str]:
    """Yield the rules that the crops break, each with the number of cases and the first ones."""
    if without := [name for name, count in zip(names, count_U, strict=True) if not count]:
        yield (
            f"every training utterance must have a row, {len(without)} of {len(names)} have none "
            f"({_first(without)}); `utterance` must be the path as the train list has it"
        )
    if not table.is_by_crop:
        if more := [name for name, count in zip(names, count_U, strict=True) if count > 1]:
            yield (
                f"{len(more)} utterances have several rows ({_first(more)}); keep one row per "
                "utterance, or add start_frame and num_frames"
            )
        return
    if len(sizes := np.unique(table.num_frames_N)) > 1:
        yield f"num_frames must be one number in the whole file, got {_first(sizes)}"
    elif len(sizes) and sizes[0] < 1:
        yield f"num_frames must be at least 1, got {sizes[0]}"
    # A crop that is longer than its utterance wraps around from its first frame.
    latest_N = np.maximum(length_U[table.utterance_N] - table.num_frames_N, 0)
    outside_N = (table.start_N < 0) | (table.start_N > latest_N)
    if outside_N.any():
        yield (
            f"{outside_N.sum()} crops lie outside their utterance: start_frame must be from 0 to "
            f"the utterance's frames minus num_frames, got {_crop_names(table, names, outside_N)}"
        )
    key_N = table.utterance_N * STRIDE + table.start_N
    again_N = np.ones(len(key_N), np.bool_)
    again_N[np.unique(key_N, return_index=True)[1]] = False
    if again_N.any():
        yield (
            f"{again_N.sum()} crops are in it more than once, "
            f"such as {_crop_names(table, names, again_N)}; keep one row per crop"
        )


def _crop_names(table: EmbeddingTable, names: Sequence[str], which_N: NDArray[np.bool_]) -> str:
    return _first(
        [
            f"{names[table.utterance_N[row]]} at frame {table.start_N[row]}"
            for row in np.flatnonzero(which_N)[: MAX_LISTED + 1]
        ]
    )


def _first(items: Sequence[object] | NDArray[np.int64]) -> str:
    """Return the first few items as text, with an ellipsis if there are more."""
    more = ", ..." if len(items) > MAX_LISTED else ""
    return ", ".join(str(item) for item in items[:MAX_LISTED]) + more
