import dataclasses

import numpy as np
import pytest
from scipy.stats import spearmanr

from results.journal.decision import eer_of_dprime
from search.prediction.prediction import random_configs
from search.students.recorded_curve import recorded_curves
from search.students.student_model import StudentModel
from search.students.student_world import StudentWorld
from spaces.files.errors import RunError
from tests.worlds.simulated_run import EPOCH_NOISE, MAX_EPOCHS, KnownStudents


def test_quality_has_the_counts_and_the_noise(model):
    found = model.quality()
    assert (found.num_curves, found.num_configs, found.num_repeated) == (27, 24, 3)
    assert (found.num_complete, found.num_diverged, found.longest) == (27, 0, MAX_EPOCHS)
    assert 0.5 < found.low < found.rank_correlation < found.high < 1
    assert model.fit.noise_FF[0, 0] ** 0.5 == pytest.approx(EPOCH_NOISE, rel=0.3)


def test_worlds_agree_with_the_true_students_where_these_are_known(model, space):
    configs = random_configs(space, 5)[:60]
    worlds = [StudentWorld(model, MAX_EPOCHS, seed) for seed in range(10)]
    found = [np.mean([w.student(each, 0).true_pct[-1] for w in worlds]) for each in configs]
    true = [KnownStudents().last_pct(each) * np.exp(1.5 / 10) for each in configs]
    assert spearmanr(found, true).statistic > 0.85
    assert np.median(np.abs(np.log(np.array(found) / true))) < 0.1


def test_the_same_seed_gives_the_same_student_whatever_was_asked_before(model, space):
    config, other = random_configs(space, 6)[:2]
    one, two = (StudentWorld(model, MAX_EPOCHS, 3) for _ in range(2))
    two.student(other, 0)
    assert one.student(config, 7).trained == two.student(config, 7).trained
    again = StudentWorld(model, MAX_EPOCHS, 4).student(config, 7)
    assert again.trained != one.student(config, 7).trained
    # Of the same world, with another seed of the trial.
    assert one.student(config, 8).trained != one.student(config, 7).trained


def test_longer_trials_begin_as_shorter_ones(model, space):
    config = random_configs(space, 6)[0]
    short, long = (StudentWorld(model, n, 3).student(config, 7) for n in (5, 18))
    assert long.true_pct[:5] == pytest.approx(short.true_pct)
    assert long.trained.epoch_s == short.trained.epoch_s
    assert long.true_pct[17] < long.true_pct[8]


def test_dprime_is_that_of_the_figure(model, space):
    student = StudentWorld(model, MAX_EPOCHS, 3).student(random_configs(space, 6)[0], 7)
    found = [eer_of_dprime(each) for each in student.trained.dprime]
    assert np.all(np.diff(found[::4]) < 0)
    assert all(1 < each < 50 for each in found)


def test_configs_near_diverged_trials_diverge(view, space):
    curves = recorded_curves([view], space)
    bad = [
        dataclasses.replace(each, diverged=2)
        if each.params["training.lr"] > 1e-3 else each
        for each in curves
    ]  # fmt: skip
    model = StudentModel(bad, space)
    assert model.quality().num_diverged == sum(each.diverged is not None for each in bad) > 0
    world = StudentWorld(model, MAX_EPOCHS, 0)
    shares = {}
    for high in (True, False):
        configs = [each for each in random_configs(space, 1)
                   if (each["training.lr"] > 1e-3) == high]  # fmt: skip
        diverged = [np.isnan(world.student(each, 0).trained.veer_pct[-1]) for each in configs]
        shares[high] = np.mean(diverged)
    assert shares[True] > 0.5 > 0.3 > shares[False]


@pytest.mark.parametrize(
    ("keep", "cut", "message"),
    [(9, 9, "10 different configs with a VEER .* got 9; give more runs"),
     (15, 4, "at least 5 trials must have run to the end .of 9 epochs., got 4; .* --control 1")],
)  # fmt: skip
def test_too_few_curves_are_refused(view, space, keep, cut, message):
    curves = recorded_curves([view], space)[:keep]
    short = [
        each if n < cut else dataclasses.replace(
            each, veer_pct=each.veer_pct[:3], dprime_pct=each.dprime_pct[:3]
        )
        for n, each in enumerate(curves)
    ]  # fmt: skip
    with pytest.raises(RunError, match=message):
        StudentModel(short, space)
