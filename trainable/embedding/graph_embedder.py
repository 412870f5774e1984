"""A graph in a file as a model: ONNX, as `veer export --form onnx` or another program writes it.

Shapes: S samples, U utterances, C crops, B batch, T frames, D embedding.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from models import LogMel
from models.frontend import HOP_SAMPLES
from spaces.files.errors import CheckpointError, ConfigError
from trainable.audio.reading import Wave
from trainable.deployment.running import OnnxGraph, open_onnx
from trainable.embedding.embedder import CropPlan
from trainable.foreign_models.graph_config import graph_digest
from trainable.foreign_models.graph_worker import external_files
from trainable.verification.crops import frame_crops, wave_crops_on_frames
from trainable.verification.evaluation import EVAL_BATCH
from trainable.verification.scoring import Embeddings

GRAPH_SUFFIX = ".onnx"


class GraphEmbedder:
    """A graph that takes waveforms at 16 kHz, or Veer's log-mels.

    Args:
        file: The file.
        content: Its content, where it is in memory; `file` is then only its name in errors.

    Raises:
        CheckpointError: It cannot be loaded, takes something else, or its weights are in a file
            that is not beside it.
        ConfigError: ONNX Runtime is not installed.
    """

    batch_crops = EVAL_BATCH["cpu"]

    def __init__(self, file: Path, content: bytes | None = None) -> None:
        weights = () if content is not None else _weights_beside(file)
        if weights:
            # By its path, from which ONNX Runtime finds them.
            self.weights_sha256 = graph_digest(file, weights)
            graph = _graph(file, file)
        else:
            content = _content(file) if content is None else content
            self.weights_sha256 = hashlib.sha256(content).hexdigest()
            graph = _graph(file, content)
        self._takes_waveform = _takes_waveform(file, graph)
        self.embedding_dim = _embedding_dim(file, graph)
        # A network of one length is given crops of that length, as it is without a graph.
        self._num_frames = int(graph.metadata.get("veer.num_frames", 0))
        batch, length = graph.input_shape[:2]
        self._batch = batch if isinstance(batch, int) else None
        if isinstance(length, int):
            self._num_frames = _frames_of(file, length) if self._takes_waveform else length
        self._file, self._run = file, graph.run
        self._log_mel = LogMel()

    def crops(self, waves: Sequence[Wave], plan: CropPlan) -> Embeddings:
        """Return the embeddings of evenly spaced crops of each wave, (U, C, D)."""
        num_frames = self._num_frames or plan.num_frames
        if self._takes_waveform:
            crops = [
                torch.from_numpy(wave_crops_on_frames(each, num_frames, plan.num_crops))
                for each in waves
            ]
        else:
            crops = [
                frame_crops(self._log_mel, each, num_frames, plan.num_crops)
                for each in waves
            ]
        emb_ZD = self._embedded(torch.cat(crops)).numpy()
        found: Embeddings = np.asarray(emb_ZD.reshape(len(waves), plan.num_crops, -1))
        return found

    def _embedded(self, crop_ZS: torch.Tensor) -> torch.Tensor:
        """Run the graph, in batches of its only size where it has one; the last is filled up."""
        try:
            if self._batch is None:
                return self._run(crop_ZS)
            more = crop_ZS[:1].repeat_interleave(-len(crop_ZS) % self._batch, dim=0)
            filled = torch.cat([crop_ZS, more])
            parts = [
                self._run(filled[first : first + self._batch])
                for first in range(0, len(filled), self._batch)
            ]
            return torch.cat(parts)[: len(crop_ZS)]
        # ONNX Runtime raises what it likes.
        except Exception as error:
            raise CheckpointError(
                f"{self._file}: the graph cannot be run on crops of shape {tuple(crop_ZS.shape)}: "
                f"{str(error).strip()}"
            ) from error


def is_graph_file(path: Path) -> bool:
    """Return whether a path is named as a graph that `GraphEmbedder` runs."""
    return path.suffix == GRAPH_SUFFIX


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read: {error.strerror}") from error


def _weights_beside(file: Path) -> tuple[str, ...]:
    """Return the files in which a graph keeps weights; none for a file that is no graph."""
    try:
        import onnx
    except ImportError:  # a graph that needs them cannot be loaded then, which says so
        return ()
    try:
        model = onnx.load(str(file), load_external_data=False)
    except Exception:  # noqa: BLE001 - of protobuf; the file is refused when it is loaded
        return ()
    return tuple(sorted(set(external_files(model))))


def _graph(file: Path, content: bytes | Path) -> OnnxGraph:
    try:
        return open_onnx(content, torch.get_num_threads())
    except ConfigError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"{file}: cannot be loaded as an ONNX graph: {str(error).strip()}"
        ) from error


def _takes_waveform(file: Path, graph: OnnxGraph) -> bool:
    """Return whether a graph takes waveforms, not log-mels."""
    recorded = graph.metadata.get("veer.input")
    if recorded is not None:
        return recorded == "waveform"
    if len(graph.input_shape) == 2:
        return True
    raise CheckpointError(
        f"{file}: must take waveforms (batch, samples) at 16 kHz, got input of shape "
        f"{graph.input_shape}: the features of another program are not known here"
    )


def _frames_of(file: Path, samples: int) -> int:
    """Return the frames of crops of so many samples, which start and end on frames."""
    num_hops, rest = divmod(samples, HOP_SAMPLES)
    if rest:
        raise CheckpointError(
            f"{file}: must take waveforms of any length, or of whole hops of {HOP_SAMPLES} "
            f"samples, got {samples} samples"
        )
    return num_hops + 1


def _embedding_dim(file: Path, graph: OnnxGraph) -> int:
    size = graph.metadata.get("veer.embedding_dim", graph.output_shape[-1])
    try:
        return int(size)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{file}: must give embeddings of a fixed size, got output of shape "
            f"{graph.output_shape}"
        ) from error
