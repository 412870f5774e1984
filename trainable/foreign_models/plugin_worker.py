"""The process of a voxceleb_trainer model plug-in: crops in, embeddings out.

This file is self-contained: it runs as a script in the user's interpreter and imports nothing of
Veer, whose package `models` would clash with the trainer's.

Its only argument is a JSON object: trainer, model, weights, arguments, device. It writes a line of
JSON (`num_params`) when the model is loaded. Then, until its input ends, it reads batches: two
little-endian uint32 (crops B, samples S) and B x S float32 samples. For each it writes two uint32
(B, D) and B x D float32.

Shapes: B batch, S samples, D embedding.
"""

import argparse
import importlib
import importlib.machinery
import json
import os
import pickle
import re
import struct
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import torch

# Prefixes of the names of weights in a file of voxceleb_trainer.
NETWORK_PREFIX, CLASSIFIER_PREFIX = "__S__.", "__L__."
MODULE_PREFIXES = re.compile(r"^(?:module\.)?(__[SL]__\.)?(?:module\.)?")
# This and READ_ERRORS are defined again on purpose, next to `plugin` and `model_file`: the script
# imports nothing of Veer.
BATCH_HEADER = struct.Struct("<II")
MAX_LISTED = 3
READ_ERRORS = (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError)


class WeightsError(Exception):
    """The file of weights is not what the model needs."""


class TrainerFolderFinder:
    """An import finder for the trainer's folders of modules without `__init__.py`.

    Python prefers an installed package of the same name to such a folder, whatever their order on
    the path: if Veer is installed, its `models` would be imported for the trainer's.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,  # noqa: ARG002 - importlib's
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the folder's spec; None if it is not such a folder."""
        folder = self.root / name
        if path is not None or not any(folder.glob("*.py")) or (folder / "__init__.py").exists():
            return None
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        return spec


def main() -> None:
    """Load the model, then embed batch after batch."""
    spec = json.loads(sys.argv[1])
    # Prints of the plug-in must not mix with the answers, so stdout becomes stderr for it.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.path.insert(0, spec["trainer"])
    sys.meta_path.insert(0, TrainerFolderFinder(Path(spec["trainer"])))
    device = device_for(spec["device"])
    try:
        model = load_plugin_model(spec).to(device)
    except WeightsError as error:
        sys.exit(str(error))  # a traceback would show only Veer's code
    num_params = sum(parameter.numel() for parameter in model.parameters())
    answers.write(json.dumps({"num_params": num_params}).encode() + b"\n")
    answers.flush()
    serve(model, device, sys.stdin.buffer, answers)


def device_for(name: str) -> str:
    """Return `cpu` or `cuda` for a setting; the process ends if PyTorch cannot use a GPU it sees.

    On a GPU, float32 has all its bits, as in Veer: TF32 is off.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.device_count()):
        return "cpu"
    if name == "auto" and not torch.cuda.is_available():
        sys.exit(f"torch {torch.__version__} sees a GPU that it cannot use; set device: cpu")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return "cuda"


def load_plugin_model(spec: dict[str, Any]) -> torch.nn.Module:
    """Load the plug-in's `MainModel` with its weights, in eval mode; every tensor must fit.

    Raises:
        WeightsError: The file cannot be read, or its weights do not fit.
    """
    module = importlib.import_module(f"models.{spec['model']}")
    model: torch.nn.Module = module.MainModel(**spec["arguments"])
    try:
        with _namespaces_allowed():
            state = torch.load(spec["weights"], map_location="cpu", weights_only=True)
    except READ_ERRORS as error:
        raise WeightsError(
            f"{spec['weights']}: not a readable file of weights ({type(error).__name__})"
        ) from error
    # Older versions of voxceleb_trainer saved only the weights, without a dict around them.
    weights = state.get("model_state_dict", state)
    # A network alone, as the trainer's `initial_model` takes it.
    if isinstance(weights.get("model"), dict):
        weights = weights["model"]
    try:
        model.load_state_dict(network_weights(weights, model.state_dict()))
    except ValueError as error:
        raise WeightsError(f"{spec['weights']}, models/{spec['model']}.py: {error}") from None
    return model.eval()


def _namespaces_allowed() -> AbstractContextManager[Any]:
    """Let a file hold the arguments of its training, which are plain data."""
    # Older versions of PyTorch, which the trainer may need, have no such list.
    allowed = getattr(torch.serialization, "safe_globals", None)
    return nullcontext() if allowed is None else allowed([argparse.Namespace])


def network_weights(
    weights: dict[str, torch.Tensor], own: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return the network's weights of a file, with `__S__.` removed from their names.

    Raises:
        ValueError: They are not exactly the model's, by name and shape, or a name has neither the
            network's nor the loss's prefix.
    """
    prefixes = (NETWORK_PREFIX, CLASSIFIER_PREFIX)
    weights = _without_module(weights)
    if not any(name.startswith(prefixes) for name in weights):
        # The network's alone, as its own `state_dict` names them.
        weights = {NETWORK_PREFIX + name: tensor for name, tensor in weights.items()}
    strange = [name for name in weights if not name.startswith(prefixes)]
    if strange:
        raise ValueError(
            f"weights must begin with {NETWORK_PREFIX} (network) or {CLASSIFIER_PREFIX} "
            f"(loss), got {_first_names(strange)}"
        )
    given = {
        name.removeprefix(NETWORK_PREFIX): weights[name]
        for name in weights
        if name.startswith(NETWORK_PREFIX)
    }
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
        found = "; ".join(
            f"{len(each)} {what} ({_first_names(each)})" for what, each in faults.items() if each
        )
        raise ValueError(
            f"the weights must fit the model with these arguments, got {found}; correct "
            "`arguments`, or the model file"
        )
    return given


def _without_module(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights without what DataParallel puts before their names."""
    return {MODULE_PREFIXES.sub(r"\1", name, count=1): each for name, each in weights.items()}


@torch.no_grad()
def serve(model: torch.nn.Module, device: str, requests: BinaryIO, answers: BinaryIO) -> None:
    """Embed batches from the input until it ends.

    Raises:
        ValueError: The model's output does not have the shape (B, D).
    """
    while header := requests.read(BATCH_HEADER.size):
        num_crops, num_samples = BATCH_HEADER.unpack(header)
        # Not bytes: PyTorch warns of tensors over memory that cannot be written.
        raw = bytearray(requests.read(4 * num_crops * num_samples))
        wave_BS = torch.frombuffer(raw, dtype=torch.float32).reshape(num_crops, num_samples)
        emb_BD = model(wave_BS.to(device))
        shape = tuple(getattr(emb_BD, "shape", ()))
        if len(shape) != 2 or shape[0] != num_crops:
            raise ValueError(
                f"MainModel must turn ({num_crops}, {num_samples}) samples into ({num_crops}, "
                f"embedding size), got {shape or type(emb_BD).__name__}"
            )
        answers.write(BATCH_HEADER.pack(*shape))
        # The answer is float32, whatever the plug-in computes in.
        answers.write(emb_BD.float().cpu().contiguous().numpy().tobytes())
        answers.flush()


def _first_names(names: list[str]) -> str:
    """Return the first few names as text, with an ellipsis if there are more."""
    return ", ".join(names[:MAX_LISTED]) + (", ..." if len(names) > MAX_LISTED else "")


if __name__ == "__main__":
    main()
