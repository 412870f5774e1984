"""The table of `make chaos`."""

import io

from rich.console import Console

from tests.chaos.__main__ import FAULTS
from tests.chaos.accounting import Losses
from tests.chaos.faults import Injection, Outcome
from tests.chaos.report import COLUMNS, complaints, markdown_table, rich_table, row, wide_console


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


def test_an_unknown_time_is_a_dash():
    assert row(Outcome(fault="f", injected=(hit(None, None),), losses=Losses()))[-2:] == ("-", "-")


def test_searches_of_one_fault_make_one_row():
    one = Outcome(fault="f", injected=(hit(1.0, 1.0),), losses=Losses(epochs_lost=1))
    lines = markdown_table([one + one]).splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("| f | 2 | 0 | 0 | 2 |")


def test_the_table_can_be_read_on_80_columns():
    often = tuple(hit(float(number), None if number % 2 else 123.4) for number in range(20))
    outcomes = [Outcome(fault=name, injected=often, losses=Losses()) for name in FAULTS]
    out = io.StringIO()
    Console(file=out, width=80).print(rich_table(outcomes))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    head, *rows = [part for part in text.split("─" * 40) if part.strip(" ─\n")][1:]
    required = (
        "fault", "times injected", "trials lost", "epochs lost", "epochs repeated",
        "time to notice, s", "time to recover, s",
    )  # fmt: skip
    for name in required:
        assert name in COLUMNS
        assert set(name.split()) <= set(head.split())
    assert len(rows) == len(FAULTS)
    for name, shown in zip(FAULTS, rows, strict=True):
        assert {*name.split(), "20", "9.5", "(19.0)", "123.4"} <= set(shown.split())


def test_what_is_piped_has_room(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert wide_console().width == 120


def test_only_faults_are_listed():
    injected = (hit(1.0, 1.0), hit(1.0, 1.0))
    good = Losses(epochs_again=9)
    assert complaints(Outcome(fault="f", injected=injected, losses=good), 2) == []
    bad = Losses(
        trials_lost=1, trials_repeated=2, epochs_lost=3, epochs_repeated=4, stop_faults=("a", "b")
    )
    assert complaints(Outcome(fault="f", injected=injected, losses=bad), 3) == [
        "f: injected 2 of 3 times", "f: 1 trials lost", "f: 2 trials run twice",
        "f: 3 epochs lost", "f: 4 epochs repeated", "f: a", "f: b",
    ]  # fmt: skip
