"""Times of calls that take turns."""

import random
import time
from collections.abc import Callable, Mapping
from functools import partial

Call = Callable[[], object]
Timer = Callable[..., Mapping[str, list[float]]]


def time_interleaved(
    calls: Mapping[str, Call],
    *,
    rounds: int,
    warmup_rounds: int,
    seed: int,
    on_round: Callable[[], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time every call once per round, in a new random order each round.

    Taking turns spreads a slow phase of the machine over all calls, and the random order removes
    effects of what ran just before.

    Args:
        calls: The functions to time, by name.
        rounds: Number of timed rounds.
        warmup_rounds: Number of untimed rounds before them.
        seed: Seed of the order.
        on_round: Called after every round, outside of the timed part.
        clock: Returns seconds.

    Returns:
        The seconds of each call by name, one per round.
    """
    generator = random.Random(seed)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for round_number in range(warmup_rounds + rounds):
        for name in generator.sample(list(calls), len(calls)):
            start = clock()
            calls[name]()
            elapsed = clock() - start
            if round_number >= warmup_rounds:
                seconds[name].append(elapsed)
        if on_round:
            on_round()
    return seconds


# CPU time, so that a thread that waits for its core, on a machine with other work, is not slow.
CPU_TIMER: Timer = partial(time_interleaved, clock=time.thread_time)
