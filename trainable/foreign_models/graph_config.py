"""A teacher that is a graph of another program: which files are one, and how it is asked.

A graph is an ONNX, TorchScript or `torch.export` file, or a YAML file that names one (`graph:`).
"""

import hashlib
import re
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from models.frontend import HOP_SAMPLES
from models.user_code import require_permission
from spaces.files.digest import file_sha256
from spaces.files.errors import CheckpointError, ConfigError
from spaces.files.yaml_file import load_model, read_yaml
from trainable.verification.scoring import WINDOW_TAIL_SAMPLES

GraphKind = Literal["onnx", "torchscript", "export"]
InputKind = Literal["waveform", "log_mel"]
# Axes of the input: B batch, S samples, 1 a channel, T frames, F mel bins.
Layout = Literal["BS", "B1S", "BTF", "BFT"]

_KEY = re.compile(r"^graph\s*:", re.MULTILINE)
_TAIL_BYTES = 262_144
_YAML = (".yaml", ".yml")
_NAMES: dict[GraphKind, str] = {
    "onnx": "an ONNX graph",
    "torchscript": "a TorchScript model",
    "export": "a program of torch.export",
}


class GraphFacts(BaseModel):
    """What was found out about a graph by loading and running it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(description="Hash of the graph and of the files of its weights.")
    weights: tuple[str, ...] = Field((), description="Files of weights beside the graph.")
    input_name: str = Field(description="Name of its input.")
    layout: Layout = Field(description="Axes of its input.")
    output: str = Field(description="Name of the output with the embeddings.")
    embedding_dim: int = Field(ge=1, description="Size of an embedding.")
    batch: int | None = Field(None, description="The only size of a batch; null for any.")
    length: int | None = Field(None, description="The only samples or frames; null for any.")
    num_params: int = Field(0, ge=0, description="Numbers of its weights.")

    @property
    def takes_waves(self) -> bool:
        """Whether its input is a waveform."""
        return "S" in self.layout

    @property
    def crop_frames(self) -> int | None:
        """The only length of a crop, frames; None for any."""
        if self.length is None or not self.takes_waves:
            return self.length
        # As voxceleb_trainer cuts a crop, or in whole hops.
        tail = self.length - WINDOW_TAIL_SAMPLES
        return tail // HOP_SAMPLES if tail % HOP_SAMPLES == 0 else self.length // HOP_SAMPLES

    def num_samples(self, crop_frames: int) -> int:
        """Return the samples of a crop of so many frames."""
        return self.length or crop_frames * HOP_SAMPLES + WINDOW_TAIL_SAMPLES


class GraphConfig(BaseModel):
    """A graph and how it is asked; the content of a teacher's YAML with `graph`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    graph: Path = Field(description="The ONNX, TorchScript or torch.export file.")
    input: InputKind | None = Field(
        None, description="What the graph takes, where that is in doubt: waveform or log_mel."
    )
    output: str | None = Field(
        None,
        description="Name or number of the output with the embeddings; by default the first with "
        "two axes.",
    )
    batch_size: int = Field(64, ge=1, le=65_536, description="Crops per call of the graph.")
    timeout_s: float = Field(
        600.0, gt=0, description="Seconds after which a call counts as hanging."
    )
    found: GraphFacts | None = Field(
        None, description="Written by Veer into a run folder: what the graph was found to be."
    )


def graph_kind(file: Path) -> GraphKind | None:
    """Return the kind of a graph's file by its name and content, None if it is none."""
    if file.suffix == ".onnx":
        return "onnx"
    try:
        with file.open("rb") as opened:
            if opened.read(2) != b"PK":
                return None
            opened.seek(max(0, file.stat().st_size - _TAIL_BYTES))
            tail = opened.read()
    except OSError:
        return "export" if file.suffix == ".pt2" else None
    # The list of an archive's files is at its end.
    if b"/code/__torch__" in tail:
        return "torchscript"
    return "export" if b"/models/model.json" in tail or file.suffix == ".pt2" else None


def is_graph(teacher: Path) -> bool:
    """Return whether a path is a graph, or the YAML file of one."""
    if teacher.suffix not in _YAML:
        return graph_kind(teacher) is not None
    try:
        return _KEY.search(teacher.read_text("utf-8")) is not None
    except (OSError, UnicodeDecodeError):
        return False


def read_graph(teacher: Path) -> GraphConfig:
    """Return the settings of a graph; nothing of it is run.

    Raises:
        ConfigError: The YAML breaks a rule, or the graph holds code and that is not allowed.
        CheckpointError: There is no such file.
    """
    config = GraphConfig(graph=teacher.absolute())
    if teacher.suffix in _YAML:
        config = load_model(GraphConfig, read_yaml(teacher))
        config = config.model_copy(update={"graph": teacher.absolute().parent / config.graph})
    if not config.graph.is_file():
        raise CheckpointError(f"{config.graph}: there is no such graph, the teacher")
    kind = graph_kind(config.graph)
    if kind is None:
        raise ConfigError(
            f"{teacher}: graph: must be an ONNX, TorchScript or torch.export file, got "
            f"{config.graph}"
        )
    if kind != "onnx":
        # A script may write files, and torch.export falls back to unpickling what it loads.
        require_permission(f"teacher {config.graph}, {_NAMES[kind]},")
    return config


def graph_digest(graph: Path, weights: tuple[str, ...] = ()) -> str:
    """Return the hash of a graph and of the files of its weights.

    Raises:
        CheckpointError: A file of weights is missing, or outside of the graph's folder.
    """
    if not weights:
        return file_sha256(graph)
    digest = hashlib.sha256(file_sha256(graph).encode())
    for name in weights:
        path = PurePosixPath(name)
        file = graph.parent / path
        if path.is_absolute() or ".." in path.parts or not file.is_file():
            raise CheckpointError(
                f"{graph}: its weights must be files beside it, got {name!r}; copy the graph "
                "together with them"
            )
        digest.update(f"\0{name}\0{_hash_of(file, file.stat().st_mtime_ns)}".encode())
    return digest.hexdigest()


@lru_cache(maxsize=8)
def _hash_of(file: Path, changed_ns: int) -> str:  # noqa: ARG001 - part of the key
    return file_sha256(file)
