"""Process trees of this machine, found in /proc, and ways to kill them."""

import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# States in /proc/PID/stat: zombie and dead.
GONE = frozenset({"Z", "X"})
# Ray's agents. They outlive a killed raylet by minutes, and do not write to run folders.
AGENTS = ("ray::Dashboard", "ray::RuntimeEnv")


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it, parents first; empty if it is gone."""
    children = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (state := _state(int(folder.name))) is not None:
            children[state[1]].append(int(folder.name))
    found = [pid] if is_alive(pid) else []
    for each in found:
        found.extend(children[each])
    return found


def is_alive(pid: int) -> bool:
    """Return whether a process runs, or could run on: not one that only waits to be collected."""
    return _state(pid) is not None


def kill_at_once(pid: int) -> list[int]:
    """Kill a process and all that descend from it before any can react; return their ids.

    All are frozen first, and again until no new one has appeared in the meantime.
    """
    frozen: list[int] = []
    while new := [each for each in family(pid) if each not in frozen]:
        for each in new:
            _send(each, signal.SIGSTOP)
        frozen += new
    for each in frozen:
        _send(each, signal.SIGKILL)
    return frozen


def wait_until_gone(pids: Iterable[int], deadline_s: float = 300.0) -> float:
    """Wait for the ends of processes; return when the last was seen, seconds since 1970.

    Ray's agents are not waited for, but killed at the end: dozens would fill the memory.

    Raises:
        AssertionError: One has not ended within the deadline.
    """
    pids = tuple(pids)
    latest_s = time.monotonic() + deadline_s
    # Asked each time: an agent has its name only some time after it was started.
    while left := [pid for pid in pids if is_alive(pid) and not _is_agent(pid)]:
        names = [_name(pid) for pid in left]
        assert time.monotonic() < latest_s, f"processes {left} ({names}) did not end"
        time.sleep(0.02)
    ended_s = time.time()
    for pid in filter(_is_agent, pids):
        _send(pid, signal.SIGKILL)
    return ended_s


def _is_agent(pid: int) -> bool:
    return _name(pid).startswith(AGENTS)


def _state(pid: int) -> tuple[str, int] | None:
    """Return the state letter and the parent; None for a process that has ended."""
    try:
        letter, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[:2]
    except OSError:
        return None
    return None if letter in GONE else (letter, int(parent))


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it died by itself
        os.kill(pid, number)
