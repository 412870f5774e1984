"""Timed calls alternate in rounds of random order."""

import time

from trainable.cost.timing import CPU_TIMER, time_interleaved


def turns(seed: int, rounds: int = 20, warmup_rounds: int = 2) -> tuple[str, dict[str, int]]:
    made: list[str] = []
    calls = {name: lambda name=name: made.append(name) for name in "abc"}
    seconds = time_interleaved(calls, rounds=rounds, warmup_rounds=warmup_rounds, seed=seed)
    return "".join(made), {name: len(times) for name, times in seconds.items()}


def test_each_round_calls_each_once_and_warmup_is_not_timed() -> None:
    order, counts = turns(0)
    assert [sorted(order[n : n + 3]) for n in range(0, len(order), 3)] == [list("abc")] * 22
    assert counts == {"a": 20, "b": 20, "c": 20}


def test_the_order_varies_between_rounds_and_follows_from_the_seed() -> None:
    order, _ = turns(0)
    assert len({order[n : n + 3] for n in range(0, len(order), 3)}) == 6
    assert turns(0)[0] == order
    assert turns(1)[0] != order


def test_every_round_is_reported_after_its_calls() -> None:
    order: list[str] = []
    calls = {"a": lambda: order.append("a")}
    time_interleaved(
        calls, rounds=2, warmup_rounds=1, seed=0, on_round=lambda: order.append("round")
    )
    assert order == ["a", "round"] * 3


def test_time_in_which_a_thread_waits_is_no_cpu_time() -> None:
    calls = {"waits": lambda: time.sleep(0.05)}
    seconds = time_interleaved(calls, rounds=2, warmup_rounds=0, seed=0)["waits"]
    assert min(seconds) >= 0.05
    assert max(CPU_TIMER(calls, rounds=2, warmup_rounds=0, seed=0)["waits"]) < 0.02
