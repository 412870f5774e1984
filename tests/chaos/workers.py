"""Injection of faults into the workers of a search, or into their nodes."""

import itertools
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from results.journal.journal import read_journal
from results.records.record import Record
from results.records.search_records import SearchResumed, SearchStarted
from results.records.trial_records import EpochEnded, InfrastructureFault, TrialEnded, TrialPlaced
from search.loop.fault_ledger import silent
from tests.chaos.accounting import losses, snapshot
from tests.chaos.faults import Injection, Outcome, PrintLine
from tests.chaos.processes import wait_until_gone
from tests.search.ray_nodes import RayNodes
from tests.search.real_search import DEADLINE_S, RealSearch, wait_for

DELAY_S = 0.05  # about an epoch of a tiny trial, so that a fault may hit anywhere in an epoch
MIN_EPOCHS = 3  # epochs that a trial has done on its worker, and still has to do, before a hit


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """A trial that runs.

    Attributes:
        pid: Process id of its worker.
        num_epochs: Epochs that this worker has reported.
        epoch: The last epoch.
    """

    pid: int
    num_epochs: int
    epoch: int


def at_work(records: Sequence[Record]) -> dict[int, AtWork]:
    """Return the running trials by number, from their `placed` records on."""
    running: dict[int, AtWork] = {}
    for record in records:
        match record:
            case SearchStarted() | SearchResumed():
                running.clear()
            case TrialPlaced():
                pid, epoch = record.pid, record.epoch
                running[record.trial] = AtWork(pid=pid, num_epochs=0, epoch=epoch)
            case InfrastructureFault() | TrialEnded():
                running.pop(record.trial, None)
            case EpochEnded() if (known := running.get(record.trial)) is not None:
                running[record.trial] = AtWork(
                    pid=known.pid, num_epochs=known.num_epochs + 1, epoch=record.epoch
                )
    return running


def num_at_work(run: Path) -> int:
    """Return how many trials have reported some epochs from the worker that they run on."""
    running = at_work(read_journal(run / "journal.jsonl")).values()
    return sum(each.num_epochs >= MIN_EPOCHS for each in running)


def freeze_worker(pid: int) -> None:
    """Stop a worker with SIGSTOP, so that it hangs."""
    os.kill(pid, signal.SIGSTOP)


def kill_worker(pid: int) -> None:
    """Kill a worker."""
    os.kill(pid, signal.SIGKILL)


def node_killer(cluster: RayNodes) -> Callable[[int], None]:
    """Return a function that kills a worker's node: its raylet and all its workers."""
    return lambda pid: cluster.node_of(pid).kill()


def beside_head(cluster: RayNodes) -> Callable[[int], bool]:
    """Return a check that a worker is not on the head node, without which no cluster is left."""
    return lambda pid: not cluster.nodes[0].owns(pid)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFault:
    """A fault of workers.

    Attributes:
        name: Name of the fault.
        hit: Injects it into the worker with this process id.
        may_hit: Whether the worker with this process id may be hit.
        times: Number of injections.
    """

    name: str
    hit: Callable[[int], None]
    may_hit: Callable[[int], bool] = lambda _: True
    times: int = 1


def hit_workers(
    fault: WorkerFault,
    search: RealSearch,
    rng: np.random.Generator,
    print_line: PrintLine = silent,
    *options: str,
) -> Outcome:
    """Hit one worker after the other, in mid-epoch, while the others continue.

    The next is hit once the trial of the last one has a new epoch.

    Args:
        fault: The fault.
        search: A new search, long enough for all injections.
        rng: Source of random workers and moments.
        print_line: Prints a line about every fault.
        options: Of `veer search`.

    Raises:
        AssertionError: The search ended too early, did not notice, or failed.
    """
    injected, found = [], []
    with search.start(*options) as driver:
        for number in range(1, fault.times + 1):
            pid = _victim(search.run, fault, rng)
            time.sleep(rng.uniform(0, DELAY_S))
            at_s = time.time()
            fault.hit(pid)
            before = snapshot(search.run)
            injection = _wait_for_recovery(search.run, at_s)
            wait_until_gone([pid])
            injected.append(injection)
            found.append(before.only({injection.trial}))
            print_line(f"{fault.name}: {number} of {fault.times}, trial {injection.trial}")
        assert driver.wait() == 0, driver.output
    end = read_journal(search.run / "journal.jsonl")
    num_trials = end[0].settings["num_trials"]
    return Outcome(
        fault=fault.name,
        injected=tuple(injected),
        losses=losses(found, end, num_trials=num_trials),
    )


def longest_gap_s(records: Sequence[Record], trial: int, from_s: float, to_s: float) -> float:
    """Return the longest time without an epoch of a trial, within a span of time; seconds."""
    times = [
        each.time_s
        for each in records
        if isinstance(each, EpochEnded) and each.trial == trial and from_s < each.time_s < to_s
    ]
    marks = [from_s, *times, to_s]
    return max(later - earlier for earlier, later in itertools.pairwise(marks))


def _victim(run: Path, fault: WorkerFault, rng: np.random.Generator) -> int:
    """Return the process of a trial that is in the middle of its epochs."""
    able: list[int] = []

    def is_found() -> bool:
        records = read_journal(run / "journal.jsonl") if (run / "journal.jsonl").exists() else ()
        if not records:
            return False
        last = records[0].settings["max_epochs"] - MIN_EPOCHS
        able[:] = [
            each.pid
            for each in at_work(records).values()
            if each.num_epochs >= MIN_EPOCHS and each.epoch <= last and fault.may_hit(each.pid)
        ]
        return bool(able)

    wait_for(is_found, f"a worker to hit: {fault.name}")
    return able[int(rng.integers(len(able)))]


def _wait_for_recovery(run: Path, at_s: float) -> Injection:
    """Return the injection from the journal, once the trial that was hit has a new epoch.

    Raises:
        AssertionError: The journal does not record the fault, or the trial did not continue.
    """
    seen: list[Injection] = []

    def is_found() -> bool:
        records = read_journal(run / "journal.jsonl")
        later = [each for each in records if each.time_s > at_s]
        noticed = next((each for each in later if isinstance(each, InfrastructureFault)), None)
        if noticed is None:
            return False
        trial = noticed.trial
        again = next(
            (
                each.time_s
                for each in later
                if isinstance(each, EpochEnded)
                and each.trial == trial
                and each.time_s > noticed.time_s
            ),
            None,
        )
        if again is not None:
            notice_s = noticed.time_s - at_s
            recover_s = again - at_s
            seen.append(Injection(at_s=at_s, notice_s=notice_s, recover_s=recover_s, trial=trial))
        return bool(seen)

    wait_for(is_found, "the trial that was hit to go on", DEADLINE_S)
    return seen[0]
