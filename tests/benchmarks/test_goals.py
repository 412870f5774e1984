import numpy as np
import pytest

from tests.benchmarks.goals_figures import (
    PLACES,
    Share,
    hypervolume_chart,
    mean_and_interval,
    share_of,
    table,
)


def searches(volume: float, pct: float, num: int = 6) -> list[list[Share]]:
    """Searches whose volume differs by cut, a hundredth from one to the next."""
    return [
        [
            Share(
                volume=volume + side // 2 / 100, at_limit_pct=pct, num_trials=4 + side,
                num_front=2,
            )
            for _ in PLACES
        ]
        for side in range(num)
    ]  # fmt: skip


def test_the_interval_is_over_cuts_whose_halves_stay_together():
    opposite = np.array([1.0, -1.0] * 5)
    assert mean_and_interval(opposite) == (0, 0, 0)
    mean, low, high = mean_and_interval(np.repeat([1.0, 2.0, 3.0], 2))
    assert mean == 2
    assert 1 <= low < 2 < high <= 3


def test_the_table_has_differences_to_ours_alone_paired():
    lines = table({"ours": searches(0.5, 8.0), "other": searches(0.6, 7.0)}, "ours")
    first, second = lines.rows
    column = lines.headings.index("minus the first")
    assert first[column] == ""
    # Paired: the cuts differ, the differences do not.
    assert second[column] == "0.100 (0.100 to 0.100)"
    assert second[column + 2] == "-1.00 (-1.00 to -1.00)"
    assert second[-2:] == ["6.5", "2.0"]
    assert lines.text[0].startswith("| arm | 12 epochs")


def test_the_chart_has_a_line_for_each_arm():
    chart = hypervolume_chart({"ours": share_of(searches(0.5, 8.0))})
    (trace,) = chart.figure.data
    assert list(trace.x) == list(PLACES)
    assert trace.y[0] == pytest.approx(0.51)
