"""The Ray Tune trainable that runs the training loop.

A worker process keeps corpus and teacher between trials, so a trial in a reused worker starts
quickly. Checkpoints are in the run folder, not in Ray's storage: a trial that Ray restarts and a
trial of a resumed search continue from them.
"""

import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from ray import tune

from models.user_code import allow_code
from spaces.files.disk import is_disk_full, translate_disk_full
from spaces.files.errors import BusyError, DivergedError, StorageError, VeerError
from spaces.files.yaml_file import write_yaml
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import CorpusConfig
from trainable.features.crop_bank import CropBank
from trainable.features.resident import resident_budget
from trainable.features.training_data import TrainingData, load_training_data, reopen_training_data
from trainable.loss.teacher_output import AnyTeacher
from trainable.machine.device_errors import device_error, one_line_message
from trainable.machine.hardware import (
    trial_device,
)
from trainable.machine.memory_share import (
    OUT_OF_MEMORY,
    cap_memory,
    is_crowded,
    is_out_of_memory,
    release_memory,
    set_compute_threads,
    spare_modules,
)
from trainable.machine.trial_lock import TrialLock
from trainable.report.epoch_report import EpochReport
from trainable.teachers.any_teacher import open_teacher
from trainable.training.saved_epoch import run_saved_epoch, why_trained_inverted
from trainable.training.trainer import Trainer
from trainable.training.trial_copy import TrialCopy
from trainable.training.trial_task import TrialTask, placement_of

# Outcomes that are no fault of the trial: a full disk, a model worse than chance (swapped labels).
DISK_FULL, INVERTED = "disk_full", "inverted"
# Keys of a result that reports that the trial cannot continue.
OUTCOME = "outcome"
REASON = "reason"
# Keys of the first result of a trial in a process: where it runs, and a message for each damaged
# checkpoint. CROWDED is in the first one after a wait for memory of a GPU: the error.
PLACEMENT = "place"
DAMAGED = "damaged"
CROWDED = "crowded"
# A neighbour that needs more than its share runs out of memory itself, and ends soon.
CROWDED_WAIT_S = 60.0
CONFIG_FILE = "config.yaml"
NODE_ID_LABEL = "ray.io/node-id"  # Ray gives every node this label


class StudentTrial(tune.Trainable):
    """One trial, reporting every epoch.

    A step returns an epoch's report with `num_params`. If the trial cannot continue, because a
    new attempt would fail in the same way or because memory or disk space is missing, the step
    returns `outcome` and `reason`. Any other error is raised and ends the process; the driver
    decides what happens next. A failed GPU raises `DeviceError`.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Return the resources of the task; Ray reuses workers only for equal requests."""
        share = {"CPU": config["num_cpus"], "GPU": config["num_gpus"]}
        if not config["avoided"]:
            return tune.PlacementGroupFactory([share])
        elsewhere = {NODE_ID_LABEL: f"!in({','.join(config['avoided'])})"}
        return tune.PlacementGroupFactory([share], bundle_label_selector=[elsewhere])

    def setup(self, config: dict[str, Any]) -> None:
        """Store the task; the trainer is built by a step, as only that can return an outcome."""
        spare_modules()
        self._setup_s = time.monotonic()
        self._task = TrialTask.model_validate(config)
        self._trainer: Trainer | None = None
        self._first_fields: dict[str, Any] = {}
        self._lock = TrialLock()
        self._unreported: list[EpochReport] = []
        self._num_known = self._task.num_known
        self._crowded: str | None = None
        uri = self._task.storage_uri
        self._copy = None if uri is None else TrialCopy(uri)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepare this worker for another trial, and free the memory of the previous one."""
        self._leave()
        self.setup(new_config)
        if self._task.engine.compile:
            # By default PyTorch compiles at most eight variants of a function per process
            # (torch._dynamo.config.recompile_limit), and then silently runs uncompiled.
            torch.compiler.reset()
        release_memory()
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch; right after a restart, return stored epochs that were not reported."""
        try:
            result = self._attempt()
        except BaseException:
            self._lock.release()
            raise
        if OUTCOME in result:
            self._leave()
        return result

    def _leave(self) -> None:
        """Let another process train the trial, once its last files are in object storage."""
        if self._copy is not None:
            self._copy.leave()
        self._lock.release()

    def _attempt(self) -> dict[str, Any]:
        try:
            return self._next_result()
        except DivergedError as error:
            return {OUTCOME: "diverged", REASON: str(error)}
        except Exception as error:
            found = _outcome(error)
            if found is None:
                raise
            outcome, reason = found
            is_full = outcome == OUT_OF_MEMORY and self._is_crowded()
        # After the except block, since the traceback keeps the tensors of the step alive.
        self._trainer = None
        release_memory()
        if is_full and self._crowded is None:
            # A larger share would be kept for all of the trial, which did not need it.
            self._crowded = reason
            time.sleep(CROWDED_WAIT_S)
            return self._attempt()
        return {OUTCOME: outcome, REASON: reason}

    def _is_crowded(self) -> bool:
        task = self._task
        uses_gpu = task.device != "cpu" and task.num_gpus > 0
        return uses_gpu and is_crowded(task.num_gpus, task.context_bytes)

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Do nothing: the loop saves every epoch to the run folder itself."""
        del checkpoint_dir
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Do nothing: the first step restores from the run folder."""

    def cleanup(self) -> None:
        """Drop the model and release the trial's lock."""
        self._trainer = None
        self._leave()

    def _next_result(self) -> dict[str, Any]:
        if self._trainer is None:
            self._task = self._task.on_this_node()
        with translate_disk_full(self._task.folder):
            self._task.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(self._task.folder)
        checkpoints = CheckpointFolder(self._task.folder)
        if self._trainer is None:
            if self._copy is not None:
                self._copy.fetch()
            self._trainer = build_trainer(self._task)
            write_yaml(self._task.folder / CONFIG_FILE, self._trainer.config.canonical())
            damaged = checkpoints.restore(self._trainer)
            placement = placement_of(self._task, self._trainer)
            self._first_fields = {PLACEMENT: placement, DAMAGED: damaged, CROWDED: self._crowded}
            history = self._trainer.history
            # Without a new epoch the last one is reported again: Ray needs a result per step, and
            # a trial that had trained to its end has no epoch left to train.
            self._unreported = history[self._num_known :] or history[-1:]
        stored, trainer = self._unreported, self._trainer
        if stored:
            report = stored.pop(0)
        else:
            report = run_saved_epoch(trainer, self._task.folder)
            if self._copy is not None:
                self._copy.request()
            self._crowded = None
        if (reason := why_trained_inverted(trainer, report.epoch)) is not None:
            return {OUTCOME: INVERTED, REASON: reason}
        return self._as_result(report)

    def _as_result(self, report: EpochReport) -> dict[str, Any]:
        """Return an epoch as a result for Ray; the first has placement and damages too."""
        assert self._trainer is not None  # noqa: S101 - `_next_result` has built it
        self._num_known = max(self._num_known, report.epoch)
        first_fields, self._first_fields = self._first_fields, {}
        if PLACEMENT in first_fields:
            first_fields[PLACEMENT]["had_s"] = time.monotonic() - self._setup_s
        return report.as_dict() | {"num_params": self._trainer.num_params} | first_fields


