"""The table of `make chaos`."""

from tests.chaos.accounting import Losses
from tests.chaos.faults import Injection, Outcome
from tests.chaos.report import COLUMNS, markdown_table, row


def hit(notice_s, recover_s):
    return Injection(at_s=0.0, notice_s=notice_s, recover_s=recover_s)


def test_a_row_has_what_was_counted_and_the_median_and_longest_times():
    injected = (hit(1.0, 5.0), hit(2.0, None), hit(9.0, 8.0))
    counted = Losses(
        trials_lost=1, trials_repeated=2, epochs_lost=3, epochs_repeated=4, epochs_again=5,
        stop_faults=("a", "b"),
    )  # fmt: skip
    cells = row(Outcome(fault="power cut", injected=injected, losses=counted))
    assert cells[:8] == ("power cut", "3", "1", "2", "3", "4", "5", "2")
    assert cells[8:] == ("2.0 (9.0)", "6.5 (8.0, of 2)")
    assert len(cells) == len(COLUMNS)


def test_a_time_that_nobody_could_take_is_a_dash():
    assert row(Outcome(fault="f", injected=(hit(None, None),), losses=Losses()))[-2:] == ("-", "-")


def test_searches_of_one_fault_make_one_row():
    one = Outcome(fault="f", injected=(hit(1.0, 1.0),), losses=Losses(epochs_lost=1))
    lines = markdown_table([one + one]).splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("| f | 2 | 0 | 0 | 2 |")
