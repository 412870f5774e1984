"""Runs a voxceleb_trainer model plug-in in a process of its own: crops in, embeddings out.

Stands alone: it is run as a script in the person's own interpreter and imports nothing of Veer,
whose `models` would clash with the trainer's.

Takes as its one argument a JSON object: trainer, model, weights, arguments, device. Answers with a
line of JSON (`num_params`) once the model is loaded. Then, until its input ends, it reads batches:
two little-endian uint32 (crops B, samples S) and B x S float32 samples; and answers each with two
uint32 (B, D) and B x D float32.

Shapes: B batch, S samples, D embedding.
"""

import importlib
import importlib.machinery
import json
import os
import pickle
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import torch

NETWORK, CLASSIFIER = "__S__.", "__L__."
SHAPE = struct.Struct("<II")
NUM_NAMED = 3
UNREADABLE = (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError)


class WeightsError(Exception):
    """The file of weights is not what the model needs."""


class FoldersFirst:
    """Finds the trainer's folders of modules that have no `__init__.py`.

    Python prefers any installed package of the same name to such a folder, wherever on the path
    that is: an installed Veer would then be the trainer's `models`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,  # noqa: ARG002 - importlib's
    ) -> importlib.machinery.ModuleSpec | None:
        """The folder's spec, None where it is no such folder."""
        folder = self.root / name
        if path is not None or not any(folder.glob("*.py")) or (folder / "__init__.py").exists():
            return None
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        return spec


def main() -> None:
    """Load the model, then embed batch after batch."""
    spec = json.loads(sys.argv[1])
    # What the plug-in prints must not get among the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.path.insert(0, spec["trainer"])
    sys.meta_path.insert(0, FoldersFirst(Path(spec["trainer"])))
    device = spec["device"]
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        model = load(spec).to(device)
    except WeightsError as error:
        sys.exit(str(error))  # the trace would show Veer's code and not the person's
    num_params = sum(parameter.numel() for parameter in model.parameters())
    answers.write(json.dumps({"num_params": num_params}).encode() + b"\n")
    answers.flush()
    serve(model, device, sys.stdin.buffer, answers)


def load(spec: dict[str, Any]) -> torch.nn.Module:
    """The plug-in's `MainModel` with its weights, in eval mode; every tensor must fit.

    Raises:
        WeightsError: The file cannot be read, or its weights do not fit.
    """
    module = importlib.import_module(f"models.{spec['model']}")
    model: torch.nn.Module = module.MainModel(**spec["arguments"])
    try:
        state = torch.load(spec["weights"], map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise WeightsError(
            f"{spec['weights']}: not a readable file of weights ({type(error).__name__})"
        ) from error
    # Older versions of the trainer wrote the weights by themselves.
    weights = state.get("model_state_dict", state)
    try:
        model.load_state_dict(network_weights(weights, model.state_dict()))
    except ValueError as error:
        raise WeightsError(f"{spec['weights']}, models/{spec['model']}.py: {error}") from None
    return model.eval()


def network_weights(
    weights: dict[str, torch.Tensor], own: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The network's part of a file's weights, without `__S__.`.

    Raises:
        ValueError: It is not exactly the model's own, by name and shape; or another part than the
            network's and the loss's is there.
    """
    strange = [name for name in weights if not name.startswith((NETWORK, CLASSIFIER))]
    if strange:
        raise ValueError(
            f"weights must begin with {NETWORK} (network) or {CLASSIFIER} (loss), "
            f"got {first(strange)}"
        )
    given = {name[len(NETWORK) :]: weights[name] for name in weights if name.startswith(NETWORK)}
    shapes = [
        f"{name} of {tuple(given[name].shape)} for {tuple(own[name].shape)}"
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    faults = {
        "missing": [name for name in own if name not in given],
        "unexpected": [name for name in given if name not in own],
        "of another shape": shapes,
    }
    if any(faults.values()):
        told = "; ".join(f"{len(n)} {what} ({first(n)})" for what, n in faults.items() if n)
        raise ValueError(
            f"the weights must fit the model with these arguments, got {told}; correct "
            "`arguments`, or the model file"
        )
    return given


@torch.no_grad()
def serve(model: torch.nn.Module, device: str, asked: BinaryIO, answers: BinaryIO) -> None:
    """Embed every batch that is asked for.

    Raises:
        ValueError: The model gives something else than (B, D).
    """
    while header := asked.read(SHAPE.size):
        num_crops, num_samples = SHAPE.unpack(header)
        raw = bytearray(asked.read(4 * num_crops * num_samples))
        wave_BS = torch.frombuffer(raw, dtype=torch.float32).reshape(num_crops, num_samples)
        emb_BD = model(wave_BS.to(device))
        shape = tuple(getattr(emb_BD, "shape", ()))
        if len(shape) != 2 or shape[0] != num_crops:
            raise ValueError(
                f"MainModel must turn ({num_crops}, {num_samples}) samples into ({num_crops}, "
                f"embedding size), got {shape or type(emb_BD).__name__}"
            )
        answers.write(SHAPE.pack(*shape))
        answers.write(emb_BD.float().cpu().contiguous().numpy().tobytes())
        answers.flush()


def first(names: list[str]) -> str:
    """The first few names."""
    return ", ".join(names[:NUM_NAMED]) + (", ..." if len(names) > NUM_NAMED else "")


if __name__ == "__main__":
    main()
