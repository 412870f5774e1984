"""VEER against latency and size: points, front, teacher."""

from collections.abc import Callable
from typing import Any

import pytest

from results.analysis.run_view import RunView
from results.figures.style import log_ticks, short_number
from results.figures.veer_by_cost import veer_by_latency, veer_by_parameters
from results.records.record import Record
from tests.results.figures.drawing import STARTED, named, trial_records
from tests.worlds.journals import made_record

ViewOf = Callable[[list[Record]], RunView]
TEACHER: Record = made_record(
    "teacher", path="t", veer_pct=7.5, num_params=4000, sha256="",
)  # fmt: skip


def row(model: str, median_ms: float, num_threads: int = 1, batch_size: int = 1) -> dict[str, Any]:
    return {
        "model": model, "latency_median_ms": median_ms, "latency_p95_ms": median_ms + 0.25,
        "num_threads": num_threads, "batch_size": batch_size,
    }  # fmt: skip


@pytest.fixture
def measured(view_of: ViewOf) -> RunView:
    """Trials 0 to 3; 0, 1 and 3 measured, 3 the best."""
    records: list[Record] = [STARTED, TEACHER]
    for trial, veer_pct in enumerate((10.0, 12.0, 11.0, 8.0)):
        own = trial_records(trial, [veer_pct], "stopped_early" if trial == 1 else "complete")
        more: dict[str, Any] = {"num_params": 1000 * (4 - trial)}
        if trial != 2:
            more |= {"veer_low_pct": veer_pct - 1, "veer_high_pct": veer_pct + 2}
        own[1] = own[1].model_copy(update=more)
        records += own
    rows = [
        row("teacher", 50.0), row("trial 0", 4.0), row("trial 1", 3.0), row("trial 3", 9.0),
        row("front end", 1.0), row("trial 2", 1.0, num_threads=2), row("trial 0", 1.0, 1, 8),
    ]  # fmt: skip
    records.append(made_record("benchmark", hardware={}, rows=rows))
    return view_of(records)


def test_latency_is_that_of_one_utterance_on_one_thread(measured: RunView) -> None:
    figure = veer_by_latency(measured)
    best, complete = named(figure, "best: trial 3"), named(figure, "complete")
    assert (best.x, best.y) == ((9.0,), (8.0,))
    assert (complete.x, complete.y) == ((4.0,), (10.0,))
    assert named(figure, "stopped early").x == (3.0,)
    assert named(figure, "teacher").x == (50.0,)
    assert figure is not None
    assert "1 thread" in figure.layout.xaxis.title.text


def test_the_front_leaves_out_what_another_beats(measured: RunView) -> None:
    by_latency = named(veer_by_latency(measured), "Pareto front")
    assert [entry[0] for entry in by_latency.customdata] == [1, 0, 3]
    by_size = named(veer_by_parameters(measured), "Pareto front")
    assert [entry[0] for entry in by_size.customdata] == [3]


def test_intervals_are_bars_where_they_are_known(measured: RunView) -> None:
    complete = named(veer_by_parameters(measured), "complete")
    assert complete.y == (10.0, 11.0)
    assert complete.error_y.array == (2.0, None)
    assert complete.error_y.arrayminus == (1.0, None)
    assert complete.error_x.array is None


def test_times_that_differ_by_noise_make_no_front(view_of: ViewOf) -> None:
    """Within 2 %: 3.05 as 3.10, which is better, and 3.00 as 3.03, which is not as 3.10."""
    records: list[Record] = [STARTED]
    rows = []
    points = ((3.00, 12.0), (3.03, 11.0), (3.05, 10.5), (3.10, 10.0), (9.0, 10.0))
    for trial, (ms, veer_pct) in enumerate(points):
        records += trial_records(trial, [veer_pct])
        rows.append(row(f"trial {trial}", ms))
    records.append(made_record("benchmark", hardware={}, rows=rows))
    front = named(veer_by_latency(view_of(records)), "Pareto front")
    assert [entry[0] for entry in front.customdata] == [1, 3]


