"""Tables on screens of every width: what was searched over first, no figure broken."""

import re

import pyarrow as pa
import pytest

from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from results.terminal.grid import fitted, grid_or_blocks, text_columns, wrapped
from results.terminal.listing import trial_listing
from results.terminal.sparklines import curve_scale
from results.terminal.trials import MEASURED, _spare, trial_columns, trials_view
from tests.worlds.views import TEACHER, body_of, listed, table_of, text_of


def searched_table() -> pa.Table:
    """Trials that differ in eight settings, the loss among them, with all that is measured."""
    rows = [
        {"rank": place + 1, "trial": place, "veer_pct": 9.53 + place, "veer_low_pct": 8.1,
         "veer_high_pct": 11.24 + place, "is_tied": place < 2, "median_veer_pct": 9.9 + place,
         "last_veer_pct": 10.1, "speed_ratio": 2.306, "num_repeats": 3, "repeat_mean_pct": 9.61,
         "repeat_sd_pct": 0.124, "meets": "target", "best_epoch": 7, "distill_share": 0.3,
         "teacher_cosine": 0.9, "decision_pct": 8.4, "state": "stopped_early"}
        for place in range(8)
    ]  # fmt: skip
    rows.append({"trial": 8, "state": "failed", "reason": "worker died"})
    table = table_of(*rows)
    for place, name in enumerate(("loss.alpha", "loss.temperature", "model.hidden_dim",
                                  "model.num_blocks", "training.ema_epochs")):  # fmt: skip
        values = [0.00012345 * 7**place * (row % (place + 2) + 1) for row in range(9)]
        table = table.append_column(f"param.{name}", pa.array(values))
    kinds = [("cosine", "mse", "none")[row % 3] for row in range(9)]
    return table.append_column("param.loss.distillation", pa.array(kinds))


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 120, 160, 200])
def test_what_was_sampled_comes_before_what_is_measured_at_every_width(width: int) -> None:
    table = searched_table()
    curves = {place: [40.0] * 12 + [9.0 + place] for place in range(8)}
    text = text_of(listed(table, TEACHER, curves=curves, width=width), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    listing = trial_listing(table, TEACHER)
    columns = trial_columns(listing, curves, curve_scale(curves))
    kept, left_out = fitted(columns, _spare(listing), width)
    names = [column.name for column in kept]
    assert names[:2] == ["trial", "veer_pct"] or names[:3] == ["rank", "trial", "veer_pct"]
    assert [name for name in names if name in listing.varied] == listing.varied[: len(
        set(names) & set(listing.varied)
    )]  # fmt: skip
    # No line of a row is broken: as many lines as trials, with the teacher's.
    rows = body_of(text)
    assert len(rows) == table.num_rows + 1
    assert set(names) & set(MEASURED) == set() or set(listing.varied) <= set(names)
    assert re.search(r"9\.53", rows[1])
    assert [row for row in rows if "≈" in row] == [rows[2]]
    assert "worker died" in text
    number = len(set(left_out) - {"note"})
    words = " ".join(text.split())
    assert (f"{number} columns left out: veer trials --all-columns" in words) is (number > 1)


def test_speed_is_kept_longer_than_the_figure_that_decides() -> None:
    places = {name: MEASURED.index(name) for name in ("speed_ratio", "decision_pct")}
    assert places["speed_ratio"] < places["decision_pct"]


def test_names_and_values_get_shorter_before_a_column_is_left_out() -> None:
    full = text_of(listed(searched_table(), width=300), 300)
    short = text_of(listed(searched_table(), width=80), 80)
    assert "stopped early" in full
    assert "0.0008641" in full
    assert "8.64e-4" in short


def test_all_columns_are_shown_as_blocks_where_they_do_not_fit(journal_run: RunFolder) -> None:
    view = RunView.read(journal_run)
    shown = text_of(trials_view(view, width=40, has_all_columns=True), 40)
    assert max(map(len, shown.splitlines())) <= 40
    assert re.search(r"^trial 0 *$", shown, re.MULTILINE)
    assert re.search(r"^  parameters +[\d,]+ *$", shown, re.MULTILINE)
    assert "left out" not in shown
    wide = text_of(trials_view(view, width=None, has_all_columns=True), 400)
    assert not re.search(r"^trial 0 *$", wide, re.MULTILINE)


def test_text_is_broken_at_the_joints_of_names_and_never_in_a_figure() -> None:
    assert wrapped("training.ema_epochs", 12).split("\n") == ["training.", "ema_epochs"]
    assert wrapped("6.35 (3.3-11.8)", 10).split("\n") == ["6.35", "(3.3-11.8)"]
    assert wrapped("a" * 25, 10).split("\n") == ["a" * 10, "a" * 10, "a" * 5]
    columns = text_columns(("name", "a", "b"), [("one", "1.234567", "2.345678")])
    assert text_of(grid_or_blocks(columns, width=40), 40).count("2.345678") == 1
    assert text_of(grid_or_blocks(columns, width=18), 18).split() == [
        "name", "one", "a", "1.234567", "b", "2.345678",
    ]  # fmt: skip
