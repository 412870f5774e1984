"""Times of calls on a machine that others use too: what waited for a CPU is known, and repeated.

A call waited for the time in which its thread did not compute, and for the time in which threads
of this process were ready and had no CPU, where the system counts that (Linux).
"""

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trainable.cost.timing import Call

# Share of a call's time. A call of one thread on an idle machine waits for less than 0.01.
MOST_WAITING = 0.1
# Threads of PyTorch and of ONNX Runtime wait for more work actively for some milliseconds.
PAUSE_S = 0.005
# In so many times the rounds that were wanted, where calls are disturbed.
MOST_REPEATS = 10
_TASKS = Path("/proc/self/task")
_NS = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundPlan:
    """How many rounds are timed.

    Attributes:
        rounds: Undisturbed times wanted of each call.
        warmup_rounds: Rounds before, which are not timed.
        limit_s: Seconds after which no further round begins, once `rounds` rounds are done; no
            more than `MOST_REPEATS` times these begin in any case.
        most_waiting: Share of a call's time that it may have waited to count as undisturbed.
        num_threads: Threads that each call computes with.
        seed: Seed of the order of the calls in a round.
    """

    rounds: int
    warmup_rounds: int
    limit_s: float
    most_waiting: float = MOST_WAITING
    num_threads: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TimedCall:
    """One timed call.

    Attributes:
        seconds: Its time.
        is_quiet: Whether it was undisturbed.
    """

    seconds: float
    is_quiet: bool


@dataclass(slots=True)
class TimedRounds:
    """The times of all calls.

    Attributes:
        calls: By name, one per round.
    """

    calls: dict[str, list[TimedCall]] = field(default_factory=dict)

    def quiet_s(self, name: str) -> list[float]:
        """Return the undisturbed times of a call."""
        return [each.seconds for each in self.calls[name] if each.is_quiet]

    def num_rounds(self, name: str) -> int:
        """Return how often a call was timed."""
        return len(self.calls[name])

    def usual_s(self, name: str) -> list[float]:
        """Return the undisturbed times of a call, all times where there is none."""
        return self.quiet_s(name) or [each.seconds for each in self.calls[name]]

    def pairs(self, reference: str, own: str) -> list[tuple[float, float]]:
        """Return the times of two calls in the rounds in which both were undisturbed."""
        both = zip(self.calls[reference], self.calls[own], strict=True)
        return [(a.seconds, b.seconds) for a, b in both if a.is_quiet and b.is_quiet]


def time_quiet_rounds(
    calls: Mapping[str, Call], plan: RoundPlan, on_round: Callable[[], None] | None = None
) -> TimedRounds:
    """Time every call once per round, in a new random order each round, until enough is quiet.

    Args:
        calls: The functions to time, by name.
        plan: How many rounds.
        on_round: Called after each of the first rounds, as many as are planned at least.
    """
    generator = random.Random(plan.seed)
    timed = TimedRounds({name: [] for name in calls})
    end_s = time.monotonic() + plan.limit_s
    number = 0
    at_least = plan.warmup_rounds + plan.rounds
    while number < at_least or (
        time.monotonic() < end_s
        and number < MOST_REPEATS * at_least
        and not _is_enough(timed, plan.rounds)
    ):
        for name in generator.sample(list(calls), len(calls)):
            if plan.num_threads > 1:
                time.sleep(PAUSE_S)
            call = timed_call(calls[name], plan)
            if number >= plan.warmup_rounds:
                timed.calls[name].append(call)
        number += 1
        if on_round and number <= at_least:
            on_round()
    return timed


def timed_call(call: Call, plan: RoundPlan) -> TimedCall:
    """Run a call once."""
    delay_s, computed_s, start_s = run_delay_s(), time.thread_time(), time.perf_counter()
    call()
    seconds = time.perf_counter() - start_s
    idle_s = seconds - (time.thread_time() - computed_s)
    waited_s = max(idle_s, (run_delay_s() - delay_s) / plan.num_threads)
    return TimedCall(seconds, waited_s <= plan.most_waiting * seconds)


def run_delay_s(tasks: Path = _TASKS) -> float:
    """Return how long threads of this process were ready without a CPU; 0 where it is not known.

    Args:
        tasks: Folder with a folder for each thread.
    """
    total_ns = 0
    try:
        for task in os.listdir(tasks):  # noqa: PTH208 - four times as fast, in a timed part
            with open(f"{tasks}/{task}/schedstat") as file:  # noqa: PTH123
                total_ns += int(file.read().split()[1])
    except (OSError, ValueError, IndexError):  # another system, or a thread that has just ended
        return 0.0
    return _NS * total_ns


def machine_load() -> str:
    """Return the load of the machine, processes that want a CPU, over the last minute, as text."""
    try:
        return f"{os.getloadavg()[0]:.1f}"
    except (OSError, AttributeError):  # another system
        return "unknown"


def ratio_interval(ratios: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of the median of ratios by their order; None of fewer than 6."""
    # Six are the fewest whose range contains the median in 95 of 100 cases.
    if len(ratios) < 6:
        return None
    # Kept free of SciPy: the normal approximation of the binomial, rounded outwards.
    half = 0.98 * len(ratios) ** 0.5
    low = max(0, int(len(ratios) / 2 - half))
    ordered = sorted(ratios)
    return ordered[low], ordered[len(ratios) - 1 - low]


def _is_enough(timed: TimedRounds, rounds: int) -> bool:
    return all(len(timed.quiet_s(name)) >= rounds for name in timed.calls)
