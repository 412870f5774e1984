"""Model files and the folder that keeps them.

A file is named `model%09d.model` after its epoch and laid out as voxceleb_trainer's: a dict with
`model_state_dict`, `optimizer_state_dict`, `scheduler_state_dict`, `epoch`, read with
`weights_only=True`, so nothing in it is executed. `veer` holds config, speakers and history.

Beside each file lies its SHA-256 (`digest`), with which it is compared whenever it is read. A file
without one, as a person may bring it, is read as it is.
"""

import os
from pathlib import Path
from typing import Any, Protocol

import torch

from spaces.files.digest import digest_path, write_digest
from spaces.files.disk import translate_disk_full
from spaces.files.errors import CheckpointError, DamagedError
from trainable.checkpoints.model_file import FILE_PATTERN, does_not_fit, read_checkpoint

MODEL_FOLDER = "model"
FILE_SUFFIX, BUILDING_SUFFIX = ".model", ".building"
SET_ASIDE = ".damaged"


class Saveable(Protocol):
    """What is saved and restored here: the trainer, of which this folder knows no more.

    Attributes:
        epoch: Finished epochs.
    """

    epoch: int

    def state(self) -> dict[str, Any]:
        """Everything that a restored run needs; `veer.history` has a mapping an epoch."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over a state that `state` gave."""
        ...


class CheckpointFolder:
    """The checkpoints of one run: the best epoch's and the last one's.

    Args:
        folder: The run's folder; files go to its `model` folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / MODEL_FOLDER

    def save(self, trainer: Saveable) -> Path:
        """Write the trainer's state, then drop what is neither best nor last.

        The file appears under its name only when complete, and after its digest.

        Raises:
            DiskFullError: There is no room; the files of earlier epochs stand.
        """
        file = self.file_of(trainer.epoch)
        state = trainer.state()
        with translate_disk_full(file, lambda: saved_bytes(state)):
            self._write(file, state)
        self._keep({trainer.epoch, _best_epoch(state["veer"]["history"])})
        return file

    def _write(self, file: Path, state: dict[str, Any]) -> None:
        """Write a file under another name, and rename it once it is on disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        building = file.with_suffix(BUILDING_SUFFIX)
        try:
            building.unlink(missing_ok=True)  # of a process that died, or a link to anything
            with building.open("xb") as out:
                torch.save(state, out)
                out.flush()
                os.fsync(out.fileno())
            write_digest(file, building)
            building.replace(file)
        except BaseException:
            if not file.exists():
                digest_path(file).unlink(missing_ok=True)
            raise
        finally:
            building.unlink(missing_ok=True)

    def restore(self, trainer: Saveable) -> list[str]:
        """Load the newest whole checkpoint into a trainer, if there is one.

        A damaged one is set aside as `*.damaged`, of which the last alone is kept; the epochs
        since the one that is loaded are then trained again, and come out as they did.

        Returns:
            What was damaged and passed over, a sentence each; `trainer.epoch` tells what was
            loaded.

        Raises:
            CheckpointError: One cannot be opened, or is whole but does not fit.
            TrainingError: It belongs to another config or other speakers.
        """
        damages: list[str] = []
        for epoch in reversed(self.epochs()):
            file = self.file_of(epoch)
            try:
                state = read_checkpoint(file)
            except DamagedError as damage:
                damages.append(f"{damage}; it was set aside as {self._set_aside(file).name}")
                continue
            with does_not_fit(file):
                trainer.load_state(state)
            break
        then = f"the run goes on from epoch {trainer.epoch}" if trainer.epoch else "it begins anew"
        return [f"{damage}; {then}" for damage in damages]

    def delete_weights(self) -> None:
        """Drop every model file, also one that was set aside."""
        self._keep(set())
        for file in self.folder.glob(f"*{SET_ASIDE}"):
            file.unlink()

    def delete_half_written(self) -> None:
        """Drop what a process left that was killed while it saved."""
        for building in self.folder.glob(f"*{BUILDING_SUFFIX}"):
            building.unlink(missing_ok=True)
            file = building.with_suffix(FILE_SUFFIX)
            if not file.exists():
                digest_path(file).unlink(missing_ok=True)

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
        self.delete_half_written()
        for epoch in self.epochs():
            if epoch not in epochs:
                self.file_of(epoch).unlink(missing_ok=True)
                digest_path(self.file_of(epoch)).unlink(missing_ok=True)

    def _set_aside(self, file: Path) -> Path:
        for earlier in self.folder.glob(f"*{SET_ASIDE}"):
            earlier.unlink()
        aside = file.rename(file.with_name(file.name + SET_ASIDE))
        digest_path(file).unlink(missing_ok=True)
        return aside


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


def resolve_model_file(path: Path) -> Path:
    """The model file that a path means: itself, or the best epoch's in a run folder.

    Raises:
        CheckpointError: There is none, or the newest one, which knows which is best, is damaged.
    """
    if path.is_file():
        return path
    checkpoints = CheckpointFolder(path)
    epochs = checkpoints.epochs()
    if not epochs:
        raise CheckpointError(
            f"{path}: neither a model file nor a folder with model/model%09d.model files"
        )
    newest = checkpoints.file_of(epochs[-1])
    best = _best_epoch(read_checkpoint(newest)["veer"]["history"])
    file = checkpoints.file_of(best)
    if best not in epochs:
        raise CheckpointError(
            f"{file}: the best epoch's file is missing; restore it from a copy, or name another "
            f"epoch's file itself, such as {newest}"
        )
    return file


def _best_epoch(history: list[dict[str, Any]]) -> int:
    best = min(history, key=lambda report: (report["veer_pct"], report["epoch"]), default=None)
    return 0 if best is None else int(best["epoch"])