def test_bars_to_the_right_end_at_the_95th_percentile(view_of: ViewOf) -> None:
    rows = [row("trial 0", 4.0) | {"latency_p95_ms": 5.5}, row("trial 1", 3.0)]
    records = [STARTED, *trial_records(0, [9.0]), *trial_records(1, [12.0])]
    records.append(made_record("benchmark", hardware={}, rows=rows))
    figure = veer_by_latency(view_of(records))
    best = named(figure, "best: trial 0")
    assert (best.error_x.array, best.error_x.arrayminus) == ((1.5,), (0.0,))
    assert named(figure, "complete").error_x.array == (0.25,)


@pytest.mark.parametrize(
    ("veers", "half_width", "ends"),
    [
        ((10.0, 10.2), None, [9.55, 10.65]),
        ((10.0, 12.0), None, None),
        ((10.0, 10.2), 0.1, [9.55, 10.65]),
        ((10.0, 10.2), 2.0, None),
    ],
)
def test_the_axis_does_not_magnify_small_differences(
    view_of: ViewOf, veers: tuple[float, float], half_width: float | None, ends: list[float] | None
) -> None:
    records: list[Record] = [STARTED]
    for trial, veer_pct in enumerate(veers):
        own = trial_records(trial, [veer_pct])
        more: dict[str, Any] = {"num_params": 1000 + trial}
        if half_width is not None:
            more |= {"veer_low_pct": veer_pct - half_width}
            more |= {"veer_high_pct": veer_pct + half_width}
        own[1] = own[1].model_copy(update=more)
        records += own
    figure = veer_by_parameters(view_of(records))
    assert figure is not None
    assert figure.layout.yaxis.range == (None if ends is None else pytest.approx(ends))


def test_the_axis_is_logarithmic_where_the_range_asks(measured: RunView) -> None:
    latency, size = veer_by_latency(measured), veer_by_parameters(measured)
    assert latency is not None
    assert size is not None
    assert latency.layout.xaxis.type == "log"  # 3 to 50 ms
    assert size.layout.xaxis.type is None  # 1000 to 4000


@pytest.mark.parametrize(("teacher_ms", "kind"), [(7.9, None), (8.1, "log")])
def test_a_teacher_far_off_leaves_the_students_room(
    view_of: ViewOf, teacher_ms: float, kind: str | None
) -> None:
    records: list[Record] = [STARTED]
    rows = [row("teacher", teacher_ms)]
    for trial, ms in enumerate((3.0, 4.0)):
        records += trial_records(trial, [10.0 + trial])
        rows.append(row(f"trial {trial}", ms))
    records.append(made_record("benchmark", hardware={}, rows=rows))
    figure = veer_by_latency(view_of(records))
    assert figure is not None
    assert figure.layout.xaxis.type == kind


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([48_000, 3_900_000], ["10k", "100k", "1M", "10M"]),
        ([3e-4, 3e-3], ["1e-4", "3e-4", "0.001", "0.003", "0.01"]),
        ([1.2, 8.0], ["1", "2", "5", "10"]),
    ],
)
def test_log_ticks_are_round_and_enough(values: list[float], shown: list[str]) -> None:
    ticks = log_ticks(values, min_ticks=2)
    assert set(shown) <= set(ticks["ticktext"])
    inside = [tick for tick in ticks["tickvals"] if values[0] <= tick <= values[-1]]
    assert len(inside) >= 2


@pytest.mark.parametrize(
    ("value", "text"),
    [(2e-4, "2e-4"), (1e-6, "1e-6"), (0.05, "0.05"), (2000, "2000"), (2e4, "20k"), (5e6, "5M")],
)
def test_short_numbers(value: float, text: str) -> None:
    assert short_number(value) == text
