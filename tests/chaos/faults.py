"""The faults of a driver, and the record of injected faults."""

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos.accounting import Losses
from tests.chaos.processes import family, kill_at_once
from tests.search.real_search import Driver

# Injects a fault into a running driver; returns the processes that must end because of it.
DriverFault = Callable[[Driver], Sequence[int]]
# Prints a line about the progress.
PrintLine = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """A fault that was injected.

    Attributes:
        at_s: Time of the fault, seconds since 1970.
        notice_s: Seconds until the fault was noticed; None if nothing can notice it. For a killed
            driver, until the last of its processes has ended. For a driver that was asked to stop,
            until it has ended. For a worker or a node, until the journal records the fault.
        recover_s: Seconds until the journal has a new epoch of the hit trial. For a driver
            they count from the start of the next driver and include its start-up. None if that
            driver was hit too, before an epoch.
        trial: The trial that was hit; None if all were.
    """

    at_s: float
    notice_s: float | None
    recover_s: float | None
    trial: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of a fault that was injected several times, into one or more searches.

    Attributes:
        fault: The name of the fault.
        injected: All its injections.
        losses: The losses of all these searches.
    """

    fault: str
    injected: tuple[Injection, ...]
    losses: Losses

    def __add__(self, other: "Outcome") -> "Outcome":
        """Return the same fault in two searches."""
        assert self.fault == other.fault
        injected = (*self.injected, *other.injected)
        return Outcome(fault=self.fault, injected=injected, losses=self.losses + other.losses)


def kill_driver(driver: Driver) -> list[int]:
    """Kill only the driver; Ray's processes must notice it themselves."""
    pids = family(driver.process.pid)
    os.kill(driver.process.pid, signal.SIGKILL)
    return pids


def kill_group(driver: Driver) -> list[int]:
    """Kill the driver and Ray's own processes; its workers must notice it themselves."""
    pids = family(driver.process.pid)
    driver.signal_group(signal.SIGKILL)
    return pids


def cut_power(driver: Driver) -> list[int]:
    """Kill the driver and all its descendants at once, as in a power cut.

    Unlike in a real power cut, unsynced writes are kept, because the machine itself stays on.
    """
    return kill_at_once(driver.process.pid)


def press_ctrl_c(driver: Driver) -> list[int]:
    """Send SIGINT to the process group, as a terminal does."""
    driver.signal_group(signal.SIGINT)
    return [driver.process.pid]


def press_ctrl_c_twice(driver: Driver) -> list[int]:
    """Send SIGINT twice to the process group."""
    driver.signal_group(signal.SIGINT)
    return press_ctrl_c(driver)


def terminate(driver: Driver) -> list[int]:
    """Send SIGTERM to the driver, as a batch system or `kill` does."""
    os.kill(driver.process.pid, signal.SIGTERM)
    return [driver.process.pid]


# After these faults the trials finish their current epoch.
GENTLE = frozenset({press_ctrl_c})
