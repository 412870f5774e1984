"""Speed beside the teacher, as the latest benchmark has it."""

from typing import Any

from results.analysis.speed import speed_ratios
from results.journal.run_folder import RunFolder
from results.tables.trials import trials_table
from tests.worlds.journals import made_record
from tests.worlds.views import view_of


def row(model: str, num_threads: int, batch_size: int, ratio: float | None) -> dict[str, Any]:
    setting = {"num_threads": num_threads, "batch_size": batch_size}
    return {"model": model, **setting, "speed_ratio": ratio}


def benchmark(*rows: dict[str, Any]) -> dict[str, Any]:
    return made_record("benchmark", time_s=1e9, hardware={}, rows=list(rows))


def test_one_utterance_with_the_fewest_threads_counts() -> None:
    record = benchmark(
        row("trial 3", 4, 1, 1.5), row("trial 3", 1, 1, 2.5), row("trial 3", 1, 8, 9.0)
    )
    assert speed_ratios(record) == {3: 2.5}


def test_only_the_latest_benchmark_counts() -> None:
    first, second = benchmark(row("trial 0", 1, 1, 2.0)), benchmark(row("trial 1", 1, 1, 3.0))
    assert view_of([first, second]).speed_ratios == {1: 3.0}


def test_without_benchmark_or_teacher_there_is_none() -> None:
    assert speed_ratios(None) == {}
    assert speed_ratios(benchmark(row("trial 0", 1, 1, None))) == {}


def test_the_table_has_it_for_the_trials_that_were_measured(journal_run: RunFolder) -> None:
    record = benchmark(row("teacher", 1, 1, 1.0), row("trial 5", 1, 1, 2.25))
    rows = trials_table(view_of([*journal_run.read(), record])).to_pylist()
    assert {each["trial"]: each["speed_ratio"] for each in rows if each["speed_ratio"]} == {
        5: 2.25
    }
