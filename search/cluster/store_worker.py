"""What a worker does with one shard."""

import os
import pickle
import socket
import time
import traceback
import zlib
from dataclasses import dataclass
from typing import Any

import ray
import torch

from spaces.files.errors import DiskFullError, VeerError
from trainable.store.plan import PLAN
from trainable.store.tasks import ShardTask, build_shard

TELL_EVERY_S = 0.5
# Ray Data begins a shard anew whenever its worker was killed, for ever.
MAX_BEGINNINGS = 3
ELSEWHERE = "name another folder in $VEER_CACHE"
FEWER = "build again with fewer --workers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a shard ended: written, or with faults, or with an error.

    Attributes:
        number: Of the shard.
        faults: What is wrong with its utterances.
        error: What kept it from being built, naming it; empty if nothing did.
        is_disk_full: Whether that was a full disk.
    """

    number: int
    faults: tuple[str, ...] = ()
    error: str = ""
    is_disk_full: bool = False


def build_packed(row: dict[str, Any], ticker: Any) -> dict[str, bytes]:
    """Build the shard of a row of Ray Data's.

    Args:
        row: Its `task` is a pickled `ShardTask`, compressed.
        ticker: The actor to tell.

    Returns:
        The pickled `Outcome`.
    """
    torch.set_num_threads(1)
    # From the process that builds, through Ray alone.
    task: ShardTask = pickle.loads(zlib.decompress(row["task"]))  # noqa: S301 - see above
    return {"outcome": pickle.dumps(built(task, ticker))}


def built(task: ShardTask, ticker: Any) -> Outcome:
    """Build a shard, telling the ticker twice a second; nothing is raised."""
    number, path = task.location.number, task.location.path
    if not (task.location.folder / PLAN).is_file():
        error = (
            f"{path}: node {socket.gethostname()} does not see this folder; $VEER_CACHE must "
            "name one that all nodes of the cluster share"
        )
        return Outcome(number=number, error=error)
    if ray.get(ticker.begin.remote(number)) > MAX_BEGINNINGS:
        error = (
            f"{path}: what built it was killed {MAX_BEGINNINGS} times, perhaps for want of "
            f"memory; {FEWER}"
        )
        return Outcome(number=number, error=error)
    done, told_s = 0, time.monotonic()

    def tick() -> None:
        nonlocal done, told_s
        done += 1
        if (now_s := time.monotonic()) - told_s >= TELL_EVERY_S:
            told_s = now_s
            ticker.tell.remote(number, done)

    try:
        faults = build_shard(task, tick)
    except DiskFullError as error:
        return Outcome(number=number, error=str(error), is_disk_full=True)
    except VeerError as error:
        return Outcome(number=number, error=f"{path}: {error}")
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        return Outcome(number=number, error=f"{path}: cannot be written: {why}; {ELSEWHERE}")
    except MemoryError:
        return Outcome(number=number, error=f"{path}: no memory was left to build it; {FEWER}")
    except Exception:  # noqa: BLE001 - told to the driver, which names the shard
        return Outcome(number=number, error=f"{path}: cannot be built:\n{traceback.format_exc()}")
    ticker.tell.remote(number, done)
    return Outcome(number=number, faults=faults)
