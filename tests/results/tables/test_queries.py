"""The documented queries run, and give what was worked out by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results.tables.schema import EPOCH_COLUMNS, TRIAL_COLUMNS, arrow_schema
from tests.docs_pages.tables import QUERIES, SEVERAL_RUNS

DIM, LOSS = "param.model.hidden_dim", "param.loss.distillation"
PARAMS = [pa.field(DIM, pa.int64()), pa.field(LOSS, pa.string())]
# 2 is the best and 0 is tied with it; 1 was stopped, 3 failed, 4 diverged; a suggestion shares the
# run of 0; 5 and 6 repeat 2, 7 runs the stopped 1 to its end.
ROWS: list[dict[str, Any]] = [
    {
        "rank": 1, "trial": 2, "state": "complete", "veer_pct": 9.0, "median_veer_pct": 9.5,
        "epochs": 3, "num_params": 4_000_000, "distill_share": 0.3, "teacher_cosine": 0.9,
        "duration_s": 54.0, "core_hours": 0.03, "is_tied": True, "behind_pct": 0.0,
        "behind_low_pct": 0.0, "behind_high_pct": 0.0, DIM: 128, LOSS: "cosine",
    },
    {
        "rank": 2, "trial": 0, "state": "complete", "veer_pct": 10.0, "median_veer_pct": 11.0,
        "epochs": 3, "num_params": 1_000_000, "distill_share": 0.25, "teacher_cosine": 0.7,
        "duration_s": 36.0, "core_hours": 0.02, "is_tied": True, "behind_pct": 1.0,
        "behind_low_pct": -0.5, "behind_high_pct": 2.0, DIM: 64, LOSS: "cosine",
    },
    {
        "rank": 2, "same_as": 0, "state": "complete", "veer_pct": 10.0, "median_veer_pct": 11.0,
        "epochs": 3, "num_params": 1_000_000, "distill_share": 0.25, "teacher_cosine": 0.7,
        "duration_s": 36.0, "core_hours": 0.02, "is_tied": True, "behind_pct": 1.0,
        "behind_low_pct": -0.5, "behind_high_pct": 2.0, DIM: 64, LOSS: "cosine",
    },
    {
        "rank": 3, "trial": 1, "state": "stopped_early", "veer_pct": 14.0,
        "median_veer_pct": 14.0, "epochs": 1, "num_params": 4_500_000, "distill_share": 0.05,
        "teacher_cosine": 0.1, "duration_s": 18.0, "core_hours": 0.01, "is_tied": False,
        "behind_pct": 5.0, "behind_low_pct": 3.0, "behind_high_pct": 7.0, DIM: 128, LOSS: "mse",
    },
    {"trial": 3, "state": "failed", "epochs": 0, "duration_s": 0.0, DIM: 64, LOSS: "mse"},
    {
        "trial": 4, "state": "diverged", "veer_pct": 12.0, "median_veer_pct": 12.0, "epochs": 1,
        "num_params": 2_000_000, "duration_s": 9.0, "core_hours": 0.01, DIM: 64, LOSS: "none",
    },
    {
        "trial": 5, "follow_up": "repeat", "follows": 2, "state": "complete", "veer_pct": 9.5,
        "median_veer_pct": 10.0, "epochs": 3, "num_params": 4_000_000, "duration_s": 54.0,
        "core_hours": 0.03, DIM: 128, LOSS: "cosine",
    },
    {
        "trial": 6, "follow_up": "repeat", "follows": 2, "state": "complete", "veer_pct": 9.75,
        "median_veer_pct": 11.0, "epochs": 3, "num_params": 4_000_000, "duration_s": 54.0,
        "core_hours": 0.03, DIM: 128, LOSS: "cosine",
    },
    {
        "trial": 7, "follow_up": "control", "follows": 1, "state": "complete", "veer_pct": 13.0,
        "median_veer_pct": 13.5, "epochs": 2, "num_params": 4_500_000, "duration_s": 36.0,
        "core_hours": 0.02, DIM: 128, LOSS: "mse",
    },
]  # fmt: skip
CURVES = {
    0: [20.0, 10.0, 11.0],
    1: [14.0],
    2: [18.0, 9.5, 9.0],
    4: [12.0],
    5: [17.0, 10.0, 9.5],
    6: [16.0, 11.0, 9.75],
    7: [14.0, 13.0],
}
EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "01-best-by-loss": [("cosine", 2, 9.0, 2), ("mse", 1, 14.0, 1)],
    "02-veer-by-width": [(64, 1, 10.0, 10.0), (128, 2, 9.0, 11.5)],
    "03-cost-by-state": [
        ("complete", 2, 6, 37.5, 0.025, 0.05),
        ("repeat", 2, 6, 37.5, 0.03, 0.06),
        ("control", 1, 2, 12.5, 0.01, 0.02),
        ("diverged", 1, 1, 6.3, 0.003, 0.01),
        ("stopped_early", 1, 1, 6.3, 0.005, 0.01),
        ("failed", 1, 0, 0.0, 0.0, None),
    ],
    "04-tied-with-the-best": [(0, 10.0, 1.0, -0.5, 2.0, 1_000_000), (2, 9.0, 0, 0, 0, 4_000_000)],
    "05-pareto": [(0, 10.0, 1_000_000), (2, 9.0, 4_000_000)],
    "06-learning-curves": [
        (1, 18.0, 20.0, 14.0), (2, 9.5, 10.0, None), (3, 9.0, 11.0, None)
    ],
    "07-epoch-time-by-size": [
        (1, 1, 10.0, 2.0, 100.0), (2, 1, 7.0, 2.0, 100.0), (4, 5, 16.0, 2.0, 100.0)
    ],
    "08-distillation-share": [(0.0, 1, 14.0, 14.0, 0.1), (0.2, 2, 9.0, 9.5, 0.8)],
    "09-survival": [(1, 4, 12.0, 16.0), (2, 2, 9.5, 9.75), (3, 2, 9.0, 10.0)],
    "10-spread-of-seeds": [(2, 9.5, 2, 10.5, pytest.approx(0.5**0.5))],
}  # fmt: skip
# Seconds of training an epoch, by trial.
TRAIN_S = {0: 10.0, 4: 7.0}


def write_run(folder: Path, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True)
    epochs = [
        {"trial": row["trial"], "epoch": epoch, "veer_pct": veer_pct, "eval_s": 2.0}
        | {"train_s": TRAIN_S.get(row["trial"], 16.0), "samples_per_s": 100.0}
        | {"num_params": row["num_params"]}
        for row in rows
        if row.get("trial") in CURVES
        for epoch, veer_pct in enumerate(CURVES[row["trial"]], start=1)
    ]
    trials = pa.schema([*arrow_schema(TRIAL_COLUMNS), *PARAMS])
    pq.write_table(pa.Table.from_pylist(rows, schema=trials), folder / "trials.parquet")
    pq.write_table(
        pa.Table.from_pylist(epochs, schema=arrow_schema(EPOCH_COLUMNS)), folder / "epochs.parquet"
    )


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[tuple[Any, ...]]]:
    """A function that runs a query's file in a run's folder."""
    write_run(tmp_path / "run", ROWS)
    monkeypatch.chdir(tmp_path / "run")

    def answer(name: str) -> list[tuple[Any, ...]]:
        with duckdb.connect() as database:
            return database.execute((QUERIES / f"{name}.sql").read_text()).fetchall()

    return answer


@pytest.mark.parametrize("name", EXPECTED)
def test_a_query_gives_the_hand_worked_rows(
    ask: Callable[[str], list[tuple[Any, ...]]], name: str
) -> None:
    assert ask(name) == EXPECTED[name]


def test_there_are_ten_and_one_of_several_runs() -> None:
    assert sorted(path.stem for path in QUERIES.iterdir()) == [*EXPECTED, SEVERAL_RUNS]
    assert len(EXPECTED) == 10
    for path in QUERIES.iterdir():
        assert path.read_text().startswith("-- "), path


def test_several_runs_stand_beside_each_other(
    ask: Callable[[str], list[tuple[Any, ...]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "runs" / "first", ROWS)
    only = {key: value for key, value in ROWS[0].items() if key != LOSS} | {"veer_pct": 8.0}
    schema = pa.schema([*arrow_schema(TRIAL_COLUMNS), PARAMS[0]])
    table = pa.Table.from_pylist([only], schema=schema)
    (tmp_path / "runs" / "second").mkdir()
    pq.write_table(table, tmp_path / "runs" / "second" / "trials.parquet")
    monkeypatch.chdir(tmp_path)
    assert ask(SEVERAL_RUNS) == [
        ("runs/second", 1, 3, 8.0, 2),
        ("runs/first", 5, 16, 9.0, 2),
    ]
