import itertools
from fractions import Fraction

import numpy as np
import pytest

from results.analysis.rungs import asha_rungs
from search.estimates import forecast as forecast_module
from search.estimates.forecast import (
    Forecast,
    RungForecast,
    describe,
    forecast,
    rung_epochs,
    simulate,
)
from search.loop.early_stopping import SuccessiveHalving


def counts_by_the_search_itself(veer_pct, rungs, factor, max_epochs, num_at_once):
    """Reached epochs of each trial, epoch by epoch, with the search's own SuccessiveHalving."""
    halving = SuccessiveHalving(rungs, factor)
    reached = dict.fromkeys(range(len(veer_pct)), 0)
    running, waiting = [], list(reached)
    while running or waiting:
        # Trials that step together report in order; one that starts in a step reports in the next.
        while waiting and len(running) < num_at_once:
            running.append(waiting.pop(0))
        for trial in sorted(running):
            reached[trial] += 1
            stop = halving.decide(trial, reached[trial], veer_pct[trial]).stop
            if stop or reached[trial] == max_epochs:
                running.remove(trial)
    return list(reached.values())


@pytest.mark.parametrize("num_at_once", [1, 2, 5, 40])
@pytest.mark.parametrize(
    ("grace_epochs", "factor", "max_epochs"),
    [(9, 3, 27), (1, 2, 9), (3, 3, 81), (2, 1.5, 20), (1, 1.1, 12), (5, 3, 5), (1, 4, 2)],
)
def test_a_simulated_search_stops_whom_the_search_itself_stops(
    grace_epochs, factor, max_epochs, num_at_once
):
    rng = np.random.default_rng(grace_epochs)
    rungs = asha_rungs(grace_epochs, factor, max_epochs)
    for num_trials in (1, 2, 3, 7, 30):
        veer_pct = rng.random(num_trials).tolist()
        epochs = counts_by_the_search_itself(veer_pct, rungs, factor, max_epochs, num_at_once)
        ends = [*rung_epochs(rungs, max_epochs), max_epochs]
        reached = simulate(veer_pct, len(ends) - 1, factor)
        assert reached == [sum(e >= end for e in epochs) for end in ends]
        assert np.dot(reached, np.diff([0, *ends])) == sum(epochs)


# At the rung of epoch 1 the first trial always goes on, and the second if it is the better one.
# The third must lie in the first third of the gap between the best two before it; with VEERs of
# 0, 1 and 2 that is so when it is the best of the three.
@pytest.mark.parametrize(
    ("num_trials", "mean_going_on"), [(2, 1 + Fraction(1, 2)), (3, 1 + Fraction(5, 6))]
)
def test_every_order_of_few_trials(num_trials, mean_going_on):
    going_on = [simulate(order, 1, 3) for order in itertools.permutations(range(num_trials))]
    assert all(reached[0] == num_trials for reached in going_on)
    assert Fraction(sum(reached[1] for reached in going_on), len(going_on)) == mean_going_on


# Of uniform VEERs the third trial is the best with 1/3, and in the first third of the gap with
# 1/3 * 1/3. Four standard errors of a mean over the simulations.
@pytest.mark.parametrize(("num_trials", "mean_going_on"), [(2, 3 / 2), (3, 3 / 2 + 4 / 9)])
def test_forecast_of_few_trials(num_trials, mean_going_on):
    result = forecast(num_trials, 3, [1], 3, num_simulations=10_000)
    assert result.num_complete == pytest.approx(mean_going_on, abs=4 * 0.7 / 10_000**0.5)
    assert result.epochs == pytest.approx(num_trials + 2 * result.num_complete)
    assert (result.epochs_low, result.epochs_high) == (num_trials + 2, 3 * num_trials)
    assert result.rungs == (
        RungForecast(epoch=1, num_reaching=num_trials, num_going_on=result.num_complete),
    )


def test_the_range_holds_nine_searches_in_ten():
    result = forecast(64, 27, [9], 3, seed=1)
    rng = np.random.default_rng(2)
    spent = [
        sum(counts_by_the_search_itself(rng.random(64).tolist(), [9], 3, 27, 4))
        for _ in range(100)
    ]
    inside = sum(result.epochs_low <= epochs <= result.epochs_high for epochs in spent)
    assert 80 <= inside <= 98
    assert result.epochs == pytest.approx(np.mean(spent), rel=0.03)


