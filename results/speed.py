"""How fast the trials are beside the teacher, by the latest benchmark of a run."""

from collections.abc import Iterable

from results.benchmark import trial_name
from results.history import latest
from results.journal import Record

ONE_UTTERANCE = 1


def speed_ratios(records: Iterable[Record]) -> dict[str, float]:
    """The teacher's latency over the model's, by the model's name in the benchmark.

    Of one utterance at a time, with as few threads as were measured. Only the latest benchmark
    counts, since an earlier one may be of another machine; a model that it lacks is left out.
    """
    benchmark = latest(records, "benchmark")
    rows = [] if benchmark is None else benchmark["rows"]
    ratios: dict[str, float] = {}
    for row in sorted(rows, key=lambda row: -int(row["num_threads"])):
        if row["batch_size"] == ONE_UTTERANCE and row.get("speed_ratio") is not None:
            ratios[row["model"]] = float(row["speed_ratio"])
    return ratios


def trial_speed_ratios(records: Iterable[Record], trials: Iterable[int]) -> dict[int, float]:
    """The same by the trials' numbers."""
    ratios = speed_ratios(records)
    return {trial: ratios[name] for trial in trials if (name := trial_name(trial)) in ratios}
