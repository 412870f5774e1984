"""Figures of the benchmark `goals`, of searches that are replayed and of those that trained."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.benchmarks import goals_trained
from tests.benchmarks.goals_figures import (
    PLACES,
    Share,
    hypervolume_chart,
    mean_and_interval,
    share_of,
    table,
)
from tests.benchmarks.goals_runs import LIMITED, RANDOM, SEVERAL
from tests.benchmarks.goals_trained import FrontStudent, Searched, Volumes, judged_front
from tests.benchmarks.goals_trained_figures import (
    front_chart,
    fronts_table,
    volume_chart,
    volumes_table,
)
from tests.benchmarks.headline_figures import Judged


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


def searched(arm: str, seed: int, better_pct: float = 0.0) -> Searched:
    """Two trials, of which both are on the front; their EERs are a percent above what was seen."""
    first, second = 10.0 - better_pct, 14.0 - better_pct
    front = tuple(
        FrontStudent(
            trial=trial,
            seen_pct=pct,
            latency=latency,
            judged=Judged(eer_pct=pct + 1, replicates_pct=pct + np.linspace(0.5, 1.5, 11)),
        )
        for trial, pct, latency in ((0, first, 0.4), (1, second, 0.2))
    )
    return Searched(
        arm=arm, seed=seed, num_trials=2, seen=((0, 30.0), (0, first), (1, 20.0), (1, second)),
        latency={0: 0.4, 1: 0.2}, front=front,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found() -> list[Searched]:
    """Two seeds of each arm; the arm with a limit is better, and seed 1 than seed 0."""
    return [
        searched(arm, seed, seed + (2.0 if arm == LIMITED else 0.0))
        for seed in (0, 1)
        for arm in (SEVERAL, LIMITED, RANDOM)
    ]


def test_a_search_has_seen_the_lowest_veer_of_each_trial_so_far(found):
    assert found[0].seen_points(1) == [(30.0, 0.4)]
    assert found[0].seen_points(3) == [(10.0, 0.4), (20.0, 0.2)]
    assert found[0].at_limit_pct(0.3) == 15.0
    assert found[0].at_limit_pct(0.4) == 11.0
    assert found[0].at_limit_pct(0.1) == goals_trained.REFERENCE_PCT


def test_volumes_are_shares_of_what_all_searches_dominate(found):
    volumes = Volumes(found, 0.5)
    best = found[4]
    assert (best.arm, best.seed) == (LIMITED, 1)
    assert volumes.true(best) == volumes.seen(best, 4) == pytest.approx(1)
    # Up to 25 % and 0.5: (25 - 11) * 0.1 + (25 - 15) * 0.2 of (25 - 8) * 0.1 + (25 - 12) * 0.2.
    assert volumes.true(found[0]) == pytest.approx(3.4 / 4.3, rel=1e-3)
    drawn = volumes.replicates(found[0])
    assert len(drawn) == 11
    assert drawn[5] == pytest.approx(volumes.true(found[0]))
    assert drawn[0] > drawn[-1]


def test_the_tables_of_trained_searches_compare_seed_by_seed(found):
    lines = volumes_table(found, Volumes(found, 0.5), 0.3, 4)
    rows = {row[0]: dict(zip(lines.headings, row, strict=True)) for row in lines.rows}
    assert list(rows) == [SEVERAL, LIMITED, RANDOM]
    assert rows[SEVERAL]["over speakers"] == ""
    # Each seed of random search is that of the first arm; the other is 2 points better in both.
    assert rows[RANDOM]["minus the first, over seeds"] == "0.00 (0.00 to 0.00)"
    assert rows[LIMITED]["minus the first, over seeds"] == "-2.00 (-2.00 to -2.00)"
    assert rows[LIMITED]["EER % at a latency of 0.3"].startswith("12.50 (")
    low, high = map(float, rows[LIMITED]["over speakers"].split(" to "))
    assert 0 < low <= high
    assert fronts_table(found).rows[0] == [
        SEVERAL, "0", "2",
        "0.200: 15.00 (14.53 to 15.47), seen 14.00; 0.400: 11.00 (10.53 to 11.47), seen 10.00",
    ]  # fmt: skip


def test_the_charts_of_trained_searches_have_a_line_of_each_search_and_each_arm(found):
    fronts = front_chart(found).figure
    assert [trace.name for trace in fronts.data if trace.showlegend] == [SEVERAL, LIMITED, RANDOM]
    assert len(fronts.data) == 6
    assert list(fronts.data[0].x) == [0.2, 0.4]
    bands_and_means = volume_chart(found, Volumes(found, 0.5), 4).figure.data
    assert [len(trace.x) for trace in bands_and_means] == [8, 4] * 3


def test_only_the_front_is_scored_on_the_other_speakers(monkeypatch):
    trials = [
        SimpleNamespace(trial=trial, best_veer_pct=pct, epochs={1: pct})
        for trial, pct in enumerate((9.0, 12.0, 8.0, 13.0))
    ]
    trials.append(SimpleNamespace(trial=4, best_veer_pct=None, epochs={}))
    costs = {0: 0.3, 1: 0.2, 2: 0.4, 3: 0.3, 4: 0.1}
    monkeypatch.setattr(
        goals_trained, "load_best", lambda _, trial: SimpleNamespace(model=trial.trial)
    )
    judge = SimpleNamespace(judge=lambda model: f"judged {model}")
    front = judged_front(SimpleNamespace(), trials, costs, judge)
    assert [(each.trial, each.seen_pct, each.judged) for each in front] == [
        (2, 8.0, "judged 2"), (0, 9.0, "judged 0"), (1, 12.0, "judged 1"),
    ]  # fmt: skip
