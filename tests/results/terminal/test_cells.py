"""The text of table cells, as the user sees it."""

import re

import pyarrow as pa
import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from results.analysis.remarks import run_remarks
from results.analysis.run_view import RunView
from results.journal.history import trial_histories
from results.journal.run_folder import RunFolder
from results.tables.query import where
from results.tables.trials import trials_table
from results.terminal.cells import cell, fold_constant, rows_view
from results.terminal.trial import find_trial, trial_view
from spaces.files.errors import RunError
from tests.worlds.journals import made_record
from tests.worlds.views import listed, view_of


def text_of(view: RenderableType, width: int = 250) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


@pytest.fixture
def lines(journal_run: RunFolder) -> list[str]:
    view = RunView.read(journal_run)
    return text_of(listed(trials_table(view), view.teacher)).splitlines()


def body_of(lines: list[str]) -> list[str]:
    rule = next(number for number, line in enumerate(lines) if "──" in line)
    return lines[rule + 1 :]


def test_the_teacher_stands_first(lines: list[str]) -> None:
    first = body_of(lines)[0].split()
    assert first == ["-", "teacher", "7.50", *["-"] * 6, "3,871,904", *["-"] * 5]


# fmt: off
GOLDEN = """\
                                                                                     median    last  distill  teacher   best
 rank    trial  VEER %  preset            state       epochs  parameters  meets   of last 5  VEER %    share   cosine  epoch  note
 ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
    -  teacher   11.50  -                 -                -   3,890,672  -               -       -        -        -      -
    1        1   10.25  no_distillation   complete         1       1,001  target      10.25   10.25        -        -      1
    1      = 1   10.25  alpha_0           complete         1       1,001  target      10.25   10.25        -        -      1
    2        0   11.00  v2_large          complete         2       1,000  target      11.75   11.00   0.2000    0.500      2
    2      = 0   11.00  p4c_wide_shallow  complete         2       1,000  target      11.75   11.00   0.2000    0.500      2
    3        3   20.00  v2_cosine         unfinished       1       1,003  -           20.00   20.00   0.2000    0.500      1
    -        2    4.00  v1_mse            diverged         1       1,002  -            4.00    4.00   0.2000    0.500      1  loss is nan

warning: students without distillation already beat the teacher (10.25 % in trial 1 against 11.50 %): it has little to teach; train it
further, or use a better one
meets: the hardest criterion that the VEER does not exceed, of baseline 12 %, target 11 %, stretch 10 %
2 suggestions not run, outside the limits: max_params 2, max_macs 1
= N: the same config as trial N from other values, so it was not run again
"""  # noqa: E501 - as wide as the screen
# fmt: on


def test_a_table_with_shared_runs_criteria_and_warning(shared_run: RunFolder) -> None:
    run = RunView.read(shared_run)
    view = listed(trials_table(run), run.teacher, remarks=run_remarks(run))
    shown = [line.rstrip() for line in text_of(view, width=140).splitlines()]
    assert shown == ["", *GOLDEN.splitlines()]


def test_a_narrow_screen_keeps_the_names_of_presets(shared_run: RunFolder) -> None:
    shown = text_of(listed(trials_table(RunView.read(shared_run)), width=80), width=80)
    assert "p4c_wide_shallow" in shown
    assert re.search(r"\d+ columns left out: veer trials --all-columns", shown)


def test_a_teacher_of_unknown_figures_stands_first_all_the_same(journal_run: RunFolder) -> None:
    teacher = made_record("teacher", veer_pct=None, num_params=None)
    shown = text_of(listed(trials_table(RunView.read(journal_run)), teacher)).splitlines()
    assert body_of(shown)[0].split() == ["-", "teacher", *["-"] * 13]


def test_without_criteria_met_there_is_no_column_for_them(journal_run: RunFolder) -> None:
    assert "meets" not in text_of(listed(trials_table(RunView.read(journal_run))))


def test_a_warning_stands_out(shared_run: RunFolder) -> None:
    table = trials_table(RunView.read(shared_run))
    caption = listed(table, remarks=["warning: [x]", "plain"]).caption
    assert isinstance(caption, Text)
    assert caption.plain.startswith("warning: [x]\nplain\n= N: the same config")
    assert [str(span.style) for span in caption.spans][:2] == ["bold magenta", "dim"]


def test_numbers_are_aligned_to_the_right(lines: list[str]) -> None:
    end = lines[2].index(" VEER %") + len(" VEER %")
    cells = [line[end - 6 : end + 2] for line in body_of(lines)[:8]]
    assert cells == [
        "  7.50  ",
        " 10.00  ",
        " 12.00  ",
        " 12.00  ",
        " 24.00  ",
        " 31.00  ",
        "  5.00  ",
        "     -  ",
    ]


def test_what_did_not_vary_is_folded_into_the_caption(lines: list[str]) -> None:
    assert "blocks" not in "".join(lines[:3])
    assert lines[2].split()[4:8] == ["lr", "distill", "alpha", "temp"]
    assert "-" not in lines[1]
    assert lines[-2].strip() == "in every trial: model.num_blocks 4"
    assert lines[-1].startswith("no effect: distillation did nothing")


def test_a_narrow_terminal_loses_no_digit(journal_run: RunFolder) -> None:
    text = text_of(listed(trials_table(RunView.read(journal_run))), width=60)
    assert "…" not in text


def test_a_name_that_two_parameters_share_is_shown_whole() -> None:
    rows = [{"param.student.dim": 1, "param.teacher.dim": 2, "param.loss.alpha": 0.5}]
    text = text_of(rows_view(rows, list(rows[0])))
    assert text.splitlines()[1].split() == ["student.dim", "teacher.dim", "alpha"]


