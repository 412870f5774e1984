"""The tables of a run against its journal."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results.analysis.run_view import RunView
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.search_records import SearchStarted
from results.tables.schema import EPOCH_COLUMNS, PARAM_PREFIX, TRIAL_COLUMNS
from results.tables.trials import epochs_table, trials_table, write_tables
from tests.worlds.journal_writing import report, start
from tests.worlds.journals import made_record
from tests.worlds.views import view_of


@pytest.fixture
def rows(journal_run: RunFolder) -> dict[int, dict[str, object]]:
    return {row["trial"]: row for row in trials_table(RunView.read(journal_run)).to_pylist()}


def test_trials_are_ranked_by_their_best_veer(journal_run: RunFolder) -> None:
    table = trials_table(RunView.read(journal_run))
    assert table.column("trial").to_pylist() == [5, 0, 6, 1, 4, 2, 3]
    assert table.column("rank").to_pylist() == [1, 2, 3, 4, 5, None, None]


def test_outcomes_stay_distinct(rows: dict[int, dict[str, object]]) -> None:
    states = {trial: row["state"] for trial, row in rows.items()}
    assert states == {
        0: "complete",
        1: "stopped_early",
        2: "diverged",
        3: "failed",
        4: "running",
        5: "complete",
        6: "complete",
    }
    assert rows[2]["reason"] == "loss is nan"
    assert rows[4]["reason"] is None


def test_a_row_describes_the_best_epoch_and_the_last(rows: dict[int, dict[str, object]]) -> None:
    row = rows[0]
    assert (row["veer_pct"], row["best_epoch"], row["last_veer_pct"]) == (12.0, 2, 13.0)
    assert row["epochs"] == 3
    assert row["distill_share"] == pytest.approx(0.2)
    assert row["teacher_cosine"] == pytest.approx(0.4)
    assert row["num_params"] == 1000
    assert row["duration_s"] == pytest.approx(3 * 2.5)


def test_time_and_memory_are_those_of_all_epochs(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        start(journal, 0, loss__distillation="none", training__lr=1e-3)
        report(journal, 0, 1, 20.0, samples_per_s=100.0, train_s=3.0, eval_s=1.0)
        later = {"train_s": 1.0, "eval_s": 1.0, "samples_per_s": 300.0}
        report(journal, 0, 2, 20.0, **later, peak_memory_mib=700.0, overhead_share=0.1)
        report(journal, 0, 3, 20.0, **later, peak_memory_mib=650.0, overhead_share=0.3)
    (row,) = trials_table(RunView.read(tmp_path)).to_pylist()
    # 300 + 300 + 300 crops in 5 s; the first epoch has no memory and no overhead.
    assert row["samples_per_s"] == pytest.approx(180)
    assert (row["peak_memory_mib"], row["overhead_share"]) == (700.0, pytest.approx(0.2))
    assert (row["duration_s"], row["eval_share"]) == (8.0, pytest.approx(3 / 8))


def test_runs_of_before_memory_was_reported_have_nulls(rows: dict[int, dict[str, object]]) -> None:
    assert (rows[0]["peak_memory_mib"], rows[0]["overhead_share"]) == (None, None)
    assert rows[3]["samples_per_s"] is rows[3]["eval_share"] is None


def test_a_trial_without_epochs_has_nulls(rows: dict[int, dict[str, object]]) -> None:
    row = rows[3]
    assert [row[name] for name in ("veer_pct", "best_epoch", "last_veer_pct", "num_params")] == (
        [None] * 4
    )
    assert (row["epochs"], row["duration_s"]) == (0, 0.0)


def test_an_epoch_reported_twice_counts_once_as_reported_last(journal_run: RunFolder) -> None:
    table = epochs_table(RunView.read(journal_run))
    kept = [row for row in table.to_pylist() if row["trial"] == 4]
    assert [(row["epoch"], row["veer_pct"]) for row in kept] == [(1, 31.0)]
    assert table.num_rows == 3 + 2 + 2 + 1 + 1 + 1


def test_parameters_are_null_where_they_were_not_sampled(
    rows: dict[int, dict[str, object]],
) -> None:
    assert rows[0]["param.loss.alpha"] == 0.7
    assert rows[5]["param.loss.alpha"] is None
    assert rows[1]["param.loss.temperature"] == 4.0
    assert rows[0]["param.loss.temperature"] is None
    assert rows[5]["param.model.num_blocks"] == 4


def test_a_shared_run_has_a_row_a_name(shared_run: RunFolder) -> None:
    table = trials_table(RunView.read(shared_run))
    kept = table.select(["rank", "trial", "same_as", "veer_pct", "meets", "param.preset"])
    assert [tuple(row.values()) for row in kept.to_pylist()] == [
        (1, 1, None, 10.25, "target", "no_distillation"),
        (1, None, 1, 10.25, "target", "alpha_0"),
        (2, 0, None, 11.0, "target", "v2_large"),
        (2, None, 0, 11.0, "target", "p4c_wide_shallow"),
        (3, 3, None, 20.0, None, "v2_cosine"),
        (None, 2, None, 4.0, None, "v1_mse"),
    ]
    first, again = table.to_pylist()[2:4]
    differing = {name for name in first if first[name] != again[name]}
    assert differing == {"trial", "same_as", "param.preset"}


def test_parameters_of_repetitions_have_columns_too() -> None:
    config = {"loss": {"distillation": "none"}}
    start = made_record("trial_started", trial=0, params={"a": 1}, config=config)
    again = made_record("repeated", params={"b": 2}, config_hash="", same_as=0)
    rows = trials_table(view_of([start, again])).to_pylist()
    assert [(row["param.a"], row["param.b"]) for row in rows] == [(1, None), (None, 2)]


def distilled(
    share: float | None, cosine: float | None, *, state: str = "complete", **loss: object
) -> bool | None:
    config = {"loss": {"distillation": "mse", **loss}}
    records = [
        made_record("trial_started", trial=0, config=config),
        made_record(
            "epoch", trial=0, epoch=1, veer_pct=9.0, distill_share=share, teacher_cosine=cosine
        ),
        made_record("trial_ended", time_s=2.0, trial=0, state=state, reason=None),
    ]
    flag = trials_table(view_of(records)).column("distill_has_no_effect").to_pylist()[0]
    assert flag is None or isinstance(flag, bool)
    return flag


def test_the_notes_first_attempt_is_flagged() -> None:
    # V1: alpha 0.5, cross-entropy about 3, distillation stuck at 2/512/16 (right angles).
    term = 2 / 512 / 16
    assert distilled(0.5 * term / (0.5 * 3.0 + 0.5 * term), 0.0) is True


def test_with_stages_only_the_share_decides() -> None:
    assert distilled(0.23, 0.01, stages="cosine") is False
    assert distilled(0.23, 0.01) is True
    assert distilled(0.001, 0.9, stages="cosine") is True


def test_the_notes_second_attempt_is_not_flagged() -> None:
    # V2: alpha 0.7, (1-0.7)*3.0 + 0.7*0.35: the share is 21 %.
    assert distilled(0.245 / 1.145, 0.65) is False


@pytest.mark.parametrize(
    ("share", "cosine", "flag"),
    [(0.0099, 0.9, True), (0.01, 0.9, False), (0.5, 0.099, True), (0.5, 0.1, False)],
)
def test_either_threshold_flags(share: float, cosine: float, flag: bool) -> None:
    assert distilled(share, cosine) is flag


def test_a_trial_stopped_early_is_judged_only_by_the_share() -> None:
    assert distilled(0.3, 0.02, state="stopped_early") is False
    assert distilled(0.001, 0.02, state="stopped_early") is True


@pytest.mark.parametrize("kind", ["mse", "cosine", "infonce", "rkd", "kl", "dkd"])
def test_only_a_loss_that_turns_the_student_is_judged_by_the_cosine(kind: str) -> None:
    assert distilled(0.5, 0.0, distillation=kind) is (kind in {"mse", "cosine", "infonce"})
    assert distilled(0.0099, 0.9, distillation=kind) is True


def test_without_distillation_there_is_no_flag() -> None:
    assert distilled(None, None, distillation="none") is None


def test_a_turn_towards_the_teacher_after_the_best_epoch_clears_the_cosine() -> None:
    config = {"loss": {"distillation": "cosine"}}
    start = made_record("trial_started", trial=0, config=config)
    epochs = [
        made_record(
            "epoch", trial=0, epoch=epoch, veer_pct=veer_pct, distill_share=0.5,
            teacher_cosine=cosine,
        )
        for epoch, veer_pct, cosine in ((1, 9.0, 0.0), (2, 9.5, 0.6))
    ]
    table = trials_table(view_of([start, *epochs]))
    assert table.column("distill_has_no_effect").to_pylist() == [False]


def test_rebuilding_writes_both_tables_with_units_and_meaning(journal_run: RunFolder) -> None:
    view = RunView.read(journal_run)
    write_tables(view)
    trials, epochs = trials_table(view), epochs_table(view)
    read = pq.read_table(journal_run.trials_table)
    assert read.equals(trials)
    assert pq.read_table(journal_run.epochs_table).equals(epochs)
    field = read.schema.field("veer_pct")
    assert field.metadata[b"unit"] == b"%"
    assert field.metadata[b"meaning"].startswith(b"Lowest validation EER")
    assert all(column.metadata[b"meaning"] for column in read.schema)


def test_rebuilding_replaces_damaged_tables_and_leaves_no_other_file(
    journal_run: RunFolder,
) -> None:
    journal_run.trials_table.write_bytes(b"half a table")
    write_tables(RunView.read(journal_run))
    first = journal_run.trials_table.read_bytes()
    write_tables(RunView.read(journal_run))
    assert journal_run.trials_table.read_bytes() == first
    assert sorted(file.name for file in journal_run.path.iterdir()) == [
        "epochs.parquet",
        "journal.jsonl",
        "trials.parquet",
    ]


def test_a_run_without_trials_gives_empty_tables_of_the_same_columns(tmp_path: Path) -> None:
    with Journal(tmp_path / "run" / "journal.jsonl") as journal:
        journal.append(SearchStarted(settings={}, provenance={}))
    view = RunView.read(tmp_path / "run")
    trials, epochs = trials_table(view), epochs_table(view)
    assert trials.num_rows == epochs.num_rows == 0
    assert trials.column_names == [column.name for column in TRIAL_COLUMNS]
    assert epochs.column_names == [column.name for column in EPOCH_COLUMNS]


@pytest.mark.parametrize(
    ("values", "dtype", "kept"),
    [
        ([1, 2], pa.int64(), [1, 2]),
        ([1, 2.5], pa.float64(), [1.0, 2.5]),
        ([True, None], pa.bool_(), [True, None]),
        (["a", None], pa.string(), ["a", None]),
        ([1, "a"], pa.string(), ["1", "a"]),
    ],
)
def test_a_parameter_column_has_the_type_of_its_values(
    values: list[object], dtype: pa.DataType, kept: list[object]
) -> None:
    records = [
        made_record(
            "trial_started",
            trial=number,
            config={"loss": {"distillation": "none"}},
            params={} if value is None else {"x": value},
        )
        for number, value in enumerate(values)
    ]
    column = trials_table(view_of(records)).column(PARAM_PREFIX + "x")
    assert column.type == dtype
    assert column.to_pylist() == kept
