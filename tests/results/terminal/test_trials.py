"""The trials in a terminal: order, emphasis, and the columns on a narrow screen."""

import io
import re
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console, RenderableType

from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from results.tables.trials import trials_table
from results.terminal.grid import GridColumn, fitted, grid, grid_width
from results.terminal.listing import trial_listing
from results.terminal.sparklines import BARS
from results.terminal.trials import interval_text, repeats_text
from tests.worlds.views import TEACHER, body_of, listed, table_of, text_of


def coloured(view: RenderableType, **options: Any) -> str:
    out = io.StringIO()
    Console(file=out, width=200, force_terminal=True, color_system="standard", **options).print(
        view
    )
    return out.getvalue()


FULL = table_of(
    {"rank": 1, "trial": 7, "veer_pct": 9.53, "veer_low_pct": 8.1, "veer_high_pct": 11.24,
     "is_tied": True, "median_veer_pct": 9.9, "last_veer_pct": 10.1, "speed_ratio": 2.306,
     "num_repeats": 3, "repeat_mean_pct": 9.61, "repeat_sd_pct": 0.124},
    {"rank": 2, "trial": 3, "veer_pct": 10.25, "veer_low_pct": 9.0, "veer_high_pct": 12.06,
     "is_tied": True, "median_veer_pct": 10.5, "last_veer_pct": 11.0,
     "num_repeats": 1, "repeat_mean_pct": 10.4},
    {"rank": 2, "same_as": 3, "veer_pct": 10.25, "is_tied": True, "median_veer_pct": 10.5},
    {"rank": 3, "trial": 0, "veer_pct": 14.0, "veer_low_pct": 12.5, "veer_high_pct": 15.5,
     "is_tied": False, "state": "stopped_early", "epochs": 3, "median_veer_pct": 15.0},
    {"trial": 1, "state": "failed", "epochs": 0, "reason": "worker died"},
    {"trial": 8, "follow_up": "repeat", "follows": 3, "veer_pct": 10.4},
    {"trial": 9, "follow_up": "control", "follows": 0, "veer_pct": 12.0},
    {"trial": 10, "follow_up": "repeat", "follows": 99, "veer_pct": 12.5},
)  # fmt: skip
CURVES = {
    7: [40.0, 20.0, 15.0, 12.0, 11.0, 10.0, 9.53, 9.8, 10.1],
    3: [40.0, 25.0, None, 15.0, 12.0, 11.0, 10.5, 10.25, 11.0],
    0: [41.0, 20.0, 14.0],
    8: [40.0] * 8 + [10.4],
}  # fmt: skip


def test_what_belongs_together_stands_in_one_cell() -> None:
    lines = body_of(text_of(listed(FULL, TEACHER, curves=CURVES)))
    best = lines[1].split()
    assert best[:5] == ["1", "7", "9.53", "(8.1-11.2)", "9.61"]
    assert "9.61 ± 0.12 (3)" in lines[1]
    assert "10.40 (1)" in lines[2]
    assert re.search(r"583,712 +2\.31 +█", lines[1])


def test_numbers_and_intervals_are_each_aligned() -> None:
    lines = body_of(text_of(listed(FULL, TEACHER, curves=CURVES)))
    column = lines[0].index("7.50") + 1
    points = {line[:40].find(".") for line in lines}
    assert points == {column, -1}  # -1: the failed one has no VEER
    assert len({line.index("(") for line in lines if re.search(r"\(\d+\.\d-", line)}) == 1


def test_the_columns_that_matter_come_first() -> None:
    assert trial_listing(FULL).columns == [
        "rank", "trial", "veer_pct", "repeat_mean_pct", "param.training.lr", "state", "epochs",
        "num_params", "speed_ratio", "median_veer_pct", "last_veer_pct", "best_epoch", "note",
    ]  # fmt: skip


def test_ties_are_marked_and_explained() -> None:
    text = text_of(listed(FULL, TEACHER))
    marked = [line.split()[1] for line in body_of(text) if "≈" in line]
    assert marked == ["3", "="]
    assert "≈: cannot be distinguished from the first in rank" in text


def test_journals_without_intervals_have_a_plain_column(
    journal_run: RunFolder,
) -> None:
    text = text_of(listed(trials_table(RunView.read(journal_run))))
    assert "95 %" not in text
    assert "≈" not in text
    assert "repeats" not in text
    assert interval_text({"veer_pct": 5.0}) == ""
    assert repeats_text({"repeat_mean_pct": None}) == "-"


def test_follow_ups_stand_below_the_trial_that_they_follow() -> None:
    text = text_of(listed(FULL, TEACHER))
    trials = [re.sub(r"^ +\S+ +", "", line)[:10].strip() for line in body_of(text)]
    assert [re.match(r"(\D*\d+|teacher)", trial)[0] for trial in trials] == [  # type: ignore[index]
        "teacher", "7", "3", "= 3", "repeat 8", "0", "control 9", "1", "repeat 10",
    ]  # fmt: skip
    assert "repeat N: trial N is the one above it with another seed" in text
    assert "control N: trial N is the one above it, stopped early, run again" in text
    assert "repeat N" not in text_of(listed(FULL.slice(0, 5), TEACHER))


def test_follow_ups_are_folded_into_the_line_of_their_trial() -> None:
    listing = trial_listing(FULL, TEACHER, is_folded=True)
    assert [row["trial"] for row in listing.rows] == ["teacher", 7, 3, "= 3", 0, 1, 10]
    notes = {row["trial"]: row.get("note") for row in listing.rows}
    assert notes[0] == "control 9: 12.00 %"
    assert notes[3] is None  # its repeats are in the column of their mean
    assert listing.remarks[-1] == (
        "2 repeats and controls are in the lines of their trials; --all gives each a line"
    )
    # Nothing is lost where the trial itself is not listed.
    only = trial_listing(FULL.slice(5, 3), is_folded=True)
    assert [row["trial"] for row in only.rows] == [8, 9, 10]


