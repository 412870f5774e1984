"""Moments of kills."""

import numpy as np

from tests.chaos.moments import DELAY_S, STARTUP_S, draw_ending, draw_moments


def test_moments_are_those_asked_for_in_the_order_of_a_search():
    moments = draw_moments(
        np.random.default_rng(3), num_startup=10, num_training=9, num_epochs=50
    )
    startup = [each.after_s for each in moments if each.after_s is not None]
    training = [each.num_epochs for each in moments if each.after_s is None]
    assert (len(startup), len(training)) == (10, 9)
    assert all(0 < after_s < STARTUP_S for after_s in startup)
    assert training == sorted(set(training))
    assert training[0] >= 1
    assert training[-1] <= 40
    assert all(0 <= each.delay_s < DELAY_S for each in moments)


def test_a_seed_draws_the_same_moments():
    first, second, other = (
        draw_moments(np.random.default_rng(seed), num_startup=4, num_training=4, num_epochs=30)
        for seed in (1, 1, 2)
    )
    assert first == second != other


def test_the_ending_waits_for_every_trial():
    assert draw_ending(np.random.default_rng(0), 14).num_ended == 14
