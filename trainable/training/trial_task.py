"""The task of a worker, and where it runs."""

import os
import platform
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from models.fingerprint import model_fingerprint
from spaces.files.locations import mirror_folder, mirror_path
from trainable.config.eval_plan import EVERY_EPOCH, EvalPlan
from trainable.corpus.corpus import CorpusConfig
from trainable.features.crop_bank import TargetsConfig
from trainable.machine.engine import EngineConfig
from trainable.machine.hardware import describe_gpu_software, describe_hardware
from trainable.training.shared_inputs import SharedInputs
from trainable.training.trainer import Trainer


class TrialTask(BaseModel):
    """The task of a worker. It must be small, since Ray copies it into every result.

    Attributes:
        trial: Number of the trial.
        config: Canonical form of its `TrialConfig`.
        folder: Its own folder, for checkpoints.
        corpus: The corpus.
        cache_dir: Folder of the stores.
        teacher: Model file or file of embeddings, None where no trial needs one.
        targets: Whether a network teacher's targets are stored, and for how many crops.
        targets_device: Kind of device on which they were computed.
        device: `auto` uses CUDA if the trial was given a GPU.
        num_threads: CPU threads to compute with.
        num_cpus: CPUs that Ray reserves for the trial.
        num_gpus: GPUs that Ray reserves for the trial.
        context_bytes: GPU memory of its share that PyTorch does not allocate (CUDA context).
        step_bytes: GPU memory that its steps need, margin included; 0 if not measured.
        opened: The corpus's stores of log-mels (`reopening_keys`); empty finds them by the audio.
        num_known: Epochs that the journal has; later epochs of a checkpoint are reported first.
        code_root: Folder whose modules may be run; None if user code is not allowed.
        engine: Precision, compilation, determinism.
        avoided: Ray's identifiers of the nodes that the trial must not run on.
        versions: Package versions that the node must have; empty if not checked.
        eval_plan: The epochs that are evaluated.
        storage_uri: Its folder in object storage, None where `folder` is its only one.
        cache_uri: The folder of the stores in object storage, None where `cache_dir` is.
        inputs: Lists and teacher in object storage, None where all nodes see those of the driver.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trial: int
    config: dict[str, Any]
    folder: Path
    corpus: CorpusConfig
    cache_dir: Path
    teacher: Path | None
    targets: TargetsConfig = TargetsConfig()
    targets_device: str = "cpu"
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
    avoided: tuple[str, ...] = ()
    versions: dict[str, str] = {}
    eval_plan: EvalPlan = EVERY_EPOCH
    storage_uri: str | None = None
    cache_uri: str | None = None
    inputs: SharedInputs | None = None

    def on_this_node(self) -> "TrialTask":
        """Return the task with the paths of this machine; fetches what all trials need.

        Raises:
            StorageError: The store cannot be reached.
            ConfigError: The folder for working copies cannot be made.
        """
        update: dict[str, Any] = {}
        if self.storage_uri is not None:
            update["folder"] = mirror_path(self.storage_uri)
        if self.cache_uri is not None:
            cache = mirror_folder(self.cache_uri)
            # The first two are digests of the lists, see `reopening_keys`.
            stores = [str(cache / Path(store).name) for store in self.opened[2:]]
            update |= {"cache_dir": cache, "opened": (*self.opened[:2], *stores)}
        if self.inputs is not None:
            update["corpus"], update["teacher"] = self.inputs.fetched(self.corpus)
        return self.model_copy(update=update)


def placement_of(task: TrialTask, trainer: Trainer) -> dict[str, Any]:
    """Return where a trial runs, with the fields of the journal's `placed`."""
    device, hardware = trainer.device, describe_hardware()
    if device.type == "cuda":
        hardware |= describe_gpu_software()
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "num_threads": task.num_threads,
        "num_cpus": task.num_cpus,
        "num_gpus": task.num_gpus,
        "hardware": hardware,
        # Of the trainer that was built: the coordinator compares them with the suggested config.
        "config_hash": trainer.config.config_hash(),
        "model_hash": model_fingerprint(trainer.model),
    }
