"""The Ray Tune trainable around the one training loop.

A worker process keeps corpus and teacher between trials, so a trial of a reused worker starts at
once. Checkpoints lie in the run folder, not in Ray's: a trial that Ray starts again, and one of a
resumed search, goes on from there.
"""

import os
import platform
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from ray import tune

from models.fingerprint import model_fingerprint
from models.user_code import allow_code
from spaces.files.disk import is_disk_full, translate_disk_full
from spaces.files.errors import BusyError, DivergedError, TrainingError, VeerError
from spaces.files.yaml_file import write_yaml
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import CorpusConfig
from trainable.features.crop_bank import CropBank, TargetsConfig
from trainable.features.resident import resident_budget
from trainable.features.training_data import TrainingData, load_training_data, reopen_training_data
from trainable.loss.teacher_output import AnyTeacher
from trainable.machine.device_errors import device_error, one_line_message
from trainable.machine.engine import EngineConfig
from trainable.machine.hardware import describe_hardware
from trainable.machine.memory_share import (
    OUT_OF_MEMORY,
    cap_memory,
    is_out_of_memory,
    release_memory,
    set_compute_threads,
)
from trainable.machine.trial_lock import TrialLock
from trainable.teachers.any_teacher import open_teacher
from trainable.training.epoch_report import EpochReport
from trainable.training.saved_epoch import run_saved_epoch
from trainable.training.trainer import Trainer

# An outcome that says nothing of the trial: there was no room to write.
DISK_FULL = "disk_full"
# Keys of a result that says that the trial cannot go on.
OUTCOME = "outcome"
REASON = "reason"
# Keys of the first result of a trial in a process: where it runs, and the checkpoints that were
# damaged, a sentence each.
PLACEMENT = "place"
DAMAGED = "damaged"
CONFIG_FILE = "config.yaml"


class TrialTask(BaseModel):
    """What a worker is told: small, since Ray copies it into every result.

    Attributes:
        trial: Number of the trial.
        config: Canonical form of its `TrialConfig`.
        folder: Its own folder, for checkpoints.
        corpus: The corpus.
        cache_dir: Where log-mels are kept.
        teacher: Model file or file of embeddings, None where no trial needs one.
        targets: How a teacher that is a network is asked.
        device: `auto` takes CUDA where the trial was given a GPU.
        num_threads: CPU threads to compute with.
        num_cpus: CPUs that Ray reserves for the trial.
        num_gpus: GPUs that Ray reserves for the trial.
        context_bytes: GPU memory of its share that is not PyTorch's to allocate.
        step_bytes: GPU memory that its steps need, margin included; 0 where nobody measured it.
        opened: Where the corpus's log-mels are (`reopening_keys`); empty opens them by the audio.
        num_known: Epochs that the journal has; what a checkpoint has beyond them is told first.
        code_root: Folder whose modules may be run, None where that was not allowed.
        engine: How the trial is computed.
        versions: What the node must have; none where it is not asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trial: int
    config: dict[str, Any]
    folder: Path
    corpus: CorpusConfig
    cache_dir: Path
    teacher: Path | None
    targets: TargetsConfig = TargetsConfig()
    device: str
    num_threads: int
    num_cpus: float = 1.0
    num_gpus: float
    context_bytes: int = 0
    step_bytes: int = 0
    opened: tuple[str, ...] = ()
    num_known: int = 0
    code_root: Path | None = None
    engine: EngineConfig = EngineConfig()
    versions: dict[str, str] = {}


class StudentTrial(tune.Trainable):
    """One trial, reporting every epoch.

    A step returns an epoch's report with `num_params`, or `outcome` and `reason` where the trial
    cannot go on: for a reason that another try would meet again, or for want of memory or of
    disk. Whatever else goes wrong is raised, and ends the process: the driver decides what
    follows. A GPU that failed is raised as `DeviceError`.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """What the trial's task asks for; workers are reused by trials that ask for the same."""
        return tune.PlacementGroupFactory([{"CPU": config["num_cpus"], "GPU": config["num_gpus"]}])

    def setup(self, config: dict[str, Any]) -> None:
        """Notes what to do; the work is left to the first step, whose errors are told."""
        self._since_s = time.monotonic()
        self._task = TrialTask.model_validate(config)
        self._trainer: Trainer | None = None
        self._news: dict[str, Any] = {}
        self._lock = TrialLock()
        self._untold: list[EpochReport] = []

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Turns this worker to another trial; the former one's memory is given back."""
        self._lock.release()
        self.setup(new_config)
        if self._task.engine.compile:
            # After eight networks PyTorch would compile no further one in this process.
            torch.compiler.reset()
        release_memory()
        return True

    def step(self) -> dict[str, Any]:
        """Trains an epoch; right after a restart, reports the last one that was stored."""
        try:
            result = self._attempt()
        except BaseException:
            self._lock.release()
            raise
        if OUTCOME in result:
            self._lock.release()
        return result

    def _attempt(self) -> dict[str, Any]:
        try:
            return self._report()
        except DivergedError as error:
            return {OUTCOME: "diverged", REASON: str(error)}
        except Exception as error:
            found = _outcome(error)
            if found is None:
                raise
            outcome, reason = found
        # Outside of the handler, where the error no longer holds the step's tensors.
        self._trainer = None
        release_memory()
        return {OUTCOME: outcome, REASON: reason}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Nothing: the checkpoints of every epoch lie in the run folder."""
        del checkpoint_dir
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing: the first step restores from the run folder."""

    def cleanup(self) -> None:
        """Drops the model."""
        self._trainer = None
        self._lock.release()

    def _report(self) -> dict[str, Any]:
        with translate_disk_full(self._task.folder):
            self._task.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(self._task.folder)
        checkpoints = CheckpointFolder(self._task.folder)
        if self._trainer is None:
            self._trainer = build_trainer(self._task)
            write_yaml(self._task.folder / CONFIG_FILE, self._trainer.config.canonical())
            damaged = checkpoints.restore(self._trainer)
            self._news = {PLACEMENT: placement_of(self._task, self._trainer), DAMAGED: damaged}
            history = self._trainer.history
            self._untold = history[self._task.num_known :] or history[-1:]
        if self._untold:
            return self._told(self._untold.pop(0))
        return self._told(run_saved_epoch(self._trainer, self._task.folder))

    def _told(self, report: EpochReport) -> dict[str, Any]:
        """An epoch as Ray is told of it, and with the first what else there is to say."""
        assert self._trainer is not None  # noqa: S101 - `_report` has built it
        news, self._news = self._news, {}
        if PLACEMENT in news:
            news[PLACEMENT]["had_s"] = time.monotonic() - self._since_s
        return report.as_dict() | {"num_params": self._trainer.num_params} | news


