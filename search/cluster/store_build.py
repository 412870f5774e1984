"""Stores built through Ray Data: a task builds a shard on a CPU, or several shards on a GPU.

    driver                          worker, one CPU, and a GPU where the task may use one
      groups, a block each   ---->  build_shard -> a shard in the store's folder
      faults and errors      <----  outcome
      progress               <----  ShardProgress, an actor: utterances done of each shard

The code that builds a shard does not depend on Ray (`trainable.store.tasks`). The driver holds the
store's lock. Each worker writes a file of its own into the store's folder, which all nodes must
share.
"""

import contextlib
import logging
import pickle
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray
import ray.data
import torch
from ray.exceptions import RayError

from search.cluster.check import require_uniform_nodes
from search.cluster.connection import connected, require_joinable
from search.cluster.resources import cluster_nodes
from search.cluster.shard_progress import ShardProgress
from search.cluster.store_worker import ShardOutcome, build_packed
from spaces.files.errors import ConfigError, DiskFullError, StoreError
from spaces.files.locations import origin_of
from trainable.machine.cache_dir import cache_dir
from trainable.machine.cores import available_cores
from trainable.store.tasks import ProgressCallback, ShardTask, build_shards

BUILD_POLL_S = 0.2
# More than one, so that a slower GPU does not keep the others waiting for long.
GROUPS_A_GPU = 4
# An NFS client may look at its own, older list of a folder's files for a minute.
APPEARS_WITHIN_S = 70.0


def pays(tasks: Sequence[ShardTask], *, address: str | None, num_workers: int) -> bool:
    """Return whether shards are built on Ray, whose start takes seconds.

    What uses a GPU always is: this process would keep memory of the GPU.

    Args:
        tasks: The shards to build.
        address: A cluster's address, None for only this machine.
        num_workers: Shards that this machine could build at once.
    """
    if not tasks or address is not None:
        return bool(tasks)
    return tasks[0].uses_gpu or (len(tasks) > 1 and num_workers > 1)


def building_device(device: str, address: str | None) -> str:
    """Return the kind of device, `cpu` or `cuda`, on which shards that can use a GPU are built.

    Args:
        device: The setting: `cpu`, `cuda`, or `auto` for CUDA if there is a GPU.
        address: A cluster's address, None for only this machine.
    """
    if device != "auto":
        return device
    if address is None:
        return "cuda" if torch.cuda.device_count() else "cpu"
    with connected(address):
        has_gpus = ray.cluster_resources().get("GPU", 0.0) > 0  # type: ignore[no-untyped-call]
        return "cuda" if has_gpus else "cpu"


class ShardBuilder:
    """A `Builder`: on Ray where that is faster, else here, one shard after the other.

    Ray is started with the first store that needs it, and left by `close`. A cluster that cannot
    be joined is refused at the start of a `with` block, before anything is read or written.

    Args:
        address: The cluster's, None for this machine.
        num_workers: Shards at once; None for as many as there are CPUs.
    """

    def __init__(self, address: str | None = None, num_workers: int | None = None) -> None:
        self._address = address
        self._num_workers = num_workers
        self._connection = contextlib.ExitStack()

    def __call__(
        self, tasks: Sequence[ShardTask], num_all: int, progress: ProgressCallback | None
    ) -> tuple[str, ...]:
        """Build shards; see `trainable.store.tasks.build_shards`. This process uses no GPU.

        A fault in one shard keeps none of the others from being built.

        Raises:
            ConfigError: Ray cannot be started or joined, or a node of it cannot take part.
            DiskFullError: There was no space for a shard; naming all such.
            StoreError: A shard could not be written, or its worker died; naming all such.
        """
        num_workers = self._num_workers or available_cores()
        if self._address is not None and origin_of(cache_dir()) is not None:
            # The nodes do not see the working copy of this machine, where the shards go.
            return build_shards(tasks, num_all, progress)
        if not pays(tasks, address=self._address, num_workers=num_workers):
            return build_shards(tasks, num_all, progress)
        self._connect()
        return _build_on_ray(tasks, num_all, progress, self._num_workers)

    def connect_gpus(self) -> bool:
        """Return whether Ray, to which this process is connected then, has a GPU for a task.

        Raises:
            ConfigError: Ray cannot be started or joined, or a node of it cannot take part.
        """
        if self._address is not None and origin_of(cache_dir()) is not None:
            return False  # the nodes do not see the files of this machine
        # Else Ray would be started for nothing.
        if self._address is None and not torch.cuda.device_count():
            return False
        self._connect()
        return any(node.num_gpus >= 1 for node in cluster_nodes())

    def _connect(self) -> None:
        if ray.is_initialized():
            return
        own = {"num_cpus": self._num_workers} if self._num_workers and not self._address else {}
        self._connection.enter_context(connected(self._address, **own))
        if self._address is not None:
            # Before any task: a node without the shared folder would fail its shards one by one.
            require_uniform_nodes(cluster_nodes(), [cache_dir()])

    def close(self) -> None:
        """Leave Ray, if it was joined or started here."""
        self._connection.close()

    def __enter__(self) -> Self:
        if self._address is not None:
            require_joinable(self._address)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.__exit__(kind, error, trace)


