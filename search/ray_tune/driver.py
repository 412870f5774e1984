"""The part of a search that runs on Ray Tune, once Ray is connected."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune import Callback, TuneError

from search.cluster.connection import environment
from search.cluster.membership import Membership
from search.cluster.signals import TERMINATED_STATUS, Interrupts, Terminated
from search.config.sections import FaultConfig
from search.loop.coordinator import Coordinator
from search.loop.shares import ResourceShare
from search.loop.trial_course import TrialCourse
from search.ray_tune.checked_trial import CheckedTrial
from search.ray_tune.controller import own_controller
from search.ray_tune.hangs import HangWatch
from search.ray_tune.node_watch import NodeWatch
from search.ray_tune.recorder import HaltStopper, Recorder
from search.ray_tune.scheduler import CoordinatorScheduler
from search.ray_tune.searcher import CoordinatorSearcher, TrialSlots


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What the person who started the search sees.

    Attributes:
        on_step: Called at every step of Ray's loop, to refresh the screen.
        print_line: Prints a line.
        resume_command: The command that continues the search.
    """

    on_step: Callable[[], None]
    print_line: Callable[[str], None]
    resume_command: str


def drive(
    coordinator: Coordinator,
    faults: FaultConfig,
    make_task: Callable[[TrialCourse, ResourceShare], dict[str, Any]],
    *,
    slots: TrialSlots,
    screen: Screen,
    nodes: Membership | None = None,
) -> None:
    """Run the coordinator's trials on Ray until it has no more or is halted.

    Args:
        coordinator: The search.
        faults: When a trial counts as hung.
        make_task: Returns a trial's Ray config, small and of plain values, from its share.
        slots: The slots of the cluster.
        screen: Shows the progress and what was interrupted.
        nodes: The cluster, whose nodes come and go; None for a local Ray.

    Raises:
        Terminated: SIGTERM arrived. The finished epochs are saved.
    """
    searcher = CoordinatorSearcher(coordinator, make_task, slots=slots)
    # Monotonic: a correction of the system's clock must not look like a hang.
    watch = HangWatch(faults, time.monotonic)
    scheduler = CoordinatorScheduler(coordinator, slots.allocator, watch)
    # By default Tune waits for one worker to start before it requests the next.
    pending = environment({"TUNE_MAX_PENDING_TRIALS_PG": str(slots.at_once)})
    with _interrupts(coordinator, screen) as interrupts, pending, own_controller():
        recorder = Recorder(
            coordinator,
            scheduler,
            watch,
            on_step=screen.on_step,
            on_start=searcher.on_trial_start,
            is_stopping=lambda: interrupts.is_urgent,
        )
        callbacks: list[Callback] = [recorder]
        if nodes is not None:
            callbacks.append(NodeWatch(nodes, slots, coordinator, recorder.killed))
        _run(coordinator, searcher, scheduler, interrupts, callbacks)


def _run(
    coordinator: Coordinator,
    searcher: CoordinatorSearcher,
    scheduler: CoordinatorScheduler,
    interrupts: Interrupts,
    callbacks: list[Callback],
) -> None:
    # Tune's own results and snapshots are never read: the run folder has Veer's files only.
    with tempfile.TemporaryDirectory(prefix="veer-tune-") as storage:
        try:
            # Not a Tuner: it pickles searcher, scheduler and callbacks, which hold open files.
            tune.run(
                CheckedTrial,
                name="search",
                search_alg=searcher,
                scheduler=scheduler,
                # Without a limit: the searcher answers FINISHED when the coordinator has no trial
                # left.
                num_samples=-1,
                stop=HaltStopper(lambda: _is_urgent(interrupts)),
                callbacks=callbacks,
                # The coordinator counts the faults and decides on retries.
                max_failures=0,
                # A search with failed trials is a valid result; Tune would end with a TuneError.
                raise_on_failed_trial=False,
                # A new process would import PyTorch again, which takes seconds, for every trial.
                reuse_actors=True,
                storage_path=storage,
                trial_dirname_creator=lambda trial: f"{trial.config['trial']:04d}",
                verbose=0,
            )
        # Tune wraps an error of a callback or scheduler and keeps only its traceback as text.
        except TuneError:
            if coordinator.error is not None:
                raise coordinator.error from None
            raise


def _interrupts(coordinator: Coordinator, screen: Screen) -> Interrupts:
    def halt(line: str) -> None:
        coordinator.halt("interrupted")
        screen.print_line(line)

    return Interrupts(
        on_first=lambda: halt("finishing the running epochs; Ctrl-C again stops at once"),
        on_second=lambda: halt("stopping now"),
        on_stuck=lambda: _leave_ray(screen),
    )


def _is_urgent(interrupts: Interrupts) -> bool:
    """Return whether to end now.

    Raises:
        Terminated: SIGTERM arrived. Slurm sends it to Ray's own processes too. Tune would then
            wait a minute for them in its clean-up.
    """
    if interrupts.is_terminated:
        raise Terminated
    return interrupts.is_urgent


def _leave_ray(screen: Screen) -> None:
    """End this process without waiting for a Ray that does not end after SIGTERM.

    Nothing is lost: each record of the journal was on disk before it took effect.
    """
    screen.print_line(
        "Ray does not end, so the search stopped without it. To continue the search and write the "
        f"tables: {screen.resume_command}"
    )
    # `os._exit` flushes no buffers.
    sys.stdout.flush()
    os._exit(TERMINATED_STATUS)