def _outcome(error: Exception) -> tuple[str, str] | None:
    """Outcome and reason of a trial that met an error, None where it says nothing of them.

    Raises:
        DeviceError: The error came of one, and the process must not be used again.
    """
    if is_disk_full(error):
        return DISK_FULL, str(error)
    if (broken := device_error(error)) is not None:
        raise broken from error
    if isinstance(error, VeerError) and not isinstance(error, BusyError):
        return "failed", str(error)
    if is_out_of_memory(error):
        return OUT_OF_MEMORY, one_line_message(error)
    return None


def build_trainer(task: TrialTask) -> Trainer:
    """Makes a trial's trainer, with this process's copy of corpus and teacher.

    Raises:
        VeerError: Corpus, teacher, config or device cannot be used.
    """
    if task.code_root is not None:
        allow_code(task.code_root)
    set_compute_threads(task.num_threads)
    device = trial_device(task.device, task.num_gpus)
    cap_memory(device, task.num_gpus, task.context_bytes)
    config = TrialConfig.model_validate(task.config)
    corpus_json = task.corpus.model_dump_json()
    data = _training_data(corpus_json, task.cache_dir, task.opened)
    teacher = None
    if config.loss.distill_weight > 0 and task.teacher is not None:
        bank = task.targets.bank(config.training.crop_frames)
        teacher = _teacher(task.teacher, data, task.cache_dir, bank)
    return Trainer(
        config,
        data,
        teacher=teacher,
        device=device,
        engine=task.engine,
        resident_bytes=resident_budget(device, task.step_bytes),
    )


def trial_device(device: str, num_gpus: float) -> torch.device:
    """The device of a trial that was given so many GPUs.

    Raises:
        TrainingError: A GPU is to be used, but CUDA cannot be.
    """
    if device == "cpu" or (device == "auto" and num_gpus == 0):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise TrainingError(
            f"a trial was given {num_gpus:g} GPUs, but torch {torch.__version__} cannot use CUDA "
            "on its node; install a torch build with CUDA there, or set device: cpu"
        )
    return torch.device("cuda")


def placement_of(task: TrialTask, trainer: Trainer) -> dict[str, Any]:
    """Where a trial runs, as the journal's `placed` has it."""
    device = trainer.device
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "num_threads": task.num_threads,
        "hardware": describe_hardware(),
        # Of what was built: the coordinator compares it with what was asked for.
        "config_hash": trainer.config.config_hash(),
        "model_hash": model_fingerprint(trainer.model),
    }


@lru_cache(maxsize=1)
def _training_data(corpus_json: str, cache_dir: Path, opened: tuple[str, ...]) -> TrainingData:
    config = CorpusConfig.model_validate_json(corpus_json)
    if opened:
        return reopen_training_data(config, opened)
    return load_training_data(config, cache_dir=cache_dir)


@lru_cache(maxsize=1)
def _teacher(file: Path, data: TrainingData, cache_dir: Path, bank: CropBank | None) -> AnyTeacher:
    return open_teacher(file, data, bank, cache_dir=cache_dir)
