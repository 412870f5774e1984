"""What follows a search takes a small share of its time."""

from search.run.paced import Paced


def test_a_slow_call_is_skipped_until_it_is_a_twentieth_of_the_time() -> None:
    now_s = 10.0
    called_s: list[float] = []

    def takes_a_second() -> None:
        nonlocal now_s
        called_s.append(now_s)
        now_s += 1.0

    paced = Paced(takes_a_second, clock=lambda: now_s)
    paced()
    while now_s < 60.0:
        paced()
        now_s += 0.5
    assert called_s == [10.0, 30.0, 50.0]


def test_a_call_that_takes_no_time_is_never_skipped() -> None:
    calls: list[int] = []
    paced = Paced(lambda: calls.append(1), clock=lambda: 5.0)
    for _ in range(3):
        paced()
    assert calls == [1, 1, 1]
