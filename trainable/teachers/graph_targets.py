"""The targets of a teacher that is a graph of another program, and its scores.

The graph runs in a process of its own. It gets the stored log-mels of a crop, or its samples from
the audio file.

Shapes: U utterances, V validation utterances, C crops of each, B crops at once, S samples, T
frames, F mel bins, D embedding, P trial pairs.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from models.frontend import HOP_SAMPLES
from spaces.files.errors import TrainingError
from trainable.audio.reading import Wave, load_wave
from trainable.features.builder import CopyPlan
from trainable.features.crop_bank import Index
from trainable.features.feature_table import FeatureTable
from trainable.features.training_data import TrainingData
from trainable.foreign_models.graph import Graph
from trainable.foreign_models.graph_process import GraphProcess, laid_out
from trainable.foreign_models.worker_process import Float32Array
from trainable.store.shards import Vectors
from trainable.teachers.target_shard import Embedded, TargetShard, log_mels_of, one_ahead
from trainable.verification.evaluation import USUAL_FRAMES
from trainable.verification.metrics import Floats
from trainable.verification.scoring import cosine_scores, evenly_spaced_starts, wrap_padded

# Utterances, the number of crops of each, and these crops or their embeddings, both float32.
Batch = tuple[slice, Index, Float32Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class CropCutter:
    """Cuts the crops that a graph takes.

    Attributes:
        graph: The graph.
        crop_frames: Length of a crop, frames.
        features: Log-mels of the utterances; unused if the graph takes waveforms.
        files: Audio file of each utterance.
        change: Change of the waves of a copy; None for the waves themselves.
    """

    graph: Graph
    crop_frames: int
    features: FeatureTable
    files: tuple[Path, ...]
    change: CopyPlan | None = None

    def crops(self, number_U: Index, row_U: Index, start_UC: Index) -> Float32Array:
        """Return the crops of utterances as the graph takes them; those with start -1 are none.

        Args:
            number_U: Positions of the utterances in `files`.
            row_U: Their rows in the table of log-mels.
            start_UC: First frames.
        """
        layout = self.graph.facts.layout
        if not self.graph.facts.takes_waves:
            row_B = np.repeat(row_U, (start_UC >= 0).sum(axis=1))
            feat_BTF = self.features.crops(row_B, start_UC[start_UC >= 0], self.crop_frames)
            return laid_out(feat_BTF.numpy(), layout)
        waves = [
            wave_S
            for number, start_C in zip(number_U.tolist(), start_UC, strict=True)
            for wave_S in self._waves(self.files[number], start_C[start_C >= 0])
        ]
        return laid_out(np.stack(waves), layout)

    def _waves(self, file: Path, start_C: Index) -> Iterator[Wave]:
        wave_S = load_wave(file)
        if self.change is not None:
            wave_S = self.change.change(wave_S, file)
        size = self.graph.facts.num_samples(self.crop_frames)
        wave_S = wrap_padded(wave_S, size)
        for start in start_C.tolist():
            # A frame at the end has fewer samples after it than the tail of a crop.
            begin = min(start * HOP_SAMPLES, len(wave_S) - size)
            yield wave_S[begin : begin + size]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphTask(TargetShard):
    """A shard of a graph's targets to build.

    Attributes, beside those of `TargetShard`:
        graph: The graph.
        files: Audio file of each utterance.
        change: Change of the waves of this copy.
    """

    graph: Graph
    files: tuple[Path, ...]
    change: CopyPlan | None

    @property
    def uses_gpu(self) -> bool:
        """Always false: a graph runs on the CPU."""
        return False

    def _embedded(self) -> Generator[Embedded]:
        # The store's key has the hash of the start: others would be kept under it.
        self.graph.require_unchanged()
        with self.graph.process(torch.get_num_threads()) as process:
            for chosen, count_U, emb_BD in embedded(process, self._batches()):
                require_embeddings(self.graph, emb_BD, sum(count_U))
                with np.errstate(over="ignore"):
                    vector_BD = emb_BD.astype(np.float16)
                yield chosen, count_U, vector_BD

    def _batches(self) -> Iterator[Batch]:
        features = log_mels_of(self.features)
        cutter = CropCutter(
            graph=self.graph,
            crop_frames=self.bank.crop_frames,
            features=features,
            files=self.files,
            change=self.change,
        )
        for number_U, start_UC in self._starts(features, self.graph.config.batch_size):
            crops = cutter.crops(number_U, self.first + number_U, start_UC)
            chosen = slice(int(number_U[0]), int(number_U[-1]) + 1)
            yield chosen, (start_UC >= 0).sum(axis=1), crops

    def _is_usable(self, vector_CW: Vectors) -> bool:
        return bool(np.isfinite(vector_CW).all() and vector_CW.any(axis=1).all())

    def _fault(self, path: str) -> str:
        return (
            f"{self.graph.config.graph}: the embedding of {path} must be finite, fit into float16 "
            "(below 65,504) and not be zero, and is not; export the graph anew"
        )


def require_embeddings(graph: Graph, emb_BD: Float32Array, num_crops: int) -> None:
    """Refuse embeddings of another number or size than the graph's facts have.

    Raises:
        TrainingError: They differ.
    """
    wanted = (num_crops, graph.facts.embedding_dim)
    if emb_BD.shape != wanted:
        raise TrainingError(
            f"{graph.config.graph}: the output {graph.facts.output!r} must have the shape "
            f"{list(wanted)}, got {list(emb_BD.shape)}"
        )


def embedded(process: GraphProcess, batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield embeddings in place of crops; the next ones are cut while the graph computes."""
    return one_ahead(
        (chosen, count_U, partial(process.receive, process.send(crops)))
        for chosen, count_U, crops in batches
    )


