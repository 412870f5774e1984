"""The spread due to seeds: worked by hand, and against simulated runs."""

import math

import numpy as np
import pytest
from scipy.stats import studentized_range
from scipy.stats import t as student_t

from results.audit.seeds import audit_seeds
from tests.worlds.made_up_trials import trial


def test_seeds_pool_the_spread_of_every_config():
    """Deviations -1 0 1 of one and -1 1 of another: (2 + 2) / (2 + 1), so 2 / sqrt(3)."""
    trials = [trial(0, [5.0]), trial(1, [6.0])]
    trials += [
        trial(2 + n, [veer], recipe=0, follow_up="repeat", follows=0)
        for n, veer in enumerate((9.0, 10.0, 11.0))
    ]
    trials += [
        trial(5 + n, [veer], recipe=1, follow_up="repeat", follows=1)
        for n, veer in enumerate((7.0, 9.0))
    ]
    found = audit_seeds(trials, 3)
    assert [(g.trials, g.kind, g.mean_pct) for g in found.groups] == [
        ((2, 3, 4), "repeat", 10.0),
        ((5, 6), "repeat", 8.0),
    ]
    assert [g.sd_pct for g in found.groups] == pytest.approx([1.0, math.sqrt(2)])
    sd = math.sqrt(4 / 3)
    assert (found.pooled_sd_pct, found.degrees) == (pytest.approx(sd), 3)
    assert found.pair_pct == pytest.approx(student_t.ppf(0.975, 3) * sd * math.sqrt(2))
    # Trial 1 is the first, by a mean of 8 against 10, over two runs at least.
    assert (found.best, found.runs_each, found.spread_pct) == ((1, 0), 2, 2.0)
    assert found.told_apart_pct == pytest.approx(studentized_range.ppf(0.95, 2, 3) * sd / 2**0.5)
    # Of two the range is the difference: Tukey's is then Student's.
    assert found.told_apart_pct == pytest.approx(found.pair_pct / math.sqrt(2), rel=1e-6)


def test_repetitions_of_the_search_are_groups_too():
    trials = [trial(0, [5.0], recipe="a"), trial(1, [7.0], recipe="a"), trial(2, [6.0])]
    trials.append(trial(3, [30.0], "stopped_early", recipe="a"))
    found = audit_seeds(trials, 2)
    [group] = found.groups
    assert (group.trials, group.kind) == ((0, 1), "repetition")
    assert (found.best, found.runs_each, found.spread_pct) == ((0, 2), 1, 1.0)


def test_a_finalists_own_run_is_not_among_its_repeats():
    trials = [trial(0, [1.0])]
    trials.append(trial(1, [5.0], recipe=0, follow_up="repeat", follows=0))
    assert audit_seeds(trials, 3) is None
    trials.append(trial(2, [7.0], recipe=0, follow_up="repeat", follows=0))
    found = audit_seeds(trials, 3)
    assert found.groups[0].mean_pct == 6.0
    assert (found.best, found.told_apart_pct) == ((0,), None)


def test_seeds_by_themselves_set_the_best_so_far_apart_once_in_twenty():
    """Means of 4 runs of three equal configs, their spread estimated from the same runs."""
    trials = [trial(n, [20.0]) for n in range(3)]
    for n in range(12):
        repeat = trial(3 + n, [20.0 + n], recipe=n % 3, follow_up="repeat", follows=n % 3)
        trials.append(repeat)
    found = audit_seeds(trials, 3)
    factor = found.told_apart_pct / found.pooled_sd_pct
    runs = np.random.default_rng(1).normal(20, 0.5, (20_000, 3, 4))
    pooled = np.sqrt(runs.var(axis=2, ddof=1).mean(axis=1))
    assert np.mean(np.ptp(runs.mean(axis=2), axis=1) > factor * pooled) == pytest.approx(
        0.05, abs=0.006
    )
