"""The benchmark `sampler`: its problem, its clock and its statistics."""

import itertools
from itertools import islice

import numpy as np
import optuna
import pytest

from search.loop.early_stopping import SuccessiveHalving
from spaces.dimensions import Float
from tests.benchmarks.curves import (
    MAX_EPOCHS,
    SPACE,
    CurvesProblem,
    asymptote_pct,
    curve_pct,
    epoch_s,
    noise_pct,
    optimum_pct,
    size,
    tau_epochs,
)
from tests.benchmarks.ratios import mean_ratio, paired_ratio
from tests.benchmarks.sampler import (
    ARMS,
    BUDGET_EPOCHS,
    SETTINGS,
    counted,
    epochs_spent,
    line,
    lowest_pct,
)
from tests.benchmarks.search_play import play, tool_source
from tests.benchmarks.search_problem import random_params


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def students(num: int) -> list[dict]:
    """Draw students at random from the space, each range evenly on its own scale."""
    rng = np.random.default_rng(0)
    return [random_params(SPACE, rng) for _ in range(num)]


class TestProblem:
    def test_no_student_beats_the_optimum_and_some_come_near(self):
        best = min(students(4000), key=lambda params: curve_pct(params)[-1])
        found_pct = curve_pct(best)[-1]
        assert 0 <= found_pct - optimum_pct(31) < 0.2
        # Downhill from there in one number after the other, with finer and finer steps.
        ranges = {d.name: d for d in SPACE.dimensions if isinstance(d, Float)}
        for step in (0.1, 0.03, 0.01, 0.003):
            for width, blocks, expansion in itertools.product(
                (64, 96, 128, 192, 256), range(2, 9), (2, 3, 4)
            ):
                for name, sign in itertools.product(ranges.keys() & best, (-1, 0, 1)):
                    moved = {
                        **best,
                        "model.hidden_dim": width,
                        "model.num_blocks": blocks,
                        "model.expansion_factor": expansion,
                        name: min(
                            max(best[name] * (1 + sign * step), ranges[name].low),
                            ranges[name].high,
                        ),
                    }
                    if curve_pct(moved)[-1] < found_pct:
                        best, found_pct = moved, curve_pct(moved)[-1]
        assert found_pct == pytest.approx(optimum_pct(), abs=0.01)

    def test_veers_look_like_veers(self):
        curves = np.array([curve_pct(params) for params in students(2000)])
        assert curves.min() > 5
        assert curves.max() < 50
        assert np.all(np.diff(curves) < 0)

    def test_the_best_alpha_depends_on_the_kind_of_loss(self):
        student = students(1)[0] | {"loss.temperature": 1.0}
        for kind, best_alpha in (("mse", 0.3), ("cosine", 0.8)):
            by_alpha = {
                alpha: asymptote_pct(
                    student | {"loss.distillation": kind, "loss.alpha": alpha}
                )
                for alpha in np.linspace(0.1, 0.9, 9).round(1).tolist()
            }
            assert min(by_alpha, key=by_alpha.get) == best_alpha

    def test_early_leaders_are_not_all_final_ones(self):
        curves = np.array([curve_pct(params) for params in students(2000)])
        ranks = np.argsort(np.argsort(curves, axis=0), axis=0)
        by_epoch = {e: np.corrcoef(ranks[:, e - 1], ranks[:, -1])[0, 1] for e in (3, 9, 20)}
        assert by_epoch[3] < 0.3 < by_epoch[9] < 0.9 < by_epoch[20]

    def test_large_students_learn_slowly(self):
        small, large = sorted(students(200), key=size)[::199]
        assert tau_epochs(small) < tau_epochs(large)
        assert epoch_s(small) < epoch_s(large)

    def test_noise_is_that_of_the_student_and_the_seed(self):
        one, other = students(2)
        assert np.array_equal(noise_pct(one, 3), noise_pct(dict(reversed(one.items())), 3))
        assert not np.array_equal(noise_pct(one, 3), noise_pct(one, 4))
        assert not np.array_equal(noise_pct(one, 3), noise_pct(other, 3))


