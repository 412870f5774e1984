"""Model files and the folder that keeps them.

A file is named `model%09d.model` after its epoch and laid out as voxceleb_trainer's: a dict with
`model_state_dict`, `optimizer_state_dict`, `scheduler_state_dict`, `epoch`, read with
`weights_only=True`, so nothing in it is executed. `veer` holds config, speakers and history.
"""

import hashlib
import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from torch import Tensor

from models import SpeakerModel, build_model
from spaces.disk import room_for
from trainable.config import TrialConfig
from trainable.errors import CheckpointError

if TYPE_CHECKING:  # the trainer itself reads teachers from model files
    from trainable.training import Trainer

MODEL_FOLDER = "model"
UNREADABLE = (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError)
# What the names in `model_state_dict` begin with: network and classifier as voxceleb_trainer has
# them, and the projections of multi-stage distillation.
NETWORK, CLASSIFIER, PROJECTIONS = "__S__.", "__L__.", "__P__."
BUILDING_SUFFIX = ".building"
FILE_PATTERN = re.compile(r"model(\d{9})\.model")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedClassifier:
    """A classifier read from a model file, on the CPU.

    Attributes:
        centres_KD: The speaker centres, None in a file without them.
        config: The trial that trained it.
        speakers: Training speakers.
        file: Where it came from.
    """

    centres_KD: Tensor | None
    config: TrialConfig
    speakers: tuple[str, ...]
    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel(LoadedClassifier):
    """A model read from a file, in eval mode on the CPU.

    Attributes:
        model: The network.
        epoch: Epochs it was trained for.
        history: Report fields of each epoch.
    """

    model: SpeakerModel
    epoch: int
    history: tuple[dict[str, Any], ...]


class CheckpointFolder:
    """The checkpoints of one run: the best epoch's and the last one's.

    Args:
        folder: The run's folder; files go to its `model` folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / MODEL_FOLDER

    def save(self, trainer: "Trainer") -> Path:
        """Write the trainer's state, then drop what is neither best nor last.

        The file appears under its name only when complete.

        Raises:
            DiskFullError: There is no room; the files of earlier epochs stand.
        """
        file = self.file_of(trainer.epoch)
        state = trainer.state()
        with room_for(file, lambda: saved_bytes(state)):
            self._write(file, state)
        self._keep({trainer.epoch, _best_epoch([r.as_dict() for r in trainer.history])})
        return file

    def _write(self, file: Path, state: dict[str, Any]) -> None:
        """Write a file under another name, and rename it once it is on disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        building = file.with_suffix(BUILDING_SUFFIX)
        try:
            with building.open("wb") as out:
                torch.save(state, out)
                out.flush()
                os.fsync(out.fileno())
            building.replace(file)
        finally:
            building.unlink(missing_ok=True)

    def restore(self, trainer: "Trainer") -> list[str]:
        """Load the newest checkpoint into a trainer, if there is one.

        Returns:
            What was damaged and passed over, a sentence each; `trainer.epoch` tells what was
            loaded.

        Raises:
            CheckpointError: It is damaged.
            TrainingError: It belongs to another config or other speakers.
        """
        epochs = self.epochs()
        if not epochs:
            return []
        trainer.load_state(read_checkpoint(self.file_of(epochs[-1])))
        return []

    def delete_weights(self) -> None:
        """Drop every model file."""
        self._keep(set())

    def epochs(self) -> list[int]:
        """Epochs that have a file, in order."""
        if not self.folder.is_dir():
            return []
        names = (FILE_PATTERN.fullmatch(file.name) for file in self.folder.iterdir())
        return sorted(int(match[1]) for match in names if match)

    def file_of(self, epoch: int) -> Path:
        """The file of an epoch, whether it exists or not."""
        return self.folder / f"model{epoch:09d}.model"

    def _keep(self, epochs: set[int]) -> None:
        """Drop the files of all other epochs, and what a killed process left half-written."""
        for building in self.folder.glob(f"*{BUILDING_SUFFIX}"):
            building.unlink(missing_ok=True)
        for epoch in self.epochs():
            if epoch not in epochs:
                self.file_of(epoch).unlink(missing_ok=True)


