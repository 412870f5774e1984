"""What is done to a search, and how long each thing took."""

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos.accounting import Losses
from tests.chaos.processes import family, kill_at_once
from tests.search.real_search import Driver

# Does something to a driver that was started, and returns the processes that are to end by it.
DriverFault = Callable[[Driver], Sequence[int]]
# Is told how far things are, a line each time.
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """A fault that was injected.

    Attributes:
        at_s: When, seconds since 1970.
        notice_s: Seconds until it was noticed, None where nothing is there to notice it. A driver
            that was killed: until the last of its processes is gone. One that was asked to stop:
            until it has ended. A worker or a node: until the journal says what happened.
        recover_s: Seconds until the search had gone on: until the journal has an epoch that it had
            not before, of the trial that was hit. For a driver they count from the start of the
            process that goes on, so its start-up is in them. None where that was hit too, before
            it had an epoch.
        trial: The trial that was hit; None where all were.
    """

    at_s: float
    notice_s: float | None
    recover_s: float | None
    trial: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a fault, injected several times into one search or more.

    Attributes:
        fault: Its name.
        injected: Every time.
        losses: Of all the searches.
    """

    fault: str
    injected: tuple[Injection, ...]
    losses: Losses

    def __add__(self, other: "Outcome") -> "Outcome":
        """The same fault in two searches."""
        assert self.fault == other.fault
        injected = (*self.injected, *other.injected)
        return Outcome(fault=self.fault, injected=injected, losses=self.losses + other.losses)


def kill_driver(driver: Driver) -> list[int]:
    """Kills the driver alone; Ray's processes must find out."""
    pids = family(driver.process.pid)
    os.kill(driver.process.pid, signal.SIGKILL)
    return pids


def kill_group(driver: Driver) -> list[int]:
    """Kills the driver and Ray's own processes; its workers must find out."""
    pids = family(driver.process.pid)
    driver.signal_group(signal.SIGKILL)
    return pids


def cut_power(driver: Driver) -> list[int]:
    """Kills all that belongs to the driver at once, as a power cut does.

    What was written stays, synced to disk or not: the machine itself goes on.
    """
    return kill_at_once(driver.process.pid)


def press_ctrl_c(driver: Driver) -> list[int]:
    """Sends what a terminal sends."""
    driver.signal_group(signal.SIGINT)
    return [driver.process.pid]


def press_ctrl_c_twice(driver: Driver) -> list[int]:
    """Sends it twice."""
    driver.signal_group(signal.SIGINT)
    return press_ctrl_c(driver)


def terminate(driver: Driver) -> list[int]:
    """Sends the driver what a batch system or `kill` sends."""
    os.kill(driver.process.pid, signal.SIGTERM)
    return [driver.process.pid]


# After these the trials finish the epoch that they are at.
GENTLE = frozenset({press_ctrl_c})
