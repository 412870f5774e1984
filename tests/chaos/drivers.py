"""Injection of faults into the driver of a search, several times in one search."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from results.journal.journal import read_journal
from results.records.record import Record
from results.records.trial_records import EpochEnded
from search.loop.fault_ledger import silent
from tests.chaos.accounting import Snapshot, losses, snapshot
from tests.chaos.faults import GENTLE, DriverFault, Injection, Outcome, PrintLine
from tests.chaos.moments import Moment
from tests.chaos.processes import wait_until_gone
from tests.search.real_search import RealSearch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hit:
    """One injected fault.

    Attributes:
        at_s: Time of the fault, seconds since 1970.
        gone: Time at which the last of the driver's processes had ended, seconds since 1970.
        found: The run folder just after the fault.
        again_s: Start of the next driver, seconds since 1970.
    """

    at_s: float
    gone: Future[float]
    found: Snapshot
    again_s: float


def hit_drivers(
    name: str,
    search: RealSearch,
    moments: Sequence[Moment],
    hit: DriverFault,
    print_line: PrintLine = silent,
) -> Outcome:
    """Hit a driver at each moment; the next starts at once, and the last one may finish.

    Args:
        name: Name of the fault.
        search: A new search.
        moments: Moments of the faults, each in the life of its driver. If the driver has ended by
            itself before, no fault is counted.
        hit: The fault.
        print_line: Prints a line about every fault.

    Raises:
        AssertionError: The last driver did not finish the search, or one ended before its moment
            for another reason.
    """
    hits = list[_Hit]()
    with ThreadPoolExecutor() as watch, ExitStack() as drivers:
        driver = drivers.enter_context(search.start())
        for number, moment in enumerate(moments, start=1):
            if not moment.wait(driver, search.run):
                assert driver.wait() == 0, driver.output
                break
            at_s = time.time()
            pids = hit(driver)
            driver.wait()
            gone = watch.submit(wait_until_gone, pids)
            found = snapshot(search.run, is_gentle=hit in GENTLE)
            driver = drivers.enter_context(search.go_on())
            hits.append(_Hit(at_s=at_s, gone=gone, found=found, again_s=driver.started_s))
            print_line(f"{name}: {number} of {len(moments)}, {len(found.epochs)} epochs so far")
        assert driver.wait() == 0, driver.output
    end = read_journal(search.run / "journal.jsonl")
    snapshots = [each.found for each in hits]
    return Outcome(
        fault=name,
        injected=tuple(_injections(hits, end)),
        losses=losses(snapshots, end, num_trials=end[0].settings["num_trials"]),
    )


def _injections(hits: Sequence[_Hit], end: Sequence[Record]) -> list[Injection]:
    epoch_s = [record.time_s for record in end if isinstance(record, EpochEnded)]
    until = [each.at_s for each in hits[1:]] + [float("inf")]
    injections = []
    for each, next_s in zip(hits, until, strict=True):
        first_s = min((t for t in epoch_s if t > each.again_s), default=float("inf"))
        injections.append(
            Injection(
                at_s=each.at_s,
                notice_s=each.gone.result() - each.at_s,
                recover_s=first_s - each.again_s if first_s < next_s else None,
            )
        )
    return injections
