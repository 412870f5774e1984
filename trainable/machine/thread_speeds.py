"""The speed of a computation by its number of threads, and the number to choose.

On a machine that others use too, two threads can be several times slower than one: each operator
ends with its slowest thread, and waits for one that has no CPU.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from trainable.machine.cores import most_threads
from trainable.machine.memory_share import set_compute_threads

# More threads are kept as long as they lose less than this against fewer: the number decides how
# sums are rounded, and on a machine of one's own it should be the same in every run.
KEPT_SHARE = 0.8
MEASURED_S = 6.0
MIN_ROUNDS, MAX_ROUNDS = 2, 5

Speeds = Mapping[int, float]


def candidates(most: int) -> list[int]:
    """Return the numbers of threads to measure: `most`, its halves, and 1."""
    found = [most]
    while found[-1] > 1:
        found.append(found[-1] // 2)
    return found


def best_threads(speeds: Speeds) -> int:
    """Return the largest number of threads that loses little against the fastest."""
    enough = KEPT_SHARE * max(speeds.values())
    return max(number for number, speed in speeds.items() if speed >= enough)


def timed_speeds(work: Callable[[], int], numbers: Sequence[int]) -> Speeds:
    """Return what a computation gets done a second, by number of threads.

    The numbers take turns, since the load of others changes.

    Args:
        work: Computes, and returns how much.
        numbers: Numbers of threads.
    """
    size = 0
    seconds: dict[int, list[float]] = {number: [] for number in numbers}
    began_s = time.perf_counter()
    for done in range(MAX_ROUNDS + 1):
        for number in numbers:
            set_compute_threads(number)
            start_s = time.perf_counter()
            size = work()
            if done:  # the first round is a warm-up
                seconds[number].append(time.perf_counter() - start_s)
        if done >= MIN_ROUNDS and time.perf_counter() - began_s > MEASURED_S:
            break
    return {number: size / statistics.median(each) for number, each in seconds.items()}


def choose_threads(work: Callable[[], int]) -> str | None:
    """Set the threads of this process for a computation; return a line on the choice.

    Args:
        work: A part of the computation, which is repeated; returns how many crops it has.

    Returns:
        None where one thread is all that there is.
    """
    most = most_threads()
    if most == 1:
        return None
    speeds = timed_speeds(work, candidates(most))
    number = best_threads(speeds)
    set_compute_threads(number)
    return f"{number} of at most {most} threads (measured: {speeds_in_words(speeds)})"


def speeds_in_words(speeds: Speeds) -> str:
    """Return speeds as text: `45 crops/s with 1, 12 crops/s with 2`."""
    return ", ".join(f"{speed:.0f} crops/s with {number}" for number, speed in speeds.items())
