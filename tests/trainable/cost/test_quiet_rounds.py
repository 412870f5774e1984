"""A machine with other work: what waited is known, repeated, and gives no ratio."""

import math
import time
from pathlib import Path
from typing import Any

import pytest

from trainable.cost import quiet_rounds
from trainable.cost.quiet_rounds import (
    RoundPlan,
    TimedCall,
    TimedRounds,
    ratio_interval,
    run_delay_s,
    time_quiet_rounds,
    timed_call,
)


def plan(**other: Any) -> RoundPlan:
    return RoundPlan(**{"rounds": 3, "warmup_rounds": 1, "limit_s": 5.0, **other})


def test_a_call_that_waits_is_disturbed() -> None:
    assert not timed_call(lambda: time.sleep(0.05), plan()).is_quiet
    assert timed_call(lambda: time.sleep(0.05), plan(most_waiting=math.inf)).is_quiet


def test_a_call_that_computes_is_undisturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.095])
    monkeypatch.setattr(quiet_rounds.time, "thread_time", lambda: next(clock))
    wall = iter([10.0, 10.1])
    monkeypatch.setattr(quiet_rounds.time, "perf_counter", lambda: next(wall))
    delay = iter([3.0, 3.015])
    monkeypatch.setattr(quiet_rounds, "run_delay_s", lambda: next(delay))
    call = timed_call(lambda: None, plan(num_threads=2))
    assert call == TimedCall(pytest.approx(0.1), True)


def test_threads_without_a_cpu_disturb_a_call_whose_own_thread_has_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delay = iter([0.0, 10.0])
    monkeypatch.setattr(quiet_rounds, "run_delay_s", lambda: next(delay))
    assert not timed_call(lambda: sum(range(1000)), plan(num_threads=2)).is_quiet


def rounds_of(flags: list[bool], monkeypatch: pytest.MonkeyPatch, **other: object) -> int:
    """The rounds that are run for calls that are undisturbed by this list, then always."""
    left = iter(flags)
    monkeypatch.setattr(
        quiet_rounds, "timed_call", lambda *_: TimedCall(1.0, next(left, True))
    )
    timed = time_quiet_rounds({"a": lambda: None}, plan(**other))
    return timed.num_rounds("a")


def test_disturbed_rounds_are_repeated_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first is the warm-up.
    assert rounds_of([False], monkeypatch) == 3
    assert rounds_of([False, True, False, False], monkeypatch) == 5
    assert rounds_of([False] * 9, monkeypatch, limit_s=0.0) == 3
    # Ten times as many as begin in any case, the warm-up among them.
    assert rounds_of([False] * 99, monkeypatch) == 39


def test_figures_are_of_undisturbed_calls() -> None:
    quiet, busy = TimedCall(1.0, True), TimedCall(9.0, False)
    timed = TimedRounds({"a": [quiet, busy, quiet], "b": [quiet, quiet, busy], "c": [busy] * 3})
    assert timed.usual_s("a") == [1.0, 1.0]
    assert timed.pairs("a", "b") == [(1.0, 1.0)]
    # All that there is.
    assert timed.usual_s("c") == [9.0] * 3
    assert timed.quiet_s("c") == []


def test_the_interval_of_a_median_is_by_order() -> None:
    assert ratio_interval([1.0] * 5) is None
    assert ratio_interval([3.0, 1.0, 2.0, 6.0, 5.0, 4.0]) == (1.0, 6.0)
    low, high = ratio_interval([float(n) for n in range(100)]) or (0, 0)
    # The exact ranks of 100 are 40 and 61, counted from 1.
    assert (low, high) == (40.0, 59.0)


def test_delays_of_all_threads_are_summed(tmp_path: Path) -> None:
    for task, text in (("1", "5 2000000000 7"), ("2", "5 500000000 7")):
        (tmp_path / task).mkdir()
        (tmp_path / task / "schedstat").write_text(text)
    assert run_delay_s(tmp_path) == 2.5
    assert run_delay_s(tmp_path / "none") == 0.0