def test_what_was_searched_over_is_shown_at_160_columns() -> None:
    """Loss, alpha and learning rate stay, whatever is measured beside them."""
    names = ["training.lr", "loss.distillation", "loss.alpha", "model.num_blocks"]
    losses = ["cosine", "mse", "infonce", "none"]
    rows = [
        {"rank": place + 1, "trial": place, "veer_pct": 9.0 + place, "veer_low_pct": 8.0,
         "veer_high_pct": 12.0 + place, "is_tied": True, "median_veer_pct": 9.9 + place,
         "last_veer_pct": 10.1, "speed_ratio": 2.3, "num_repeats": 3, "repeat_mean_pct": 9.61,
         "repeat_sd_pct": 0.124, "meets": "target", "best_epoch": 7, "distill_share": 0.3,
         "teacher_cosine": 0.9}
        for place in range(8)
    ]  # fmt: skip
    table = table_of(*rows)
    varied = {"loss.distillation": [losses[n % 4] for n in range(8)],
              "loss.alpha": [0.1 * n for n in range(8)],
              "model.num_blocks": [2 * (n % 3) for n in range(8)]}  # fmt: skip
    for name, values in varied.items():
        table = table.append_column(f"param.{name}", pa.array(values))
    listing = trial_listing(table, TEACHER)
    curves = {n: [40.0] * 12 + [9.0 + n] for n in range(8)}
    text = text_of(listed(table, TEACHER, curves=curves, width=160), 160)
    assert [name.removeprefix("param.") for name in listing.varied[:2]] == [
        "training.lr", "loss.alpha",
    ]  # fmt: skip
    assert set(listing.varied) == {f"param.{name}" for name in names}
    assert "infonce" in text
    assert " distill " in text


def test_a_stopped_curve_ends_early_and_all_have_one_scale() -> None:
    lines = body_of(text_of(listed(FULL, TEACHER, curves=CURVES)))
    found = ["".join(re.findall(f"[{BARS}]", line)) for line in lines]
    # log(41/9.53) = 1.459 over 7 steps; 40 -> 6.88, 20 -> 3.56, 15 -> 2.18, 14 -> 1.85.
    assert found[1] == "█▅▃▂▂▁▁▁▁"
    assert found[2] == "█▆▃▂▂▁▁▂"  # a blank for the epoch without a VEER
    assert found[3] == found[2]  # the other name of the same run
    assert found[5] == "█▅▃"


def test_the_scale_is_explained_where_there_are_curves() -> None:
    text = text_of(listed(FULL, TEACHER, curves=CURVES))
    assert "curve: VEER by epoch, one scale for all, from 9.53 % (▁) to 41 % (█)" in text
    assert "curve" not in text_of(listed(FULL, TEACHER))


def test_the_best_is_bold_green_what_equals_it_green_the_rest_by_its_state() -> None:
    text = coloured(listed(FULL, TEACHER, curves=CURVES))
    by_trial = {
        key: next(line for line in text.splitlines() if key in line)
        for key in ("9.53", "10.25", "14.00", "worker died", "repeat 8")
    }
    codes = {key: set(re.findall(r"\x1b\[([\d;]+)m", line)) for key, line in by_trial.items()}
    assert codes["9.53"] == {"1;32", "0"}
    assert codes["10.25"] == {"32", "0"}
    assert codes["14.00"] == {"2", "0"}
    assert "31" in codes["worker died"]
    assert codes["repeat 8"] == {"2", "0"}


def test_no_color_removes_all_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = coloured(listed(FULL, TEACHER, curves=CURVES))
    numbers = {code for each in re.findall(r"\x1b\[([\d;]+)m", text) for code in each.split(";")}
    assert numbers <= {"0", "1", "2"}


def test_a_long_reason_costs_no_other_column() -> None:
    table = table_of(
        {"rank": 1, "trial": 0, "veer_pct": 9.0},
        {"trial": 1, "state": "failed", "reason": "out of memory: " + "word " * 60},
    )
    view = listed(table, TEACHER, width=100)
    text = text_of(view, 100)
    assert "lr" in text
    assert text.count("word") == 60


def test_control_characters_in_a_value_are_shown_as_escapes() -> None:
    table = table_of({"trial": 1, "state": "failed", "reason": "\x1b[2J[red]x"})
    assert "\\x1b[2J[red]x" in text_of(listed(table))


def columns_of(*widths: int) -> list[GridColumn]:
    return [
        GridColumn(name=f"c{number}", heading="h", cells=["x" * width])
        for number, width in enumerate(widths)
    ]


def test_the_width_is_what_rich_measures() -> None:
    columns = columns_of(3, 12, 7)
    measured = Console(width=500).measure(grid(columns)).maximum
    assert grid_width(columns) == measured == 1 + 3 + 2 + 12 + 2 + 7 + 1


def test_columns_are_left_out_in_the_order_given_until_the_rest_fits() -> None:
    columns = columns_of(10, 10, 10)  # 36 in all
    assert fitted(columns, ["c1", "c0"], 36)[1] == []
    assert fitted(columns, ["c9", "c1", "c0"], 35)[1] == ["c1"]
    kept, left_out = fitted(columns, ["c1", "c0"], 5)
    assert ([column.name for column in kept], left_out) == (["c2"], ["c1", "c0"])
    assert fitted(columns, ["c1"], None)[1] == []
