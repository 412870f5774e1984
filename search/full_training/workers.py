"""The processes of a full training: started with Ray Train, watched, replaced if one dies."""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.queue import Empty, Queue

from models.user_code import code_root
from search.cluster.check import last_line
from search.cluster.connection import connected, environment
from search.cluster.resources import Node, cluster_nodes, num_by_cpu, num_on
from search.full_training.events import FAILED, RESULT, Event
from search.full_training.plan import Workers
from search.full_training.worker import WorkerTask, train_worker
from search.loop.shares import ResourceShare
from spaces.files.errors import ConfigError, TrainingError, VeerError
from spaces.files.locations import origin_of
from trainable.config.trial_config import TrainRunConfig
from trainable.features.training_data import TrainingData, reopening_keys
from trainable.machine.cache_dir import cache_dir
from trainable.machine.ranks import COLLECTIVE_TIMEOUT_S, Ranks
from trainable.report.epoch_report import EpochReport
from trainable.training.full import TrainResult, Watcher

# Starts without a new epoch in between; then the fault is taken for one that stays.
MOST_STARTS = 3
RAY_FOLDER = ".ray_train"
POLL_S = 0.2
ENVIRONMENT = {
    # Its log of each worker's standard output would mix with the progress.
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    # A busy machine imports PyTorch slowly, and the default of 60 s would count as a death.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",
}


def run_on_workers(
    config: TrainRunConfig, data: TrainingData, out: Path, workers: Workers, watcher: Watcher
) -> TrainResult:
    """Train to the last epoch on several processes, continuing from the folder's checkpoint.

    A process that dies ends the others; all start again from the last saved epoch.

    Args:
        config: The run.
        data: Its corpus, opened; all nodes share the cache that it is in.
        out: The run's folder, which all nodes share.
        workers: The processes.
        watcher: Receives the events.

    Raises:
        ConfigError: The cluster has no room for the workers.
        TrainingError: Workers died again and again.
        VeerError: As `run_training`.
    """
    if workers.address is not None and (uri := origin_of(cache_dir())) is not None:
        raise ConfigError(
            f"$VEER_CACHE must be a path that all nodes share for a training with --address, got "
            f"{uri}; set another one, or train on one machine"
        )
    Ranks(size=workers.number).require_batch(config.trial.training.batch_size)
    with environment(ENVIRONMENT), connected(workers.address):
        nodes = cluster_nodes()
        num_threads = workers.num_threads or threads_each(workers, nodes)
        require_free_places(workers, num_threads, nodes)
        task = WorkerTask(
            config=config,
            opened=reopening_keys(config.corpus, data),
            out=out.absolute(),
            cache_dir=cache_dir(),
            device="cuda" if workers.use_gpu else "cpu",
            num_threads=num_threads,
            code_root=code_root(),
        )
        return _Run(task, workers, watcher).to_the_end()


class _Run:
    """The starts of one training until it ends."""

    def __init__(self, task: WorkerTask, workers: Workers, watcher: Watcher) -> None:
        self._task, self._workers, self._watcher = task, workers, watcher
        self._starts = 0
        self._result: TrainResult | None = None
        self._error: VeerError | None = None

    def to_the_end(self) -> TrainResult:
        """Start the workers until the training ends; return its result."""
        while self._result is None:
            self._starts += 1
            try:
                self._start()
            except (TrainingFailedError, RayError) as error:
                if self._error is not None:
                    raise self._error from None
                self._go_on_after(error)
        return self._result

    def _go_on_after(self, error: Exception) -> None:
        why = last_line(error)
        if self._starts >= MOST_STARTS:
            raise TrainingError(
                f"the workers died {self._starts} times without a new epoch: {why}; nothing saved "
                "is lost: start the same command again"
            ) from error
        self._watcher.print_line(f"a worker died ({why}); starting from the last saved epoch")

    def _start(self) -> None:
        folder = self._task.out / RAY_FOLDER
        queue = Queue(actor_options={"num_cpus": 0})
        trainer = TorchTrainer(
            train_worker,
            train_loop_config={"task": self._task.model_dump(mode="json"), "queue": queue},
            torch_config=TorchConfig(timeout_s=COLLECTIVE_TIMEOUT_S),
            scaling_config=ScalingConfig(
                num_workers=self._workers.number,
                use_gpu=self._workers.use_gpu,
                resources_per_worker=_resources(self._workers, self._task.num_threads),
            ),
            # Restarts are counted here: an error of the config comes again with every start.
            run_config=RunConfig(
                name="train",
                storage_path=str(folder),
                failure_config=FailureConfig(max_failures=0),
            ),
        )
        try:
            self._receive(queue, _started(trainer.fit))
        finally:
            queue.shutdown(force=True)
            shutil.rmtree(folder, ignore_errors=True)

    def _receive(self, queue: Queue, training: "Future[object]") -> None:
        """Take the events until the training ends; raise what it raised."""
        while True:
            is_over = training.done()  # before the last look, which then finds all events
            try:
                self._take(queue.get(timeout=POLL_S))
            except Empty:
                if is_over:
                    break
        training.result()

    def _take(self, event: Event) -> None:
        if event.name == RESULT:
            (self._result,) = event.arguments
        elif event.name == FAILED:
            self._error = self._error or event.arguments[0]
        else:
            if isinstance(event.arguments[0], EpochReport):
                self._starts = 1
            getattr(self._watcher, event.name)(*event.arguments)


def threads_each(workers: Workers, nodes: list[Node]) -> int:
    """Return the most CPUs that every worker can have at once, 1 or more."""
    most = max((int(node.num_cpus) for node in nodes), default=1)
    for num_cpus in range(most, 1, -1):
        if sum(num_by_cpu(num_cpus, node) for node in nodes) >= workers.number:
            return num_cpus
    return 1


def require_free_places(workers: Workers, num_threads: int, nodes: list[Node]) -> None:
    """Refuse more workers than the cluster can run at once, which would wait for ever.

    Raises:
        ConfigError: There is no room for them.
    """
    share = ResourceShare(num_cpus=num_threads, num_gpus=float(workers.use_gpu))
    room = sum(num_on(share, node) for node in nodes)
    if room < workers.number:
        if workers.use_gpu and not any(node.num_gpus for node in nodes):
            where = "this machine has" if workers.address is None else "the cluster's nodes have"
            raise ConfigError(
                f"--gpu needs a GPU for each worker, and {where} none that Ray can use; leave out "
                "--gpu to train on CPUs"
            )
        asked = _resources(workers, num_threads)
        what = " and ".join(f"{number:g} {name}" for name, number in asked.items())
        has = "; ".join(
            f"{node.address}: {node.num_cpus:g} CPU, {node.num_gpus:g} GPU" for node in nodes
        )
        raise ConfigError(
            f"--workers {workers.number} with {what} each must fit the nodes ({has}), which have "
            f"room for {room}; lower --workers or --threads"
        )


def _resources(workers: Workers, num_threads: int) -> dict[str, float]:
    return {"CPU": float(num_threads)} | ({"GPU": 1.0} if workers.use_gpu else {})


def _started(fit: Callable[[], object]) -> "Future[object]":
    """Run Ray Train in a thread: in the main one it takes Ctrl-C away from this process."""
    future: Future[object] = Future()

    def run() -> None:
        try:
            future.set_result(fit())
        except BaseException as error:  # noqa: BLE001 - raised again by who waits
            future.set_exception(error)

    # A daemon, since after Ctrl-C nobody waits for it.
    threading.Thread(target=run, name="veer-workers", daemon=True).start()
    return future
