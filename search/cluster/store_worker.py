"""The part of a store's build that runs in a worker: a shard, and its outcome."""

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

# Seconds between two reports: one for each utterance would flood the actor.
REPORT_EVERY_S = 0.5
# Ray Data starts a shard again whenever its worker was killed, without a limit of its own: a shard
# that needs more memory than there is would kill workers forever.
MAX_STARTS = 3
ELSEWHERE = "name another folder in $VEER_CACHE"
FEWER = "build again with fewer --workers"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardOutcome:
    """How a shard ended: written, or with faults, or with an error.

    Attributes:
        number: The shard's number.
        faults: Faults of its utterances, a sentence each.
        error: Why it could not be built, with its path; empty if it was built.
        is_disk_full: Whether the error was a full disk.
    """

    number: int
    faults: tuple[str, ...] = ()
    error: str = ""
    is_disk_full: bool = False


def build_packed(row: dict[str, Any], shard_progress: Any) -> list[dict[str, bytes]]:
    """Build the shards of one row of Ray Data.

    Args:
        row: Holds in `tasks` a pickled list of `ShardTask`, compressed.
        shard_progress: Handle of the `ShardProgress` actor.

    Returns:
        The pickled `ShardOutcome` of each.
    """
    # Ray reserves one CPU for a group.
    torch.set_num_threads(1)
    # The tasks come from the driver of this build, only through Ray.
    tasks: list[ShardTask] = pickle.loads(zlib.decompress(row["tasks"]))  # noqa: S301 - see above
    return [{"outcome": pickle.dumps(try_build_shard(task, shard_progress))} for task in tasks]


def try_build_shard(task: ShardTask, shard_progress: Any) -> ShardOutcome:
    """Build a shard and report its progress; an error is part of the outcome, never raised.

    An exception would make Ray Data end the whole build, with a traceback in place of the shard's
    name; the other shards are to be built all the same.
    """
    number, path = task.location.number, task.location.path
    if (known := _known_outcome(task, shard_progress)) is not None:
        return known
    done, reported_s = 0, time.monotonic()

    def tick() -> None:
        nonlocal done, reported_s
        done += 1
        if (now_s := time.monotonic()) - reported_s >= REPORT_EVERY_S:
            reported_s = now_s
            shard_progress.record.remote(number, done)

    try:
        faults = build_shard(task, tick)
    except DiskFullError as error:
        return ShardOutcome(number=number, error=str(error), is_disk_full=True)
    except VeerError as error:
        return ShardOutcome(number=number, error=f"{path}: {error}")
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        return ShardOutcome(number=number, error=f"{path}: cannot be written: {why}; {ELSEWHERE}")
    except MemoryError:
        why = f"no memory was left to build it; {FEWER}"
        return ShardOutcome(number=number, error=f"{path}: {why}")
    except Exception:  # noqa: BLE001 - passed to the driver, which prints it
        why = f"cannot be built:\n{traceback.format_exc()}"
        return ShardOutcome(number=number, error=f"{path}: {why}")
    shard_progress.record.remote(number, done)
    return ShardOutcome(number=number, faults=faults)


def _known_outcome(task: ShardTask, shard_progress: Any) -> ShardOutcome | None:
    """Return the outcome of a shard that need not or cannot be built, else None."""
    number, path = task.location.number, task.location.path
    # First: a folder on this node's own disk would take a shard that nobody finds.
    if not (task.location.folder / PLAN).is_file():
        error = (
            f"{path}: node {socket.gethostname()} does not see this folder; $VEER_CACHE must "
            "name one that all nodes of the cluster share"
        )
        return ShardOutcome(number=number, error=error)
    # Counted by the actor, as a worker that was killed cannot count its own starts.
    num_starts = ray.get(shard_progress.begin.remote(number))
    if num_starts > 1 and path.is_file():
        # Its group was started again because of another shard.
        shard_progress.record.remote(number, task.num_rows)
        return ShardOutcome(number=number)
    if num_starts > MAX_STARTS:
        error = (
            f"{path}: its builder was killed {MAX_STARTS} times, perhaps out of memory; {FEWER}"
        )
        return ShardOutcome(number=number, error=error)
    return None