def test_rungs_hand_on_their_trials():
    result = forecast(100, 81, [3, 9, 27], 3)
    for rung, following in itertools.pairwise(result.rungs):
        assert rung.num_going_on == following.num_reaching
    assert result.rungs[0].num_reaching == 100
    assert result.rungs[-1].num_going_on == result.num_complete
    assert result.epochs_low < result.epochs < result.epochs_high < result.full_epochs == 8100


def test_worked_by_hand():
    # At the first rung 5 goes on, 6 not, 4 does, 4.5 too, since the limit is 4 + 2/3, and so does
    # 3. At the second 4 meets the limit of 5, 4.5 misses 4 + 1/3 and 3 meets it.
    assert simulate([5, 6, 4, 4.5, 3], 2, 3) == [5, 4, 3]
    # The worse trials come last: nothing but the first goes on.
    assert simulate([1, 2, 3, 4], 2, 3) == [4, 1, 1]


@pytest.mark.parametrize("rungs", [[], [27], [30.5]])
def test_without_early_stopping_the_forecast_is_exact(rungs):
    result = forecast(64, 27, rungs, 3)
    assert result.epochs == result.epochs_low == result.epochs_high == result.full_epochs == 1728
    assert (result.rungs, result.num_complete) == ((), 64)
    assert describe(result) == [
        "forecast: 1,728 epochs, every trial runs to epoch 27: no early stopping"
    ]


def test_one_trial_goes_through_every_rung():
    result = forecast(1, 27, [9], 3)
    epochs = (result.epochs, result.epochs_low, result.epochs_high)
    assert (epochs, result.num_complete) == ((27, 27, 27), 1)


@pytest.mark.parametrize(
    ("rungs", "max_epochs", "epochs"),
    [
        ([9, 27], 81, [9, 27]),
        ([2, 3, 4.5], 6, [2, 3, 5]),
        # Epoch 2 is compared at 1.9; 1.5 is made up for in epoch 3.
        ([1, 1.5, 1.9], 9, [1, 2, 3]),
        ([1, 1.5, 1.9], 3, [1, 2]),
        ([9], 9, []),
    ],
)
def test_a_rung_is_met_at_the_next_whole_epoch(rungs, max_epochs, epochs):
    assert rung_epochs(rungs, max_epochs) == epochs


def test_a_large_search_is_scaled_up_from_a_smaller_one(monkeypatch):
    monkeypatch.setattr(forecast_module, "MAX_SIMULATED_TRIALS", 1000)
    small, large = (forecast(n, 27, [9], 3) for n in (1000, 4000))
    assert large.epochs == 4 * small.epochs
    assert large.num_complete == 4 * small.num_complete
    assert large.epochs_high - large.epochs == pytest.approx(
        2 * (small.epochs_high - small.epochs)
    )
    monkeypatch.undo()
    assert forecast(4000, 27, [9], 3).epochs == pytest.approx(large.epochs, rel=0.01)


def test_same_seed_gives_the_same_forecast():
    assert forecast(20, 27, [9], 3, seed=4) == forecast(20, 27, [9], 3, seed=4)
    assert forecast(20, 27, [9], 3, seed=4) != forecast(20, 27, [9], 3, seed=5)


def test_in_words():
    result = Forecast(
        epochs=1430.4, epochs_low=390, epochs_high=1480, full_epochs=5184, max_epochs=81,
        num_complete=9.2,
        rungs=(
            RungForecast(epoch=9, num_reaching=64, num_going_on=24.6),
            RungForecast(epoch=27, num_reaching=24.6, num_going_on=9.2),
        ),
    )  # fmt: skip
    assert describe(result) == [
        "forecast: about 1,430 of 5,184 epochs (390 to 1,480)",
        "rung 9: 64 trials reach it, about 25 go on; rung 27: 25 trials reach it, "
        "about 9 go on; 9 run to epoch 81",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_trials": 0}, "num_trials must be at least 1, got 0"),
        ({"max_epochs": 0}, "max_epochs must be at least 1, got 0"),
        ({"num_simulations": 0}, "num_simulations must be at least 1, got 0"),
        ({"rungs": [3, 1]}, r"rungs must ascend from 1 or more, got \[3, 1\]"),
        ({"reduction_factor": 1}, "reduction_factor must be above 1, got 1"),
    ],
)
def test_what_no_search_would_take_is_refused(changes, message):
    settings = {"num_trials": 4, "max_epochs": 9, "rungs": [3], "reduction_factor": 3}
    with pytest.raises(ValueError, match=message):
        forecast(**(settings | changes))
