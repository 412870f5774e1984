"""The reader of one model file: checks that it is whole and unchanged, executes nothing in it."""

import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spaces.files.digest import verify_digest
from spaces.files.errors import CheckpointError, DamagedError, VeerError
from trainable.checkpoints.foreign import (
    TAKEN,
    content_kind,
    foreign_kind,
    refusal_of,
    unsafe_kind,
)
from trainable.machine.memory_share import is_out_of_memory

# Prefixes of the names in `model_state_dict`: network and classifier as in voxceleb_trainer, and
# the projections of multi-stage distillation.
NETWORK_PREFIX, CLASSIFIER_PREFIX, PROJECTIONS_PREFIX = "__S__.", "__L__.", "__P__."
FILE_PATTERN = re.compile(r"model(\d{9})\.model")
# Errors of code that reads a state with missing or wrong entries.
MISFIT_ERRORS = (ValueError, LookupError, TypeError, AttributeError, OverflowError)
# Errors of `torch.load` for a damaged file; which one depends on where the damage is.
READ_ERRORS = (OSError, RuntimeError, EOFError, pickle.UnpicklingError, *MISFIT_ERRORS)
# The remedy for a file that is damaged: what was trained is never to be thrown away.
ANOTHER = "restore it from a copy, or train again into another folder"
# Start of the RuntimeError of `load_state_dict`, which has no class of its own.
WRONG_WEIGHTS = "Error(s) in loading state_dict"


def read_checkpoint(file: Path, *, is_mapped: bool = False) -> dict[str, Any]:
    """Read a model file without executing anything in it.

    Args:
        file: Written by `CheckpointFolder.save`; verified with the digest next to it, if any.
        is_mapped: Whether tensors are views of the mapped file, read from disk when used.

    Raises:
        CheckpointError: It is missing or cannot be opened.
        DamagedError: Its bytes are not those that were written, or it is of another program.
    """
    try:
        verify_digest(file)
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=is_mapped)
    except FileNotFoundError:
        raise CheckpointError(f"{file}: there is no such file") from None
    # Before READ_ERRORS, whose OSError would report these as damage.
    except (PermissionError, IsADirectoryError) as error:
        raise CheckpointError(
            f"{file}: cannot be opened ({error.strerror}); make it a readable file"
        ) from error
    except DamagedError:
        raise
    except READ_ERRORS as error:
        if is_out_of_memory(error):
            raise  # the file may be good
        if kind := foreign_kind(file) or unsafe_kind(error):
            raise DamagedError(refusal_of(file, kind)) from error
        raise DamagedError(
            f"{file}: not a readable model file ({type(error).__name__}); "
            + (ANOTHER if FILE_PATTERN.fullmatch(file.name) else f"{TAKEN}; or {ANOTHER}")
        ) from error
    if not isinstance(state, dict) or not {"model_state_dict", "epoch", "veer"} <= state.keys():
        raise DamagedError(refusal_of(file, content_kind(state)))
    if fault := _contradiction(file, state):
        raise DamagedError(f"{file}: {fault}; {ANOTHER}")
    return state


@contextmanager
def does_not_fit(file: Path) -> Iterator[None]:
    """Translate the errors of loading a file's state that does not fit into a CheckpointError.

    Errors that are not about the file, such as a failed GPU, pass through.

    Raises:
        CheckpointError: The state does not fit.
    """
    try:
        yield
    except VeerError:
        raise
    except (RuntimeError, *MISFIT_ERRORS) as error:
        text = str(error)
        if isinstance(error, RuntimeError) and WRONG_WEIGHTS not in text:
            raise
        raise CheckpointError(
            f"{file}: weights and config do not fit: {text}; {ANOTHER}"
        ) from error


def _contradiction(file: Path, state: dict[str, Any]) -> str | None:
    """Return a message if the parts of a model file disagree about its epoch, else None."""
    epoch, veer = state["epoch"], state["veer"]
    history = veer.get("history") if isinstance(veer, dict) else None
    if not isinstance(history, list) or not isinstance(state["model_state_dict"], dict):
        return "model_state_dict and veer must be mappings, and veer must have a history"
    try:
        epochs = [each["epoch"] for each in history if _has_evaluation(each)]
    except (LookupError, TypeError):
        return "each entry of its history must have epoch and veer_pct"
    if epochs != list(range(1, len(history) + 1)) or epoch != len(history):
        return f"holds epoch {epoch!r}, but a history of epochs {epochs}"
    named = FILE_PATTERN.fullmatch(file.name)
    if named and int(named[1]) != epoch:
        return f"holds epoch {epoch}, not the one in its name"
    return None


def _has_evaluation(report: Mapping[str, Any]) -> bool:
    """Return whether an epoch has a VEER, or was left out on purpose."""
    veer_pct = report["veer_pct"]
    left_out = veer_pct is None and report.get("is_unevaluated") is True
    return left_out or isinstance(veer_pct, int | float)


def named_weights(parts: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return the weights of modules by prefix, in one mapping of prefixed names."""
    return {
        prefix + name: tensor
        for prefix, part in parts.items()
        for name, tensor in part.state_dict().items()
    }


def part_of(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the weights whose names have a prefix, with the prefix removed."""
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
