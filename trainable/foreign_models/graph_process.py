"""The running process of a graph.

Shapes: B batch, S samples, T frames, F mel bins, D embedding.
"""

import importlib.util
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spaces.files.errors import ConfigError, TrainingError
from trainable.foreign_models.graph_config import GraphConfig, Layout, graph_kind
from trainable.foreign_models.worker_process import Float32Array, WorkerProcess

_WORKER = Path(__file__).with_name("graph_worker.py")
_NEEDED = ("onnx", "onnxruntime")


class GraphError(TrainingError):
    """A graph cannot embed what it was given; its process goes on."""


class GraphProcess(WorkerProcess):
    """The process; the arguments of a request are set before it.

    Attributes:
        asked: Beside the crops, what a request holds: output and batch.
        answered: Name of the output of the last answer.

    Args:
        config: The graph.
        num_threads: Threads that it may use.

    Raises:
        ConfigError: ONNX Runtime is not installed.
    """

    def __init__(self, config: GraphConfig, num_threads: int = 1) -> None:
        kind = graph_kind(config.graph)
        if kind == "onnx" and not all(map(importlib.util.find_spec, _NEEDED)):
            raise ConfigError(
                f"teacher {config.graph}: an ONNX graph needs ONNX Runtime: pip install veer[onnx]"
            )
        spec = {"graph": str(config.graph), "kind": kind, "threads": num_threads}
        # Isolated (-I): neither PYTHONPATH nor the working folder adds to its path.
        command = [sys.executable, "-I", "-B", str(_WORKER), json.dumps(spec)]
        super().__init__(command, config.graph.parent, str(config.graph), config.timeout_s)
        self.asked: dict[str, Any] = {"output": config.output, "batch": None}
        self.answered = ""

    def __enter__(self) -> "GraphProcess":
        super().__enter__()
        return self

    def embed(self, batch: Float32Array) -> Float32Array:
        """Return the embeddings of crops, (B, D).

        Raises:
            GraphError: The graph does not take them.
            TrainingError: The process has ended or hangs.
        """
        return self.receive(self.send(batch))

    def _exchange(self, batch: Float32Array) -> Float32Array:
        self._into.write(json.dumps({"shape": batch.shape, **self.asked}).encode() + b"\n")
        self._into.write(batch.data)
        self._into.flush()
        answer = self._read_line()
        if "error" in answer:
            raise GraphError(
                f"{self._name}: the graph does not take an input of the shape "
                f"{list(batch.shape)}: {_short(answer['error'])}"
            )
        self.answered = answer["output"]
        shape: Sequence[int] = answer["shape"]
        return np.frombuffer(self._read(4 * math.prod(shape)), np.float32).reshape(shape)


def laid_out(crops: Float32Array, layout: Layout) -> Float32Array:
    """Return crops, (B, S) or (B, T, F), with the axes that a graph takes."""
    if layout == "B1S":
        return crops[:, None]
    return crops.swapaxes(1, 2) if layout == "BFT" else crops


def _short(error: str) -> str:
    """Return the first and the last lines of an error of PyTorch, which may have hundreds."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    return " ... ".join(lines if len(lines) < 4 else [lines[0], *lines[-2:]])[:1000]