def graph_scores(graph: Graph, data: TrainingData, num_crops: int) -> Floats:
    """Return the scores of a graph on the validation list, (P,): cosines of mean embeddings.

    Raises:
        TrainingError: An embedding is NaN, infinite or zero.
    """
    cutter = CropCutter(
        graph=graph,
        crop_frames=graph.facts.crop_frames or USUAL_FRAMES,
        features=data.features,
        files=audio_files(data, data.val_paths, is_training=False),
    )
    length_V = data.features.length[data.val_row]
    start_VC = np.stack(
        [evenly_spaced_starts(int(each), cutter.crop_frames, num_crops) for each in length_V]
    )
    at_once = max(1, graph.config.batch_size // num_crops)

    def batches() -> Iterator[Batch]:
        for begin in range(0, len(length_V), at_once):
            number = np.arange(begin, min(begin + at_once, len(length_V)))
            crops = cutter.crops(number, data.val_row[number], start_VC[number])
            yield slice(begin, begin + len(number)), np.full(len(number), num_crops), crops

    with graph.process(torch.get_num_threads()) as process:
        parts = [emb_BD for _, _, emb_BD in embedded(process, batches())]
    emb_BD = np.concatenate(parts)
    require_embeddings(graph, emb_BD, len(length_V) * num_crops)
    if not (np.isfinite(emb_BD).all() and emb_BD.any(axis=1).all()):
        raise TrainingError(
            f"{graph.config.graph}: an embedding of the validation list is NaN, infinite or zero"
        )
    emb_VCD = emb_BD.reshape(len(length_V), num_crops, -1)
    return cosine_scores(emb_VCD, data.val_a, data.val_b)


def audio_files(
    data: TrainingData, paths: tuple[str, ...], *, is_training: bool
) -> tuple[Path, ...]:
    """Return the audio file of each path of a corpus."""
    if data.config is None:
        return ()
    root = data.config.train_dir if is_training else data.config.val_dir
    return tuple(root / path for path in paths)
