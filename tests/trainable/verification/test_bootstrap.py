"""The bootstrap over speakers: exact, the same for every model of a list, honest about gaps."""

from dataclasses import replace

import numpy as np
import pytest

from tests.worlds.speaker_world import trial_list
from trainable.verification.bootstrap import (
    BLOCK_PAIRS,
    SpeakerBootstrap,
    SpeakerPairs,
    paired_difference,
)
from trainable.verification.intervals import draw_counts
from trainable.verification.metrics import equal_error_rate


def repeated_eer_pct(scores, pairs, times_K):
    """The EER with every pair listed as often as its speakers were drawn; None without one."""
    a, b = times_K[pairs.speaker_a], times_K[pairs.speaker_b]
    times = np.where(pairs.is_target, a, a * b)
    targets = np.repeat(pairs.is_target, times)
    if not targets.any() or targets.all():
        return None
    return equal_error_rate(np.repeat(scores, times), targets)


def some_list(num_speakers=12, per_speaker=40, seed=0):
    rng = np.random.default_rng(seed)
    pairs = trial_list(rng, num_speakers, per_speaker)
    skill = rng.normal(size=num_speakers)
    return pairs, rng.normal(size=pairs.is_target.size) + pairs.is_target * (
        1.5 + 0.5 * skill[pairs.speaker_a]
    )


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda scores, _: scores, id="no ties"),
        pytest.param(lambda scores, _: scores.round(1), id="ties"),
        pytest.param(lambda scores, _: scores.round(), id="ties larger than a block"),
        pytest.param(lambda scores, _: 0 * scores, id="one score"),
        pytest.param(lambda _, targets: 1.0 * targets, id="no error"),
        pytest.param(lambda _, targets: -1.0 * targets, id="all wrong"),
        pytest.param(lambda scores, _: -scores, id="worse than chance"),
    ],
)
def test_every_replicate_is_the_eer_of_pairs_repeated_as_drawn(shape):
    pairs, scores = some_list()
    assert pairs.is_target.size > 3 * BLOCK_PAIRS
    scores = shape(scores, pairs.is_target)
    found = SpeakerBootstrap(pairs, 100).eer_pct(scores)
    times_KR = draw_counts(pairs.num_speakers, 100)
    expected = [repeated_eer_pct(scores, pairs, times_KR[:, each]) for each in range(100)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_a_replicate_by_hand():
    # Speaker 0 twice, speaker 1 once, speaker 2 not at all.
    pairs = SpeakerPairs.of(list("aabab"), list("aabbc"), [1, 1, 1, 0, 0])
    bootstrap = SpeakerBootstrap(pairs, 1)
    bootstrap._times_KR = np.array([[2.0], [1.0], [0.0]])
    bootstrap._all = bootstrap._sums(np.arange(5))
    # Targets weigh 2, 2 and 1, the pair of a and b 2, that with c nothing. FNR at the threshold
    # above the non-target pair is 2/5, below it FPR is 1: they cross on the line between, at 2/5.
    assert bootstrap.eer_pct([3, 1, 4, 2, 9]) == pytest.approx([40])


def test_replicates_without_a_class_are_nan_and_only_those():
    pairs, scores = some_list(num_speakers=3)
    times_KR = draw_counts(3, 200)
    found = SpeakerBootstrap(pairs, 200).eer_pct(scores)
    expected = [repeated_eer_pct(scores, pairs, times_KR[:, each]) for each in range(200)]
    assert expected.count(None) > 5
    np.testing.assert_allclose(
        found, [np.nan if each is None else each for each in expected], atol=1e-12
    )


def test_a_speaker_without_target_pairs_is_drawn_too():
    pairs = SpeakerPairs.of(list("aabb"), list("aacc"), [1, 1, 0, 0])
    found = SpeakerBootstrap(pairs, 300).eer_pct([2, 1, 1.5, 0])
    times_KR = draw_counts(3, 300)
    without = (times_KR[0] == 0) | (times_KR[1] * times_KR[2] == 0)
    np.testing.assert_array_equal(np.isnan(found), without)


def test_replicates_draw_as_many_speakers_as_there_are_each_as_often():
    times_KR = draw_counts(30, 4000)
    assert (times_KR.sum(0) == 30).all()
    assert times_KR.mean(1) == pytest.approx(1, abs=0.07)
    assert times_KR.var() == pytest.approx(1 - 1 / 30, abs=0.02)


def test_replicates_are_those_of_every_run_and_version():
    assert draw_counts(5, 3).T.tolist() == [[1, 1, 1, 1, 1], [2, 2, 1, 0, 0], [1, 1, 1, 0, 2]]


def test_the_first_replicates_are_those_of_fewer():
    np.testing.assert_array_equal(draw_counts(7, 50)[:, :20], draw_counts(7, 20))


def test_the_order_of_pairs_does_not_matter():
    pairs, scores = some_list()
    order = np.random.default_rng(1).permutation(scores.size)
    other = SpeakerPairs(
        speaker_a=pairs.speaker_b[order],
        speaker_b=pairs.speaker_a[order],
        is_target=pairs.is_target[order],
        num_speakers=pairs.num_speakers,
    )
    np.testing.assert_array_equal(
        SpeakerBootstrap(pairs, 50).eer_pct(scores),
        SpeakerBootstrap(other, 50).eer_pct(scores[order]),
    )


def test_a_difference_is_that_of_two_eers_and_turns_its_sign_with_the_sides():
    pairs, scores = some_list()
    worse = scores + 2 * np.random.default_rng(2).normal(size=scores.size)
    one, other = (paired_difference(*each, pairs) for each in ((worse, scores), (scores, worse)))
    targets = pairs.is_target
    assert one.behind_pct == equal_error_rate(worse, targets) - equal_error_rate(scores, targets)
    assert one.is_tied is False
    assert one.behind_pct == -other.behind_pct
    assert one.interval.low_pct == pytest.approx(-other.interval.high_pct)


def test_a_model_is_tied_with_itself():
    pairs, scores = some_list()
    assert paired_difference(scores, scores, pairs).is_tied is True


def test_pairing_is_narrower_than_two_intervals_apart():
    pairs, scores = some_list()
    near = scores + 0.1 * np.random.default_rng(3).normal(size=scores.size)
    paired = paired_difference(near, scores, pairs).interval
    bootstrap = SpeakerBootstrap(pairs)
    alone = bootstrap.interval(
        equal_error_rate(scores, pairs.is_target), bootstrap.eer_pct(scores)
    )
    assert paired.high_pct - paired.low_pct < 0.5 * (alone.high_pct - alone.low_pct)


def test_where_a_label_contradicts_the_speakers_the_speakers_decide_the_weight():
    pairs, scores = some_list()
    labels = pairs.is_target.copy()
    labels[::7] = ~labels[::7]
    wrong = replace(pairs, is_target=labels)
    times_KR = draw_counts(pairs.num_speakers, 20)
    expected = []
    for times_K in times_KR.T:
        a, b = times_K[pairs.speaker_a], times_K[pairs.speaker_b]
        times = np.where(pairs.is_target, a, a * b)
        expected.append(equal_error_rate(np.repeat(scores, times), np.repeat(labels, times)))
    np.testing.assert_allclose(SpeakerBootstrap(wrong, 20).eer_pct(scores), expected, atol=1e-12)


def test_every_pair_needs_both_speakers():
    with pytest.raises(ValueError, match="got 2, 1 and 2"):
        SpeakerPairs.of(["a", "a"], ["a"], [1, 0])


def test_scores_must_be_finite():
    pairs, scores = some_list()
    scores[3] = np.nan
    with pytest.raises(ValueError, match="got nan for pair 3"):
        SpeakerBootstrap(pairs, 10).eer_pct(scores)
