"""The process of a graph that another program exported: crops in, embeddings out.

This file is self-contained: it runs as a script and imports nothing of Veer, and PyTorch only for
a graph of PyTorch.

Its only argument is a JSON object: graph, kind, threads. It writes a line of JSON (inputs,
num_params, weights) when the graph is loaded. Then, until its input ends, it reads requests: a
line of JSON (shape, output, batch) and float32 numbers. For each it writes a line of JSON: shape
and output, and the embeddings as float32; or error, if the graph failed.

Shapes: B batch, D embedding.
"""

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]
Named = list[tuple[str, Array]]
Run = Callable[[Array], Named]
Loaded = tuple[dict[str, Any], Run]


def main() -> None:
    """Load the graph, then embed batch after batch."""
    spec = json.loads(sys.argv[1])
    # What a library prints must not mix with the answers, so stdout becomes stderr for it.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    facts, run = LOADERS[spec["kind"]](spec["graph"], spec["threads"])
    answers.write(json.dumps(facts).encode() + b"\n")
    answers.flush()
    serve(run, sys.stdin.buffer, answers)


def load_onnx(path: str, num_threads: int) -> Loaded:
    """Load an ONNX graph with ONNX Runtime, on the CPU."""
    import onnx
    import onnxruntime

    model = onnx.load(path, load_external_data=False)
    initializers = model.graph.initializer
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = num_threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    names = [each.name for each in session.get_outputs()]
    facts = {
        "inputs": [_onnx_value(each) for each in inputs],
        "num_params": sum(math.prod(each.dims) for each in initializers),
        "weights": sorted(set(external_files(model))),
    }

    def run(batch: Array) -> Named:
        return list(zip(names, session.run(names, {inputs[0].name: batch}), strict=True))

    return facts, run


def _onnx_value(value: Any) -> dict[str, Any]:
    # A size that may vary has a name or none.
    shape = None if value.shape is None else [_whole(size) for size in value.shape]
    return {"name": value.name, "shape": shape, "type": value.type}


def external_files(message: Any) -> Iterator[str]:
    """Yield the files beside the graph that hold weights, of the tensors anywhere in a message."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield from (entry.value for entry in message.external_data if entry.key == "location")
        return
    # Also in the bodies of loops and branches, in constants and in functions.
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in [value] if hasattr(value, "DESCRIPTOR") else value:
                yield from external_files(each)


def load_torchscript(path: str, num_threads: int) -> Loaded:
    """Load a TorchScript module, on the CPU."""
    import torch

    torch.set_num_threads(num_threads)
    module = torch.jit.load(path, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    arguments = module.forward.schema.arguments[1:]
    needed = [each for each in arguments if not each.has_default_value()]
    facts = {
        # A script has types, but no shapes.
        "inputs": [{"name": a.name, "shape": None, "type": str(a.type)} for a in needed],
        "num_params": sum(each.numel() for each in module.parameters()),
        "weights": [],
    }
    return facts, _torch_run(module)


def load_export(path: str, num_threads: int) -> Loaded:
    """Load a program of `torch.export`, on the CPU."""
    import torch

    torch.set_num_threads(num_threads)
    program: Any = torch.export.load(path)
    names = set(program.graph_signature.user_inputs)
    inputs = [
        {
            "name": node.name,
            "shape": [_whole(size) for size in node.meta["val"].shape],
            "type": str(node.meta["val"].dtype),
        }
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in names
    ]
    facts = {
        "inputs": inputs,
        "num_params": sum(each.numel() for each in program.parameters()),
        "weights": [],
    }
    return facts, _torch_run(program.module())


def _torch_run(module: Any) -> Run:
    import torch

    def run(batch: Array) -> Named:
        # A copy: the memory of the request cannot be written, which PyTorch warns of.
        with torch.no_grad():
            return list(_named(module(torch.from_numpy(batch.copy()))))

    def _named(output: Any, name: str = "0") -> Iterator[tuple[str, Array]]:
        if isinstance(output, torch.Tensor):
            yield name, output.float().numpy()
        elif isinstance(output, dict):
            for key, value in output.items():
                yield from _named(value, str(key))
        elif isinstance(output, list | tuple):
            for number, value in enumerate(output):
                yield from _named(value, str(number))

    return run


LOADERS: dict[str, Callable[[str, int], Loaded]] = {
    "onnx": load_onnx,
    "torchscript": load_torchscript,
    "export": load_export,
}


def serve(run: Run, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests from the input until it ends; an error of the graph is an answer too."""
    while line := requests.readline():
        asked = json.loads(line)
        raw = requests.read(4 * math.prod(asked["shape"]))
        batch = np.frombuffer(raw, np.float32).reshape(asked["shape"])
        try:
            name, emb_BD = embeddings(run, batch, asked["output"], asked["batch"])
        except Exception as error:  # noqa: BLE001 - a graph may raise anything
            answers.write(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
            answers.write(b"\n")
        else:
            header = {"shape": emb_BD.shape, "output": name}
            answers.write(json.dumps(header).encode() + b"\n")
            answers.write(emb_BD.astype(np.float32).tobytes())
        answers.flush()


def embeddings(
    run: Run, batch: Array, output: str | None, fixed_batch: int | None
) -> tuple[str, Array]:
    """Return the name of the output that has the embeddings, and these, (B, D).

    Args:
        run: Computes all outputs of a batch.
        batch: The crops.
        output: Name of the output; None for the first one with two axes.
        fixed_batch: The only size of a batch that the graph takes; None for any.
    """
    if fixed_batch is None:
        return chosen(run(batch), output, len(batch))
    name, parts = "", []
    for first in range(0, len(batch), fixed_batch):
        part = batch[first : first + fixed_batch]
        # The last one is filled up with copies of its first crop.
        filling = np.repeat(part[:1], fixed_batch - len(part), axis=0)
        name, emb_BD = chosen(run(np.concatenate([part, filling])), output, fixed_batch)
        parts.append(emb_BD[: len(part)])
    return name, np.concatenate(parts)


def chosen(outputs: Named, name: str | None, num_crops: int) -> tuple[str, Array]:
    """Return the output that has an embedding of each crop.

    Raises:
        ValueError: There is none; with the names and shapes of all outputs.
    """
    named = [each for each in outputs if name in (None, each[0])]
    for found, values in named:
        if values.ndim == 2 and len(values) == num_crops:
            return found, values
    for found, values in named:
        # An axis of one more, as some toolkits have it.
        if values.ndim == 3 and len(values) == num_crops and 1 in values.shape[1:]:
            return found, values.reshape(num_crops, -1)
    wanted = "an output" if name is None else f"the output {name!r}"
    got = ", ".join(f"{each} {list(values.shape)}" for each, values in outputs)
    raise ValueError(f"{wanted} must have the shape [{num_crops}, embedding size], got {got}")


def _whole(size: Any) -> int | None:
    return size if isinstance(size, int) else None


if __name__ == "__main__":
    main()
