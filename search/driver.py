"""The part of a search that Ray runs: cluster and workers."""

import logging
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from typing import Any

import ray
from ray import tune
from ray.tune import TuneError

from search.actors import own_actor_manager
from search.conductor import Conductor
from search.config import SearchConfig
from search.course import TrialCourse
from search.hangs import HangWatch
from search.recorder import HaltStopper, Recorder
from search.resources import Node, at_once_line, cluster_nodes, num_trials_at_once
from search.sampler import ConductorSearcher, Places
from search.scheduler import ConductorScheduler
from search.shares import Lending
from search.signals import Interrupts, Terminated, keeping_sigterm
from spaces.errors import ConfigError
from trainable.trial import StudentTrial

OBJECT_STORE_BYTES = 128 * 2**20
ANSWER_TIMEOUT_S = 5.0
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray's 15 starves trials beside any other work on the same cores.
    "RAY_worker_niceness": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # With the new output Tune prints even where verbose is 0.
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    # Else Tune itself runs a trial again whose node was taken away.
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
    # Tune's own snapshots are not used: the journal is what a resume starts from.
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),
}

logger = logging.getLogger(__name__)


def drive(
    conductor: Conductor,
    settings: SearchConfig,
    make_task: Callable[[TrialCourse, Lending], dict[str, Any]],
    *,
    lend: Callable[[Sequence[Node]], Lending],
    on_step: Callable[[], None],
    say: Callable[[str], None],
) -> None:
    """Runs the conductor's trials on Ray until it has no more, or is halted.

    Args:
        conductor: The search.
        settings: Its settings.
        make_task: Gives a trial's Ray config: small and plain.
        lend: Decides what a trial is given of the cluster; called once Ray is there.
        on_step: Called often, to refresh what is on the screen.
        say: Prints a line.

    Raises:
        ConfigError: The cluster cannot be reached, or no node has what a trial asks for.
        Terminated: SIGTERM came; what the trials had finished is saved.
    """
    with connected(settings.address):
        nodes = cluster_nodes()
        lending = lend(nodes)
        fitting = num_trials_at_once(lending.base, nodes)
        at_once = min(settings.max_concurrent or fitting, fitting)
        say(at_once_line(at_once, fitting, lending.base))
        interrupts = Interrupts(
            on_first=lambda: _finish_epochs(conductor, say),
            on_second=lambda: _stop_now(conductor, say),
        )
        searcher = ConductorSearcher(
            conductor,
            lambda course: make_task(course, lending),
            places=Places(lending, fitting, at_once),
        )
        watch = HangWatch(settings.faults, time.monotonic)
        scheduler = ConductorScheduler(conductor, lending, watch)
        recorder = Recorder(
            conductor,
            scheduler,
            watch,
            on_step=on_step,
            on_start=searcher.on_trial_start,
            is_stopping=lambda: interrupts.is_urgent,
        )
        # Else Tune starts one worker after the other.
        pending = _environment({"TUNE_MAX_PENDING_TRIALS_PG": str(at_once)})
        with interrupts, pending, own_actor_manager():
            _run(conductor, searcher, scheduler, recorder, interrupts)
    if interrupts.is_terminated:
        raise Terminated


def _run(
    conductor: Conductor,
    searcher: ConductorSearcher,
    scheduler: ConductorScheduler,
    recorder: Recorder,
    interrupts: Interrupts,
) -> None:
    with tempfile.TemporaryDirectory(prefix="veer-tune-") as storage:
        try:
            # Not a Tuner: that pickles searcher, scheduler and callbacks.
            tune.run(
                StudentTrial,
                name="search",
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=-1,
                stop=HaltStopper(lambda: interrupts.is_urgent),
                callbacks=[recorder],
                max_failures=0,
                raise_on_failed_trial=False,
                reuse_actors=True,
                storage_path=storage,
                trial_dirname_creator=lambda trial: f"{trial.config['trial']:04d}",
                verbose=0,
            )
        except TuneError:
            if conductor.error is not None:
                raise conductor.error from None
            raise


def _finish_epochs(conductor: Conductor, say: Callable[[str], None]) -> None:
    conductor.halt("interrupted")
    say("finishing the running epochs; Ctrl-C again stops at once")


def _stop_now(conductor: Conductor, say: Callable[[str], None]) -> None:
    conductor.halt("interrupted")
    say("stopping now")


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables for a while; what the person has set stands."""
    added = [name for name in variables if name not in os.environ]
    os.environ.update({name: variables[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def connected(address: str | None, **options: Any) -> Iterator[None]:
    """Connects to a Ray cluster, or starts one for this process; a connection that is there stays.

    Args:
        address: The cluster's, None to start one.
        options: More of `ray.init`'s.

    Raises:
        ConfigError: Ray cannot be started or joined.
    """
    with _environment(ENVIRONMENT), tempfile.TemporaryDirectory(prefix="veer-ray-") as nowhere:
        if ray.is_initialized():
            yield
            return
        # Ray puts the folder that it is started in first on its workers' path: a numpy.py beside
        # the person's corpus would be run there. Workers start there too, so it must last.
        with chdir(nowhere), keeping_sigterm():
            _init(address, options)
        try:
            yield
        finally:
            ray.shutdown()


def _init(address: str | None, options: dict[str, Any]) -> None:
    if address is not None:
        _require_answer(address)
    own: dict[str, Any] = (
        {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        if address is None
        else {}
    )
    try:
        ray.init(
            address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(own | options),
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = "start Ray on this machine" if address is None else f"join Ray at {address!r}"
        # `ray start` demands a token wherever there is one, a driver sends it only if told to.
        hint = "" if address is None else "; if it demands a token, set RAY_AUTH_MODE=token"
        raise ConfigError(f"cannot {where}: {error}{hint}") from error


def _require_answer(address: str) -> None:
    """Refuses at once what Ray would wait minutes for, where the address is host and port."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_TIMEOUT_S).close()
    except OSError as error:
        raise ConfigError(
            f"cannot join Ray at {address!r}: {error.strerror or error}; start a cluster with "
            "`ray start --head`, which prints its address, or leave out --address"
        ) from error
