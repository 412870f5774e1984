from types import SimpleNamespace

import numpy as np
import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler

from results.analysis.rungs import asha_rungs
from search.loop.early_stopping import SuccessiveHalving


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    ("grace_epochs", "reduction_factor", "max_epochs"),
    [(1, 2, 8), (1, 3, 27), (9, 3, 27), (2, 1.5, 20), (3, 4, 100), (5, 3, 5)],
)
def test_decisions_are_those_of_ray(seed, grace_epochs, reduction_factor, max_epochs):
    rng = np.random.default_rng(seed)
    ours = SuccessiveHalving(
        asha_rungs(grace_epochs, reduction_factor, max_epochs), reduction_factor
    )
    ray = AsyncHyperBandScheduler(
        time_attr="epoch",
        metric="veer_pct",
        mode="min",
        max_t=max_epochs,
        grace_period=grace_epochs,
        reduction_factor=reduction_factor,
    )
    trials = {number: SimpleNamespace(trial_id=str(number)) for number in range(30)}
    for trial in trials.values():
        ray.on_trial_add(None, trial)
    epoch = dict.fromkeys(trials, 0)
    stops = 0
    while epoch:
        number = int(rng.choice(list(epoch)))
        epoch[number] += 1
        # Rounded, so that equal values occur.
        veer_pct = round(rng.uniform(5, 30) / epoch[number] ** 0.3, 1)
        result = {"epoch": epoch[number], "veer_pct": veer_pct}
        rays = ray.on_trial_result(None, trials[number], result)
        stop = ours.decide(number, epoch[number], veer_pct).stop
        assert (stop or epoch[number] >= max_epochs) == (rays == "STOP")
        if rays == "STOP":
            ray.on_trial_complete(None, trials[number], result)
            del epoch[number]
            stops += stop
    assert stops > 0 or grace_epochs >= max_epochs


def test_rungs_hold_what_rays_hold():
    ours = SuccessiveHalving(asha_rungs(1, 3, 27), 3)
    ray = AsyncHyperBandScheduler(
        time_attr="epoch", metric="veer_pct", mode="min", max_t=27, grace_period=1,
        reduction_factor=3,
    )  # fmt: skip
    for number, veer_pct in enumerate([20.0, 10.0, 5.0]):
        trial = SimpleNamespace(trial_id=str(number))
        ray.on_trial_add(None, trial)
        for epoch in (1, 2, 3):
            ours.decide(number, epoch, veer_pct)
            ray.on_trial_result(None, trial, {"epoch": epoch, "veer_pct": veer_pct})
    rays = {
        rung: {int(trial): -reward for trial, reward in recorded.items()}
        for rung, recorded in ray._brackets[0]._rungs
        if rung < 27
    }
    assert ours.recorded() == rays == {
        9: {}, 3: {0: 20.0, 1: 10.0, 2: 5.0}, 1: {0: 20.0, 1: 10.0, 2: 5.0}
    }  # fmt: skip


def test_first_trial_is_not_stopped():
    verdict = SuccessiveHalving([3], 3).decide(0, 3, 99.0)
    assert (verdict.stop, verdict.rung, verdict.cutoff_pct) == (False, 3, None)


def test_nothing_is_stopped_between_rungs():
    halving = SuccessiveHalving([3], 3)
    halving.decide(0, 3, 1.0)
    assert not halving.decide(1, 1, 99.0).stop
    assert not halving.decide(1, 2, 99.0).stop
    assert halving.decide(1, 3, 99.0).stop


@pytest.mark.parametrize(("veer_pct", "stop"), [(16.6, False), (16.7, True)])
def test_cutoff_is_the_best_third_of_the_recorded(veer_pct, stop):
    halving = SuccessiveHalving([1], 3)
    halving._rungs[0].recorded = {0: 10.0, 1: 20.0, 2: 30.0}
    # A third of the way from 10 to 30 through two equal gaps: 10 + 2/3 * 10.
    verdict = halving.decide(3, 1, veer_pct)
    assert verdict.cutoff_pct == pytest.approx(10 + 20 / 3)
    assert verdict.stop is stop


def test_repeated_epoch_gets_the_first_answer_and_is_recorded_once():
    halving = SuccessiveHalving([1], 3)
    halving.decide(0, 1, 10.0)
    first = halving.decide(1, 1, 20.0)
    assert halving.decide(1, 1, 5.0) is first
    assert halving.recorded() == {1: {0: 10.0, 1: 20.0}}


@pytest.mark.parametrize("figure_pct", [float("nan"), float("inf")])
def test_figure_that_no_comparison_can_stop_is_refused(figure_pct):
    with pytest.raises(ValueError, match=f"figure_pct must be finite, got {figure_pct}"):
        SuccessiveHalving([1], 3).decide(0, 1, figure_pct)


def test_no_rungs_stop_nothing():
    halving = SuccessiveHalving([], 3)
    assert not any(halving.decide(n, epoch, 10.0 * n).stop for n in range(9) for epoch in (1, 2))


@pytest.mark.parametrize("rungs", [[0, 3], [3, 1], [3, 3]])
def test_rungs_must_ascend_from_one(rungs):
    with pytest.raises(ValueError, match=r"rungs must ascend from 1 or more, got \[\d, \d\]"):
        SuccessiveHalving(rungs, 3)


def test_reduction_factor_must_reduce():
    with pytest.raises(ValueError, match=r"reduction_factor must be above 1, got 1"):
        SuccessiveHalving([1], 1)
