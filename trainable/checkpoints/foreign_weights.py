"""Weights in a file of another program: found, stripped of prefixes, fitted to a model.

Nothing in a file is executed.
"""

import argparse
import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from models.frontend import NUM_MELS
from spaces.files.errors import CheckpointError
from trainable.checkpoints.foreign import foreign_kind
from trainable.checkpoints.model_file import READ_ERRORS
from trainable.machine.memory_share import is_out_of_memory

SAFETENSORS = ".safetensors"
# Where programs keep the weights in what they save, the innermost last.
WEIGHTS_KEYS = ("model_state_dict", "state_dict", "model")
# Window and filter bank of a front end: constants, which Veer computes.
_FRONT_END = re.compile(r"^(torchfb|instancenorm|log_mel|torchmel|spectrogram)\.")
_MEL_BANK = re.compile(r"(^|\.)mel_scale\.fb$")
# In voxceleb_trainer pre-emphasis comes first in a sequence; versions without it have no sequence.
_NO_PRE_EMPHASIS = re.compile(r"(^|\.)torchfb\.mel_scale\.fb$")
# Only training uses it, so a model without one is whole.
_DECODER = "decoder."
# Names in Veer, and the same in voxceleb_trainer, by family.
_TRAINERS_NAMES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "resnet_se34l": (
        (r"^conv\.", "conv1."),
        (r"^norm\.", "bn1."),
        (r"^layers\.0\.", "layer1."),
        (r"^layers\.1\.", "layer2."),
        (r"^layers\.2\.", "layer3."),
        (r"^layers\.3\.", "layer4."),
        (r"\.norm(\d)\.", r".bn\1."),
        (r"\.se\.gate\.", ".se.fc."),
        (r"\.shortcut\.", ".downsample."),
        (r"^pooling\.project\.", "sap_linear."),
        (r"^pooling\.attention$", "attention"),
        (r"^embedding\.", "fc."),
    ),
}
_MAX_LISTED = 60
# Of a terminal: PyTorch prints words of its messages in bold.
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedWeights:
    """Weights of a file that fit a model.

    Attributes:
        weights: By the model's names.
        prefix: What stood before the names in the file.
        left_out: Names in the file that are of other parts: a loss, a front end, another network.
        not_in_file: Names of the model's decoder, if the file has none.
    """

    weights: dict[str, Tensor]
    prefix: str
    left_out: tuple[str, ...]
    not_in_file: tuple[str, ...]


def read_foreign_weights(file: Path) -> dict[str, Tensor]:
    """Return all tensors in a file's weights, by their names in the file.

    Raises:
        CheckpointError: It is missing, cannot be read without executing what it holds, or holds
            no weights by name.
    """
    try:
        if file.suffix == SAFETENSORS:
            return load_file(file)
        # The arguments of a training, which are plain data.
        with torch.serialization.safe_globals([argparse.Namespace]):
            state = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{file}: there is no such file") from None
    except (PermissionError, IsADirectoryError) as error:
        raise CheckpointError(f"{file}: cannot be opened ({error.strerror})") from error
    except (SafetensorError, *READ_ERRORS) as error:
        if is_out_of_memory(error):
            raise
        raise CheckpointError(f"{file}: {_unreadable(file, error)}") from error
    weights = _weights_in(state)
    if not weights:
        raise CheckpointError(
            f"{file}: must hold weights by name, itself or as {', '.join(WEIGHTS_KEYS)}, got "
            f"{_described(state)}"
        )
    return weights


def fit_weights(
    weights: Mapping[str, Tensor], own: Mapping[str, Tensor], family: str
) -> FittedWeights:
    """Return the weights by the model's names; every tensor of the model must be there.

    Args:
        weights: By their names in the file.
        own: The model's own weights.
        family: Its family.

    Raises:
        CheckpointError: Some do not fit; names each with its shape and the nearest match.
    """
    _check_front_end(weights)
    ours = {name: name for name in own}
    theirs = {_trainers_name(name, family): name for name in own}
    found = {id(names): _prefix(weights, names) for names in (ours, theirs)}
    names = max((ours, theirs), key=lambda each: found[id(each)][1])
    prefix, _ = found[id(names)]
    given = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    front_end = {name for name in given if _FRONT_END.match(name)}
    part = {names.get(k, k): v for k, v in given.items() if k not in front_end}
    has_decoder = any(name.startswith(_DECODER) for name in part)
    absent = [k for k in own if not has_decoder and k.startswith(_DECODER)]
    wanted = {name: each for name, each in own.items() if name not in absent}
    # Modules that the model does not have, such as a classifier beside it.
    modules = {name.partition(".")[0] for name in wanted}
    beside = {name for name in part if name.partition(".")[0] not in modules}
    kept = {name: each for name, each in part.items() if name not in beside}
    if _misfits(kept, wanted):
        raise CheckpointError(_listed(_misfits(part, wanted)))
    if bad := next((name for name, each in kept.items() if not each.isfinite().all()), None):
        raise CheckpointError(f"{bad}: weights must be finite, got NaN or infinity")
    used = {
        prefix + name for name in given
        if name not in front_end and names.get(name, name) not in beside
    }  # fmt: skip
    return FittedWeights(
        weights=kept,
        prefix=prefix,
        left_out=tuple(name for name in weights if name not in used),
        not_in_file=tuple(absent),
    )