def _outcome(error: Exception) -> tuple[str, str] | None:
    """Return outcome and reason of a trial from its error; None if the error must be raised.

    Raises:
        DeviceError: The device failed, so the process must not be used again.
    """
    if is_disk_full(error):
        return DISK_FULL, str(error)
    # Before the others: after a failed device no further call in this process works.
    if (broken := device_error(error)) is not None:
        raise broken from error
    # Neither a lock that another process holds nor object storage says anything about the trial.
    if isinstance(error, VeerError) and not isinstance(error, BusyError | StorageError):
        return "failed", str(error)
    if is_out_of_memory(error):
        return OUT_OF_MEMORY, one_line_message(error)
    return None


def build_trainer(task: TrialTask) -> Trainer:
    """Build a trial's trainer, with the corpus and teacher that this process keeps.

    Raises:
        VeerError: Corpus, teacher, config or device cannot be used.
    """
    if task.code_root is not None:
        allow_code(task.code_root)
    # In every trial: a reused worker still has the threads and the cap of the earlier one.
    set_compute_threads(task.num_threads)
    device = trial_device(task.device, task.num_gpus)
    cap_memory(device, task.num_gpus, task.context_bytes)
    config = TrialConfig.model_validate(task.config)
    corpus_json = task.corpus.model_dump_json()
    data = _training_data(corpus_json, task.cache_dir, task.opened)
    teacher = None
    if config.loss.distill_weight > 0 and task.teacher is not None:
        bank = task.targets.bank(config.training.crop_frames, task.targets_device)
        teacher = _teacher(task.teacher, data, task.cache_dir, bank)
    room = resident_budget(device, task.step_bytes)
    trainer = Trainer(
        config, data, teacher=teacher, device=device, engine=task.engine, resident_bytes=room
    )
    trainer.eval_plan = task.eval_plan
    return trainer


# Size 1: all trials of a search share corpus and teacher, so a second one would only take memory.
@lru_cache(maxsize=1)
def _training_data(corpus_json: str, cache_dir: Path, opened: tuple[str, ...]) -> TrainingData:
    config = CorpusConfig.model_validate_json(corpus_json)
    if opened:
        return reopen_training_data(config, opened)
    return load_training_data(config, cache_dir=cache_dir)


@lru_cache(maxsize=1)
def _teacher(file: Path, data: TrainingData, cache_dir: Path, bank: CropBank | None) -> AnyTeacher:
    return open_teacher(file, data, bank, cache_dir=cache_dir)
