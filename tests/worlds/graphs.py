"""Small graphs of another program: the mean over the frames or samples, times a matrix."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DIM = 24
Size = int | str


def matrix(width: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The weights of a graph, (width, DIM)."""
    return np.random.default_rng(1).standard_normal((width, DIM), np.float32)


def write_onnx(file: Path, shape: Sequence[Size], *, factor: float = 1.0, more: str = "") -> Path:
    """Write a graph with an input of this shape; return its file.

    Of another number of axes or bins it is one that is not taken.

    Args:
        file: The file.
        shape: A number for a fixed size, a name for any. Of two axes, samples; of three, log-mels
            with 80 bins at their place.
        factor: Of the embeddings; NaN or 0 makes them unusable.
        more: `input` for a second input, `output` for one before the embeddings.
    """
    is_wave, axis, bins = len(shape) == 2, 1, 64 if shape[-1] == 64 else 80
    if len(shape) == 3 and shape[1] == 80:
        axis = 2
    nodes = [
        helper.make_node("Abs", ["x"], ["a"]),
        helper.make_node("ReduceMean", ["a"], ["m"], axes=[axis], keepdims=int(is_wave)),
        helper.make_node("MatMul", ["m", "w"], ["e"]),
        helper.make_node("Mul", ["e", "f"], ["emb"]),
    ]
    weights = [
        numpy_helper.from_array(matrix(1 if is_wave else bins), "w"),
        numpy_helper.from_array(np.array(factor, np.float32), "f"),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("emb", TensorProto.FLOAT, None)]
    if more == "input":
        inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT64, ["b"]))
    if more == "output":
        outputs.insert(0, helper.make_tensor_value_info("a", TensorProto.FLOAT, None))
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10
    )
    onnx.save(model, str(file))
    return file


def embedded(crops: np.ndarray[Any, Any], width: int) -> np.ndarray[Any, Any]:
    """What a graph makes of crops, (B, S) or (B, T, 80)."""
    mean = np.abs(crops).mean(axis=1)
    result: np.ndarray[Any, Any] = mean.reshape(len(crops), -1) @ matrix(width)
    return result