class _Counting:
    """A file that keeps nothing but the number of bytes written to it."""

    def __init__(self) -> None:
        self.num_bytes = 0

    def write(self, content: Any) -> int:
        """Count them."""
        self.num_bytes += (size := memoryview(content).nbytes)
        return size

    def flush(self) -> None:
        """Nothing is held back."""


def saved_bytes(state: dict[str, Any]) -> int:
    """The size of a state's file, without writing it; tensors on the meta device count nothing."""
    counting = _Counting()
    torch.save(state, counting)  # type: ignore[arg-type]
    return counting.num_bytes


def read_checkpoint(file: Path, *, is_mapped: bool = False) -> dict[str, Any]:
    """Read a model file without executing anything in it.

    Args:
        file: Written by `CheckpointFolder.save`.
        is_mapped: Whether tensors are views of the mapped file, read from disk once they are used.

    Raises:
        CheckpointError: It is missing, damaged, or not one of Veer's.
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=is_mapped)
    except FileNotFoundError:
        raise CheckpointError(f"{file}: there is no such file") from None
    except UNREADABLE as error:
        raise CheckpointError(
            f"{file}: not a readable model file ({type(error).__name__}); restore it "
            "from a copy, or delete it and train again"
        ) from error
    if not isinstance(state, dict) or not {"model_state_dict", "epoch", "veer"} <= state.keys():
        raise CheckpointError(
            f"{file}: not a model file of Veer: it must hold model_state_dict, epoch and veer"
        )
    return state


def resolve_model_file(path: Path) -> Path:
    """The model file that a path means: itself, or the best epoch's in a run folder.

    Raises:
        CheckpointError: There is none.
    """
    if path.is_file():
        return path
    checkpoints = CheckpointFolder(path)
    epochs = checkpoints.epochs()
    if not epochs:
        raise CheckpointError(
            f"{path}: neither a model file nor a folder with model/model%09d.model files"
        )
    best = _best_epoch(read_checkpoint(checkpoints.file_of(epochs[-1]))["veer"]["history"])
    return checkpoints.file_of(best if best in epochs else epochs[-1])


def load_speaker_model(path: Path) -> LoadedModel:
    """Load a model file, or the best epoch of a run folder; every tensor must fit.

    Raises:
        CheckpointError: Missing, damaged, or the weights do not fit the recorded config.
    """
    file = resolve_model_file(path)
    state = read_checkpoint(file)
    try:
        config = TrialConfig.model_validate(state["veer"]["config"])
        model = build_model(config.model)
        model.load_state_dict(part_of(state["model_state_dict"], NETWORK))
    except (ValidationError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{file}: weights and config do not fit: {error}") from error
    return LoadedModel(
        model=model.eval(),
        centres_KD=state["model_state_dict"].get(f"{CLASSIFIER}weight"),
        config=config,
        epoch=state["epoch"],
        history=tuple(state["veer"]["history"]),
        speakers=tuple(state["veer"]["speakers"]),
        file=file,
    )


def load_classifier(path: Path) -> LoadedClassifier:
    """Load the classifier of a model file, or of the best epoch of a run folder, and no more.

    Raises:
        CheckpointError: Missing or damaged.
    """
    file = resolve_model_file(path)
    state = read_checkpoint(file, is_mapped=True)
    try:
        config = TrialConfig.model_validate(state["veer"]["config"])
    except ValidationError as error:
        raise CheckpointError(f"{file}: its config breaks a rule: {error}") from error
    centres_KD = state["model_state_dict"].get(f"{CLASSIFIER}weight")
    return LoadedClassifier(
        centres_KD=None if centres_KD is None else centres_KD.clone(),
        config=config,
        speakers=tuple(state["veer"]["speakers"]),
        file=file,
    )


def part_of(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights whose names begin so, without that beginning."""
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def file_sha256(file: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _best_epoch(history: list[dict[str, Any]]) -> int:
    best = min(history, key=lambda report: (report["veer_pct"], report["epoch"]), default=None)
    return 0 if best is None else int(best["epoch"])
