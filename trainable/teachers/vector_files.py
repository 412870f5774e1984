"""Files of embeddings of other programs: Kaldi's ark and scp, NumPy's, PyTorch's.

Nothing in a file is executed: no pickle is read, and no command of an scp is run.

Shapes: N utterances, D embedding.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spaces.files.complaints import short_repr
from spaces.files.errors import ConfigError, TrainingError
from trainable.checkpoints.model_file import READ_ERRORS
from trainable.list_formats.list_text import read_lines

Vector = NDArray[np.float32]
NamedVectors = Iterator[tuple[str, Vector]]
_NAME_KEYS, _VECTOR_KEYS = ("names", "utterances", "keys"), ("embeddings", "vectors", "xvectors")


def read_vectors(file: Path, names: Path | None = None) -> NamedVectors:
    """Yield name and embedding of each utterance.

    Args:
        file: An .scp, .ark, .npy, .npz, .pt or .pth file.
        names: A text with a name in each line, for a file that holds one array.

    Raises:
        ConfigError: The file is of another kind, a package is missing, or names are.
        TrainingError: It cannot be read, or holds something else.
    """
    if not file.is_file():
        raise ConfigError(f"{file}: there is no such file of embeddings")
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise ConfigError(f"{file}: must end in {', '.join(_READERS)}, got {file.name!r}")
    return reader(file, None if names is None else read_lines(names))


def _scp(file: Path, names: list[str] | None) -> NamedVectors:  # noqa: ARG001 - as the others
    reader = _kaldi_reader(file)
    for number, line in enumerate(read_lines(file), 1):
        name, _, place = line.strip().partition(" ")
        ark, _, offset = place.strip().rpartition(":")
        if not name:
            continue
        if not ark or not offset.isdecimal() or "|" in place:
            raise TrainingError(
                f"{file}:{number}: must be 'UTTERANCE FILE.ark:OFFSET', got "
                f"{short_repr(line.strip())}; a command is not run: write its output into a file"
            )
        # As Kaldi takes it, from the working folder; else beside the scp.
        path = Path(ark) if Path(ark).is_file() else file.parent / ark
        try:
            with path.open("rb") as opened:
                opened.seek(int(offset))
                vector = _kaldi_vector(opened, reader)
        except (OSError, ValueError, AssertionError) as error:
            raise TrainingError(f"{file}:{number}: {ark} cannot be read: {error}") from error
        yield name, vector


def _ark(file: Path, names: list[str] | None) -> NamedVectors:  # noqa: ARG001 - as the others
    reader = _kaldi_reader(file)
    with file.open("rb") as opened:
        while True:
            begin = opened.tell()
            try:
                name = reader.read_token(opened)
                if name is None or not name.strip():
                    return
                vector = _kaldi_vector(opened, reader)
            except (ValueError, AssertionError, UnicodeDecodeError) as error:
                raise TrainingError(
                    f"{file}: the entry at byte {begin:,} cannot be read: {error}"
                ) from error
            yield name.strip(), vector


def _kaldi_reader(file: Path) -> Any:
    try:
        from kaldiio import matio
    except ImportError as error:
        raise ConfigError(
            f"{file}: files of Kaldi need the package kaldiio: pip install veer[kaldi]"
        ) from error
    return matio


def _kaldi_vector(opened: Any, reader: Any) -> Vector:
    start = opened.read(2)
    opened.seek(-len(start), 1)
    # Not `read_kaldi`: it also reads pickles.
    if start == b"\0B":
        return np.asarray(reader.read_matrix_or_vector(opened), np.float32)
    if start.lstrip()[:1] == b"[":
        return np.asarray(reader.read_ascii_mat(opened), np.float32)
    raise ValueError(f"must be a vector of Kaldi, got {start!r}")


def _npy(file: Path, names: list[str] | None) -> NamedVectors:
    try:
        array = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise TrainingError(
            f"{file}: cannot be read without unpickling ({error}): save an array, and the names "
            "as a text, or both with np.savez"
        ) from error
    if isinstance(array, np.ndarray):
        return _rows(file, array, names)
    with array:
        return _named(file, {name: array[name] for name in array.files}, names)


def _torch(file: Path, names: list[str] | None) -> NamedVectors:
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except READ_ERRORS as error:
        raise TrainingError(
            f"{file}: cannot be read without executing code ({type(error).__name__}); save a dict "
            "of names and tensors"
        ) from error
    if isinstance(state, torch.Tensor):
        return _rows(file, state.float().numpy(), names)
    if not isinstance(state, Mapping):
        raise TrainingError(f"{file}: must hold a dict or a tensor, got {type(state).__name__}")
    plain = {
        str(name): each.float().numpy() if isinstance(each, torch.Tensor) else each
        for name, each in state.items()
    }
    return _named(file, plain, names)


def _named(file: Path, content: Mapping[str, Any], names: list[str] | None) -> NamedVectors:
    """Yield the rows of an array beside its names, or a vector for each key."""
    listed = next((content[key] for key in _NAME_KEYS if key in content), names)
    array = next((content[key] for key in _VECTOR_KEYS if key in content), None)
    if array is not None:
        return _rows(file, np.asarray(array), None if listed is None else list(map(str, listed)))
    return ((name, np.asarray(each, np.float32)) for name, each in content.items())


def _rows(file: Path, array: NDArray[Any], names: Iterable[str] | None) -> NamedVectors:
    known = None if names is None else list(names)
    if array.ndim != 2:
        raise TrainingError(f"{file}: must have the shape (N, D), got {array.shape}")
    if known is None or len(known) != len(array):
        got = "none" if known is None else f"{len(known):,}"
        raise ConfigError(
            f"{file}: {len(array):,} names must be given, one for each row, got {got}; give "
            "--names FILE, a text with a name in each line"
        )
    return zip(known, array.astype(np.float32), strict=True)


_READERS: dict[str, Callable[[Path, list[str] | None], NamedVectors]] = {
    ".scp": _scp,
    ".ark": _ark,
    ".npy": _npy,
    ".npz": _npy,
    ".pt": _torch,
    ".pth": _torch,
}