def _weights_in(state: object) -> dict[str, Tensor]:
    """Return the tensors of a state by name, from the first level that has them."""
    for key in WEIGHTS_KEYS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        return {}
    return {str(name): each for name, each in state.items() if isinstance(each, Tensor)}


def _unreadable(file: Path, error: BaseException) -> str:
    if not file.stat().st_size:
        return "the file is empty"
    if kind := foreign_kind(file):
        what, _ = kind
        return f"must be weights of PyTorch or safetensors, got {what}"
    why = _ESCAPES.sub("", str(error)).partition("\n")[0][:200]
    return (
        f"cannot be read without executing what it holds ({type(error).__name__}: {why}); in the "
        "program that it is from, save the state_dict alone, by torch.save(model.state_dict(), "
        "FILE)"
    )


def _described(state: object) -> str:
    if not isinstance(state, Mapping):
        return f"a {type(state).__name__}"
    return f"the keys {', '.join(map(str, list(state)[:5]))}" if state else "an empty mapping"


def _check_front_end(weights: Mapping[str, Tensor]) -> None:
    """Refuse weights that were trained on other log-mels than Veer's, where the file shows it."""
    for name, each in weights.items():
        if _MEL_BANK.search(name) and each.shape[-1] != NUM_MELS:
            raise CheckpointError(
                f"its front end must have {NUM_MELS} mel bins, as Veer's, got {each.shape[-1]} "
                f"({name}): embeddings of other log-mels would be worthless; train with n_mels: "
                f"{NUM_MELS}, or use the model as a plug-in (docs/teachers.md)"
            )
        if _NO_PRE_EMPHASIS.search(name):
            raise CheckpointError(
                f"its front end must have pre-emphasis, as Veer's, got none ({name}): use the "
                "model as a plug-in (docs/teachers.md)"
            )


def _trainers_name(name: str, family: str) -> str:
    for pattern, replacement in _TRAINERS_NAMES.get(family, ()):
        name = re.sub(pattern, replacement, name)
    return name


def _prefix(weights: Iterable[str], wanted: Iterable[str]) -> tuple[str, int]:
    """Return the prefix with which most names are wanted ones, and how many are."""
    own, counts = set(wanted), Counter[str]()
    for name in weights:
        starts = [0, *(match.end() for match in re.finditer(r"\.", name))]
        counts.update(name[:start] for start in starts if name[start:] in own)
    if not counts:
        return "", 0
    return min(counts.items(), key=lambda each: (-each[1], len(each[0])))


def _misfits(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Return a line for each tensor that does not fit, with the nearest on the other side."""
    missing = {name: each for name, each in own.items() if name not in given}
    strange = {name: each for name, each in given.items() if name not in own}
    return [
        *(
            f"{name}: {_shape(given[name])} in the file, {_shape(each)} in the model"
            for name, each in own.items()
            if name in given and given[name].shape != each.shape
        ),
        *(f"{k} {_shape(v)}: not in the file{_near(k, v, strange)}" for k, v in missing.items()),
        *(f"{k} {_shape(v)}: not in the model{_near(k, v, missing)}" for k, v in strange.items()),
    ]


def _near(name: str, tensor: Tensor, others: Mapping[str, Tensor]) -> str:
    """Return the nearest name, of one shape if there is any, as a clause."""
    alike = [other for other, each in others.items() if each.shape == tensor.shape]
    near = difflib.get_close_matches(name, alike or others, n=1, cutoff=0.3)
    return f"; nearest: {near[0]} {_shape(others[near[0]])}" if near else ""


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


def _listed(faults: list[str]) -> str:
    hidden = len(faults) - _MAX_LISTED
    more = [f"... and {hidden} more"] if hidden > 0 else []
    return "\n  ".join(
        [
            f"{len(faults)} tensors do not fit the model; give its sizes by --set "
            "model.KEY=VALUE, or another --family:",
            *faults[:_MAX_LISTED],
            *more,
        ]
    )
