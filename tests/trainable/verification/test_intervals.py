"""95 % intervals: numbers by hand, where there is none, and coverage where the truth is known."""

import math

import numpy as np
import pytest
from scipy import stats

from tests.worlds.speaker_world import Effects, World, trial_list
from trainable.verification.bootstrap import SpeakerBootstrap
from trainable.verification.intervals import (
    MIN_SPEAKERS,
    EERDifference,
    Interval,
    draw_counts,
    eer_difference,
    rate_interval,
    speakers_sd,
)
from trainable.verification.metrics import equal_error_rate

SPREAD = np.linspace(8, 12, 101)


def interval(eer_pct=10.0, replicates=SPREAD, num_speakers=28, num_pairs=1000):
    return rate_interval(eer_pct, replicates, num_speakers=num_speakers, num_pairs=num_pairs)


def test_an_interval_by_hand():
    log_odds = np.log(SPREAD / (100 - SPREAD))
    half = stats.t.ppf(0.975, 27) * log_odds.std() * math.sqrt(28 / 27)
    low = 1 / (1 + math.exp(math.log(9) + half))
    high = 1 / (1 + math.exp(math.log(9) - half))
    assert interval().low_pct == pytest.approx(100 * low)
    assert interval().high_pct == pytest.approx(100 * high)


def test_fewer_speakers_widen_it():
    wide, narrow = (interval(num_speakers=each) for each in (8, 100))
    assert wide.low_pct < narrow.low_pct < 10 < narrow.high_pct < wide.high_pct


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"num_speakers": MIN_SPEAKERS - 1}, "few speakers"),
        ({"eer_pct": 0.0, "replicates": np.zeros(100)}, "no error"),
        ({"replicates": np.full(100, 10.0)}, "no spread"),
        ({"replicates": np.append(SPREAD, [np.nan, np.nan])}, "too many without an EER"),
    ],
)
def test_a_list_that_does_not_suffice_gives_no_interval(changed, why):
    assert interval(**changed) is None, why


def test_one_replicate_in_a_hundred_may_have_no_eer():
    assert interval(replicates=np.append(SPREAD, np.nan)) == interval()


def test_replicates_without_an_error_do_not_make_it_infinite():
    found = interval(eer_pct=0.2, replicates=np.append(np.linspace(0, 0.5, 99), 0))
    assert 0 < found.low_pct < 0.2 < found.high_pct < 10


def test_an_eer_of_less_than_half_an_error_stays_inside():
    found = interval(eer_pct=0.001, replicates=np.linspace(0, 0.5, 99))
    assert found.low_pct <= 0.001 <= found.high_pct


def test_a_difference_by_hand():
    # A replicate is worse by 0.1 for each time that it has speaker 3, by nothing else.
    shift = 0.1 * draw_counts(28, 1000)[3]
    before = np.random.default_rng(0).normal(10, 1, 1000)
    found = eer_difference((11.0, 10.0), (before + shift, before), 28)
    half = stats.t.ppf(0.975, 27) * shift.std() * math.sqrt(28 / 27)
    assert found.behind_pct == 1
    assert found.interval.low_pct == pytest.approx(1 - half)
    assert found.interval.high_pct == pytest.approx(1 + half)


def test_what_no_speaker_explains_is_left_out_of_a_difference():
    shift = 2 * draw_counts(28, 1000)[3] - 2.0
    noise = np.random.default_rng(0).normal(size=1000)
    assert speakers_sd(shift + noise, 28) == pytest.approx(shift.std(), rel=0.05)


def test_but_never_more_than_two_thirds_of_the_variance():
    noise = np.random.default_rng(0).normal(size=1000)
    assert speakers_sd(noise, 28) == pytest.approx(noise.std() / math.sqrt(3))


def test_for_many_speakers_the_whole_spread_counts():
    values = np.random.default_rng(0).normal(size=1000)
    values[0] = np.nan
    assert speakers_sd(values, 251) == pytest.approx(np.nanstd(values))


def test_zero_outside_the_interval_means_two_models_differ():
    apart = EERDifference(behind_pct=1.0, interval=Interval(low_pct=0.1, high_pct=1.9))
    assert apart.is_tied is False


def test_too_few_speakers_leave_a_tie_unknown():
    found = eer_difference((11.0, 10.0), (SPREAD + 1, SPREAD), MIN_SPEAKERS - 1)
    assert (found.behind_pct, found.interval, found.is_tied) == (1, None, None)


def test_both_must_have_the_same_replicates():
    with pytest.raises(ValueError, match="got 101 and 100"):
        eer_difference((11.0, 10.0), (SPREAD, SPREAD[:100]), 28)


def covered(world, num_speakers, per_speaker, num_lists):
    """Share of lists whose intervals have the truth in them: of the EER, of the difference."""
    rng = np.random.default_rng(5)
    truth = world.true_eer_pct()
    hits, differences = [], []
    for _ in range(num_lists):
        pairs = trial_list(rng, num_speakers, per_speaker)
        bootstrap, scores = SpeakerBootstrap(pairs), world.scores(rng, pairs)
        eers = [equal_error_rate(each, pairs.is_target) for each in scores]
        replicates = [bootstrap.eer_pct(each) for each in scores]
        found = bootstrap.interval(eers[0], replicates[0])
        hits.append(found.low_pct <= truth[0] <= found.high_pct)
        if len(scores) == 2:
            between = eer_difference(
                (eers[0], eers[1]), (replicates[0], replicates[1]), num_speakers
            )
            low, high = between.interval.low_pct, between.interval.high_pct
            differences.append(low <= truth[0] - truth[1] <= high)
    return float(np.mean(hits)), float(np.mean(differences)) if differences else None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "num_speakers", "per_speaker", "num_lists", "most"),
    [
        pytest.param(World(), 10, 60, 200, 0.995, id="10 speakers"),
        pytest.param(World(), 28, 60, 200, 0.98, id="28 speakers"),
        pytest.param(World(), 40, 120, 200, 0.98, id="40 speakers, many pairs"),
        pytest.param(World(num_dims=80, within=0.95, shared=1), 28, 60, 200, 0.98, id="low EER"),
        pytest.param(Effects(), 28, 60, 200, 0.98, id="normal effects"),
        pytest.param(Effects(), 100, 30, 200, 0.98, id="normal effects, 100 speakers"),
    ],
)
def test_95_of_100_intervals_have_the_true_eer_in_them(
    world, num_speakers, per_speaker, num_lists, most
):
    share, _ = covered(world, num_speakers, per_speaker, num_lists)
    assert 0.93 <= share <= most


@pytest.mark.slow
@pytest.mark.parametrize("num_speakers", [10, 28, 100])
def test_95_of_100_intervals_of_a_difference_have_the_true_one_in_them(num_speakers):
    world = World(noise=(0.5, 1.0))
    truth = world.true_eer_pct()
    assert truth[1] - truth[0] > 0.4
    _, share = covered(world, num_speakers, 60, 150)
    assert 0.91 <= share <= 0.985