# Ray warns where its first suggestion takes a second, as on a busy machine.
@pytest.mark.filterwarnings("ignore:Define-by-run function passed:UserWarning")
class TestSimulation:
    @pytest.mark.parametrize("name", [*ARMS, *SETTINGS])
    def test_same_seed_gives_the_same_search_and_another_another(self, name):
        arm = (ARMS | SETTINGS)[name]
        one, again, other = (list(islice(arm(seed, 3), 150)) for seed in (1, 1, 2))
        assert one == again
        assert one != other

    @pytest.mark.parametrize("name", ARMS)
    def test_the_clock_runs_forward_and_a_worker_trains_one_trial_at_a_time(self, name):
        played = list(islice(ARMS[name](0, 9), 300))
        times_s = [epoch.time_s for epoch in played]
        assert times_s == sorted(times_s)
        assert {epoch.worker for epoch in played} == {0, 1, 2, 3}
        for worker in range(4):
            own = [epoch for epoch in played if epoch.worker == worker]
            assert own[0].epoch == 1
            for before, after in itertools.pairwise(own):
                if after.trial == before.trial:
                    assert after.epoch == before.epoch + 1
                else:
                    assert after.epoch == 1
                    assert after.trial > before.trial
            # No time is lost between epochs, and a trial's take equally long.
            lengths_s = np.diff([0.0, *[epoch.time_s for epoch in own]])
            for trial in {epoch.trial for epoch in own}:
                ours = [s for s, e in zip(lengths_s, own, strict=True) if e.trial == trial]
                assert ours == pytest.approx([ours[0]] * len(ours))
                assert 10 <= ours[0] <= 40

    @pytest.mark.parametrize("name", ARMS)
    @pytest.mark.parametrize("grace", [3, 9, 27])
    def test_a_trial_ends_where_successive_halving_stops_it(self, name, grace):
        played = list(islice(ARMS[name](0, grace), 300))
        rungs = [rung for rung in (3, 9) if grace <= rung]
        halving = SuccessiveHalving(rungs, 3)
        ended: set[int] = set()
        for epoch in played:
            assert epoch.trial not in ended
            if (
                halving.decide(epoch.trial, epoch.epoch, epoch.figure_pct).stop
                or epoch.epoch == MAX_EPOCHS
            ):
                ended.add(epoch.trial)
        started = {epoch.trial for epoch in played}
        assert len(started - ended) <= 4
        assert len(ended) > 5

    def test_samplers_see_the_noise_and_the_measure_does_not(self):
        seen: list[float] = []

        class OneTrial:
            def suggest(self):
                return 0, students(1)[0]

            def report(self, *result):
                seen.append(result[-1])
                return True

        played = list(islice(play(CurvesProblem(5), tool_source(OneTrial())), MAX_EPOCHS))
        student = students(1)[0]
        assert [epoch.true_pct for epoch in played] == curve_pct(student).tolist()
        assert seen == (curve_pct(student) + noise_pct(student, 5)).tolist()

    def test_a_search_ends_at_the_first_student_that_is_good_enough(self):
        whole = list(islice(ARMS["random"](0, 9), 600))
        until_pct = optimum_pct(31) + 3
        first = next(n for n, e in enumerate(whole, start=1) if e.true_pct <= until_pct)
        short = lowest_pct(ARMS["random"](0, 9), until_pct)
        assert len(short) == first
        assert short == np.minimum.accumulate([e.true_pct for e in whole[:first]]).tolist()
        assert epochs_spent(ARMS["random"], [0], 9, [until_pct]) == [[first]]


class TestStatistics:
    def test_the_median_is_of_pairs_and_not_of_arms(self):
        ratio = paired_ratio([10, 40, 90], [10, 20, 100])
        assert ratio.value == pytest.approx(1.0)
        assert paired_ratio([3, 3, 3], [2, 2, 2]) == paired_ratio([6, 9, 3], [4, 6, 2])

    def test_the_interval_is_that_of_every_resample(self):
        above, below = [1.0, 2.0, 3.0, 10.0, 0.5], [1.0, 1.0, 2.0, 2.0, 1.0]
        ratios = np.divide(above, below)
        every = [np.median(drawn) for drawn in itertools.product(ratios, repeat=5)]
        ratio = paired_ratio(above, below, num_resamples=50_000)
        assert (ratio.low, ratio.high) == tuple(np.percentile(every, [2.5, 97.5]))

    def test_a_mean_ratio_and_its_inverse_are_each_others(self):
        above, below, groups = [10.0, 40.0, 90.0], [20.0, 10.0, 30.0], ["a", "a", "b"]
        one, other = mean_ratio(above, below, groups), mean_ratio(below, above, groups)
        assert one.value == pytest.approx((0.5 * 4 * 3) ** (1 / 3))
        assert other.value == pytest.approx(1 / one.value)
        assert (other.low, other.high) == pytest.approx((1 / one.high, 1 / one.low))

    def test_the_interval_of_a_mean_ratio_is_over_groups_too(self):
        above = [1.0, 1.0, 1.0, 4.0, 4.0, 4.0]
        alike = mean_ratio(above, [1.0] * 6, ["a", "a", "a", "b", "b", "b"])
        # In each group all pairs are the same, so only the draw of the groups matters.
        assert (alike.low, alike.high) == pytest.approx((1.0, 4.0))
        assert mean_ratio([2.0] * 4, [1.0] * 4, ["a", "a", "b", "b"]).high == pytest.approx(2.0)

    def test_censored_searches_are_counted_and_count_with_the_budget(self):
        spent, easy = epochs_spent(ARMS["random"], range(2), 9, until_pct=[5.0, 45.0])
        assert spent == [BUDGET_EPOCHS + 1] * 2
        assert easy == [1, 1]
        assert counted([7, *spent]) == [7, BUDGET_EPOCHS, BUDGET_EPOCHS]
        row = line("random", [750, BUDGET_EPOCHS + 1, 750], [750, 750, 375])
        assert row.split() == ["random", "750", "1", "2.00", "(1.00-2.00)"]

    def test_an_arm_is_not_set_against_itself(self):
        spent = [100, 200, 300]
        assert line("Veer", spent, spent).split() == ["Veer", "200", "0"]