def _build_on_ray(
    tasks: Sequence[ShardTask],
    num_all: int,
    progress: ProgressCallback | None,
    num_workers: int | None,
) -> tuple[str, ...]:
    # No CPU: on a machine with one CPU the actor would take it from the shards.
    shard_progress = ray.remote(ShardProgress).options(num_cpus=0, max_restarts=-1).remote()
    outcomes: dict[int, ShardOutcome] = {}
    try:
        with _reporting_progress(shard_progress, tasks, num_all, progress), _silent_ray_data():
            for outcome in _outcomes(tasks, shard_progress, num_workers):
                outcomes[outcome.number] = outcome
    except RayError as error:
        why = str(error).strip().splitlines()[0]
        raise StoreError(
            f"{tasks[0].location.folder}: Ray ended the build: {why}; what is built stays, and "
            "building again goes on"
        ) from error
    # By number: shards end in any order, but messages should not depend on it.
    ended = [outcomes[number] for number in sorted(outcomes)]
    faults = tuple(fault for outcome in ended for fault in outcome.faults)
    if errors := [outcome.error for outcome in ended if outcome.error]:
        kind = DiskFullError if any(outcome.is_disk_full for outcome in ended) else StoreError
        raise kind("\n".join([*errors, *faults]))
    _require_there(
        [task.location.path for task in tasks if not outcomes[task.location.number].faults]
    )
    if progress:
        progress(num_all, num_all)
    return faults


def _outcomes(
    tasks: Sequence[ShardTask], shard_progress: Any, num_workers: int | None
) -> Iterator[ShardOutcome]:
    """Yield the outcome of each shard, in the order in which they end."""
    uses_gpu = all(task.uses_gpu for task in tasks)
    groups = _groups(tasks, sum(int(node.num_gpus) for node in cluster_nodes()))
    # All tasks lie in Ray's object store at once; compressed, the paths of a million files take a
    # tenth of the memory.
    items = [{"tasks": zlib.compress(pickle.dumps(group), 1)} for group in groups]
    # One block a group: Ray Data would otherwise put groups together, and rebuild all of them
    # after a fault.
    outcomes = ray.data.from_items(items, override_num_blocks=len(items)).flat_map(
        partial(build_packed, shard_progress=shard_progress),
        num_cpus=1,
        num_gpus=1 if uses_gpu else None,
        concurrency=num_workers,
    )
    for row in outcomes.iter_rows():
        # The outcome comes from a worker of this build, only through Ray.
        yield pickle.loads(row["outcome"])  # noqa: S301 - see above


def _groups(tasks: Sequence[ShardTask], num_gpus: int) -> list[Sequence[ShardTask]]:
    """Return the shards that each of Ray's tasks builds: one on a CPU, several on a GPU.

    Raises:
        ConfigError: The shards are to be built on a GPU, and Ray has none.
    """
    if not all(task.uses_gpu for task in tasks):
        return [[task] for task in tasks]
    if num_gpus == 0:
        raise ConfigError(
            f"{tasks[0].location.folder}: Ray has no GPU, on which this store is to be computed; "
            "start a node with one, or set device: cpu"
        )
    # Ray ends the process of a task with a GPU. To start the next one and to load the teacher
    # takes longer than a small shard.
    num_groups = min(len(tasks), GROUPS_A_GPU * num_gpus)
    return [tasks[first::num_groups] for first in range(num_groups)]


@contextmanager
def _reporting_progress(
    shard_progress: Any,
    tasks: Sequence[ShardTask],
    num_all: int,
    progress: ProgressCallback | None,
) -> Iterator[None]:
    """Report the utterances that the workers have done, from a thread, until the block ends."""
    if progress is None:
        yield
        return
    known, ended = num_all - sum(task.num_rows for task in tasks), threading.Event()

    def watch() -> None:
        shown = -1
        while not ended.wait(BUILD_POLL_S):
            # An actor whose node died starts again from zero: it is asked again at the next turn,
            # and a smaller number than the last is not shown.
            with contextlib.suppress(RayError):
                done = known + ray.get(shard_progress.total.remote(), timeout=BUILD_POLL_S * 10)
                if done > shown:
                    progress(shown := done, num_all)

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            yield
        finally:
            ended.set()
        watching.result()


@contextmanager
def _silent_ray_data() -> Iterator[None]:
    """Keep Ray Data's progress bars and lines off the screen; its own log file still has them."""
    context, logger = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    before = context.enable_progress_bars, context.print_on_execution_start, logger.handlers
    context.enable_progress_bars = context.print_on_execution_start = False
    logger.handlers = [each for each in before[2] if not isinstance(each, logging.StreamHandler)]
    try:
        yield
    finally:
        context.enable_progress_bars, context.print_on_execution_start, logger.handlers = before


def _require_there(paths: Sequence[Path]) -> None:
    """Wait until the shards that the workers report as written are visible here.

    Raises:
        StoreError: One did not appear within `APPEARS_WITHIN_S`.
    """
    missing, deadline_s = list(paths), time.monotonic() + APPEARS_WITHIN_S
    while missing:
        folder = missing[0].parent
        # Listing the folder makes a network file system drop its cached view of it.
        list(folder.iterdir())
        missing = [path for path in missing if not path.exists()]
        if missing and time.monotonic() > deadline_s:
            raise StoreError(
                f"{missing[0]}: a worker has built it, and it is not there for this process; "
                "$VEER_CACHE must name a folder that all nodes of the cluster share"
            )
        if missing:
            time.sleep(BUILD_POLL_S)
