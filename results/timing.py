"""Timing several calls against each other, so that noise hits all alike."""

import random
import time
from collections.abc import Callable, Mapping

Call = Callable[[], object]


def time_interleaved(
    calls: Mapping[str, Call],
    *,
    rounds: int,
    warmup_rounds: int,
    seed: int,
    on_round: Callable[[], None] | None = None,
) -> dict[str, list[float]]:
    """Times every call once a round, in an order drawn anew for each round.

    Args:
        calls: By name.
        rounds: Timed rounds.
        warmup_rounds: Rounds before them that are not timed.
        seed: Of the order.
        on_round: Told of every finished round, outside of what is timed.

    Returns:
        Seconds of each call by name, in the order of the rounds.
    """
    generator = random.Random(seed)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for round_number in range(warmup_rounds + rounds):
        for name in generator.sample(list(calls), len(calls)):
            start = time.perf_counter()
            calls[name]()
            elapsed = time.perf_counter() - start
            if round_number >= warmup_rounds:
                seconds[name].append(elapsed)
        if on_round:
            on_round()
    return seconds