def test_distillation_without_effect_is_flagged(lines: list[str]) -> None:
    flagged = [line for line in lines if line.rstrip().endswith("no effect")]
    assert flagged == [line for line in lines if "stopped early" in line]


def test_a_failure_shows_its_reason(lines: list[str]) -> None:
    (failed,) = [line for line in lines if "failed" in line]
    assert failed.rstrip().endswith("worker died")


def test_without_notes_there_is_no_note_column(journal_run: RunFolder) -> None:
    table = where(trials_table(RunView.read(journal_run)), "state=complete")
    assert "note" not in text_of(listed(table))


def test_a_single_row_is_not_folded() -> None:
    assert fold_constant([{"a": 1, "b": 2}], ["a", "b"]) == (["a", "b"], {})
    assert fold_constant([{"a": 1, "b": 2}, {"a": 1, "b": 3}], ["a", "b"]) == (["b"], {"a": 1})


def test_lists_are_folded_too() -> None:
    rows = [{"a": [1, 2], "b": [1, 2]}, {"a": [1, 2], "b": [1, 3]}]
    assert fold_constant(rows, ["a", "b"]) == (["b"], {"a": [1, 2]})


def test_markup_in_a_value_is_shown_as_it_is() -> None:
    assert "[red]x[/]" in text_of(rows_view([{"reason": "[red]x[/]"}], ["reason"]))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("veer_pct", 12.345, "12.35"),
        ("veer_pct", None, "-"),
        ("num_params", 2667392, "2,667,392"),
        ("macs", 486494208, "486.5"),
        ("seed", 1234567, "1234567"),
        ("distill_share", 0.000081, "0.0001"),
        ("param.training.lr", 0.00123456, "0.001235"),
        ("param.loss.distillation", "mse", "mse"),
        ("distill_has_no_effect", True, "yes"),
        ("loss_stages", [0.98765, 1.0, None], "0.9877 1 -"),
    ],
)
def test_a_value_has_the_digits_that_matter(name: str, value: object, text: str) -> None:
    assert cell(name, value) == text


def test_one_trial_shows_figures_config_and_epochs(journal_run: RunFolder) -> None:
    records = journal_run.read()
    text = text_of(trial_view(view_of(records), find_trial(trial_histories(records), 0)))
    assert "distillation: cosine" in text
    assert "VEER █▁▂  12.00 to 20.00 %" in text
    assert "in every epoch: loss_total 3" in text
    assert re.search(r"VEER +12\.00 %, after epoch 2 of 3 *\n", text)
    assert re.search(r"loss\.alpha +0\.7 *\n", text)
    assert "no effect" not in text


def test_one_trial_shows_interval_repeats_and_cost(
    journal_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = journal_run.read()
    measured = {"veer_low_pct": 10.5, "veer_high_pct": 13.25, "num_repeats": 3, "behind_pct": 2.0,
            "behind_low_pct": -0.5, "behind_high_pct": 4.5, "is_tied": True, "core_hours": 0.25,
            "repeat_mean_pct": 12.4, "repeat_sd_pct": 0.3, "speed_ratio": 2.5}  # fmt: skip
    rows = [row | measured for row in trials_table(view_of(records)).to_pylist()]
    table = pa.Table.from_pylist(rows, schema=trials_table(view_of(records)).schema)
    monkeypatch.setattr("results.terminal.trial.trials_table", lambda *_: table)
    text = text_of(trial_view(view_of(records), find_trial(trial_histories(records), 0)))
    words = " ".join(text.split())
    for each in (
        "VEER 12.00 %, 95 % interval 10.50 to 13.25 %, after epoch 2 of 3",
        "behind the best +2.00 points (95 % interval -0.50 to 4.50): cannot be distinguished",
        "repeats 12.40 ± 0.30 % over 3 seeds",
        "cost 8 s, 0.25 core-hours",
        "speed 2.50",
        "VEER █▁▂",
    ):
        assert each in words


def test_one_trial_without_epochs_shows_why(journal_run: RunFolder) -> None:
    records = journal_run.read()
    text = text_of(trial_view(view_of(records), find_trial(trial_histories(records), 3)))
    assert "worker died" in text
    assert "Epochs" not in text


def test_one_trial_shows_where_it_ran_and_its_faults(journal_run: RunFolder) -> None:
    worker = {"host": "[red]n1", "pid": 7, "device": "cpu", "num_threads": 2, "hardware": {}}
    lost = {"kind": "worker_lost", "epoch": 1, "message": "[b]signal 9"}
    extra = [
        made_record("placed", time_s=60.0, trial=4, epoch=0, **worker),
        made_record("infrastructure", time_s=120.0, trial=4, **lost),
    ]
    records = [*journal_run.read(), *extra]
    text = text_of(trial_view(view_of(records), find_trial(trial_histories(records), 4)))
    assert "1970-01-01 00:01:00  started" in text
    assert "on [red]n1, cpu, 2 threads, process 7: no epoch finished there" in text
    assert "1970-01-01 00:02:00  worker_lost  after epoch 1: its process died. [b]signal" in text
    assert "Where it ran" not in text_of(
        trial_view(view_of(records), find_trial(trial_histories(records), 0))
    )


def test_an_unknown_trial_is_an_error_that_names_the_known(journal_run: RunFolder) -> None:
    with pytest.raises(RunError, match="no trial 9; its trials are 0 to 6"):
        find_trial(trial_histories(journal_run.read()), 9)
    with pytest.raises(RunError, match="no trial 9: none has started yet"):
        find_trial([], 9)
