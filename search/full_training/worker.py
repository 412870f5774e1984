"""One process of a full training, as Ray Train starts it."""

import os
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from ray.util.queue import Queue

from models.user_code import allow_code
from search.full_training.events import EventSender
from spaces.files.errors import FirstProcessError, VeerError
from trainable.config.trial_config import TrainRunConfig
from trainable.features.training_data import reopen_training_data
from trainable.machine.cache_dir import CACHE_VARIABLE
from trainable.machine.memory_share import set_compute_threads
from trainable.machine.ranks import current_ranks
from trainable.training.full import run_training


class WorkerTask(BaseModel):
    """What every process of a full training needs.

    Attributes:
        config: The run.
        opened: The corpus's lists and stores; see `reopening_keys`.
        out: The run's folder, which all nodes share.
        cache_dir: Folder of the stores, which all nodes share.
        device: `cpu` or `cuda`.
        num_threads: CPU threads of the process.
        code_root: Folder whose modules may be run; None if user code is not allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: TrainRunConfig
    opened: tuple[str, ...]
    out: Path
    cache_dir: Path
    device: str
    num_threads: int
    code_root: Path | None


def train_worker(arguments: dict[str, Any]) -> None:
    """Train as one of the processes of the initialised process group.

    The first process sends its events.

    Args:
        arguments: `task`, a `WorkerTask` as plain data, and `queue`.

    Raises:
        VeerError: As `run_training`; also sent as an event, if it would come again.
    """
    task = WorkerTask.model_validate(arguments["task"])
    queue: Queue = arguments["queue"]
    events = EventSender(queue)
    os.environ[CACHE_VARIABLE] = str(task.cache_dir)
    if task.code_root is not None:
        allow_code(task.code_root)
    set_compute_threads(task.num_threads)
    try:
        result = run_training(
            task.config,
            reopen_training_data(task.config.corpus, task.opened),
            task.out,
            # Ray Train has chosen this process's GPU.
            device=torch.device(task.device),
            watcher=events if current_ranks().is_first else None,
        )
    except FirstProcessError:
        raise
    except VeerError as error:
        events.failed(error)
        raise
    if current_ranks().is_first:
        events.result(result)
