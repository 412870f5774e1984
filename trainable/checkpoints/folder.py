"""The folder of a run's model files: save, restore, and find the best one.

A file is named `model%09d.model` after its epoch and has the layout of voxceleb_trainer: a dict
with `model_state_dict`, `optimizer_state_dict`, `scheduler_state_dict` and `epoch`, read with
`weights_only=True`, so nothing in it is executed. `veer` holds config, speakers and history.

Next to each file is its SHA-256 (`digest`), which is verified whenever the file is read. A file
without a digest, such as one that a user copied, is read without this check.
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
    """An object that is saved and restored: the trainer, which this module must not import.

    Attributes:
        epoch: Finished epochs.
    """

    epoch: int

    def state(self) -> dict[str, Any]:
        """Return everything that a restored run needs; `veer.history` has a mapping per epoch."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Load a state that `state` returned."""
        ...


class CheckpointFolder:
    """The checkpoints of one run: those of the best and the last epoch.

    Args:
        folder: The run's folder; the files are in its folder `model`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / MODEL_FOLDER

    def save(self, trainer: Saveable) -> Path:
        """Write the trainer's state, then delete all epochs but the best and the last.

        The file gets its name only when it is complete, and after its digest is written.

        Raises:
            DiskFullError: The disk is full; the files of earlier epochs are unchanged.
        """
        file = self.file_of(trainer.epoch)
        state = trainer.state()
        with translate_disk_full(file, lambda: saved_bytes(state)):
            write_model_file(file, state)
        # Only now: until the new file is on disk, a crash needs the earlier ones.
        self._keep({trainer.epoch, _best_epoch(state["veer"]["history"])})
        return file

    def restore(self, trainer: Saveable) -> list[str]:
        """Load the newest undamaged checkpoint into a trainer, if there is one.

        A damaged file is renamed to `*.damaged`; only the last of these is kept. Epochs after the
        loaded one are trained again, with the same results.

        Returns:
            A message for each damaged file; `trainer.epoch` is the epoch that was loaded.

        Raises:
            CheckpointError: A file cannot be opened, or is undamaged but does not fit.
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
            # No older file is tried: one of this run would not fit either.
            with does_not_fit(file):
                trainer.load_state(state)
            break
        epoch = trainer.epoch
        then = f"the run continues from epoch {epoch}" if epoch else "the run starts again"
        return [f"{damage}; {then}" for damage in damages]

    def delete_weights(self) -> None:
        """Delete every model file, also one that was set aside as damaged."""
        self._keep(set())
        for file in self.folder.glob(f"*{SET_ASIDE}"):
            file.unlink()

    def delete_half_written(self) -> None:
        """Delete what a process left that was killed while it saved."""
        for building in self.folder.glob(f"*{BUILDING_SUFFIX}"):
            building.unlink(missing_ok=True)
            file = building.with_suffix(FILE_SUFFIX)
            if not file.exists():
                digest_path(file).unlink(missing_ok=True)

    def epochs(self) -> list[int]:
        """Return the epochs that have a file, in order."""
        if not self.folder.is_dir():
            return []
        names = (FILE_PATTERN.fullmatch(file.name) for file in self.folder.iterdir())
        return sorted(int(match[1]) for match in names if match)

    def file_of(self, epoch: int) -> Path:
        """Return the file of an epoch, whether it exists or not."""
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


def write_model_file(file: Path, state: dict[str, Any]) -> None:
    """Write a model file and its digest under a temporary name; rename it once it is on disk."""
    file.parent.mkdir(parents=True, exist_ok=True)
    building = file.with_suffix(BUILDING_SUFFIX)
    try:
        building.unlink(missing_ok=True)  # left by a killed process, or a planted link
        with building.open("xb") as out:
            torch.save(state, out)
            # On disk before the rename: a power cut could leave an empty file with this name.
            out.flush()
            os.fsync(out.fileno())
        write_digest(file, building)
        building.replace(file)
    except BaseException:
        # A digest without its file would make another file of that name look damaged.
        if not file.exists():
            digest_path(file).unlink(missing_ok=True)
        raise
    finally:
        building.unlink(missing_ok=True)


class _ByteCounter:
    """A file object that only counts the bytes written to it."""

    def __init__(self) -> None:
        self.num_bytes = 0

    def write(self, content: Any) -> int:
        """Add the size of the content."""
        self.num_bytes += (size := memoryview(content).nbytes)
        return size

    def flush(self) -> None:
        """Do nothing: no bytes are buffered."""


def saved_bytes(state: dict[str, Any]) -> int:
    """Return the size of a state's file without writing it; meta tensors count 0 bytes."""
    counter = _ByteCounter()
    torch.save(state, counter)  # type: ignore[arg-type]
    return counter.num_bytes


def resolve_model_file(path: Path) -> Path:
    """Return the path itself if it is a file, else the best epoch's file of the run folder.

    Raises:
        CheckpointError: There is none, or the newest file, whose history has the best epoch, is
            damaged.
    """
    if path.is_file():
        return path
    checkpoints = CheckpointFolder(path)
    epochs = checkpoints.epochs()
    if not epochs:
        if not path.exists():
            raise CheckpointError(f"{path}: there is no such file or folder")
        raise CheckpointError(
            f"{path}: neither a model file nor a folder with model/model%09d.model files"
        )
    # Every file has the history up to its own epoch, so the newest knows the best one.
    newest = checkpoints.file_of(epochs[-1])
    best = _best_epoch(read_checkpoint(newest)["veer"]["history"])
    if not best:
        raise CheckpointError(
            f"{path}: no epoch of this run was evaluated yet, so none is the best; continue it, "
            f"or name an epoch's file itself, such as {newest}"
        )
    file = checkpoints.file_of(best)
    if best not in epochs:
        raise CheckpointError(
            f"{file}: the best epoch's file is missing; restore it from a copy, or name another "
            f"epoch's file itself, such as {newest}"
        )
    return file


def _best_epoch(history: list[dict[str, Any]]) -> int:
    """Return the epoch with the lowest VEER, the earlier one of equals; 0 without a VEER."""
    measured = ((each["veer_pct"], each["epoch"]) for each in history)
    _, best = min((pair for pair in measured if pair[0] is not None), default=(None, 0))
    return int(best)
