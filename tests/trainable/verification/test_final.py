"""The final EER with its interval."""

import itertools

import numpy as np
import pytest

from trainable.corpus.lists import TrialPair
from trainable.verification.bootstrap import SpeakerBootstrap, SpeakerPairs
from trainable.verification.final import final_eer
from trainable.verification.metrics import equal_error_rate


def pairs_of(num_speakers: int, pre: str = "") -> list[TrialPair]:
    """Every pair of three utterances per speaker."""
    paths = [(s, f"{pre}s{s}/{u}.wav") for s in range(num_speakers) for u in range(3)]
    return [
        TrialPair(is_target=a == b, path_a=one, path_b=other)
        for (a, one), (b, other) in itertools.combinations(paths, 2)
    ]


def scores_of(pairs: list[TrialPair], shift: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.array([rng.normal() + shift * pair.is_target for pair in pairs])


def test_it_is_the_bootstraps_interval_around_the_eer() -> None:
    pairs = pairs_of(8)
    scores, labels = scores_of(pairs), [pair.is_target for pair in pairs]
    found = final_eer(pairs, scores)
    assert found.eer_pct == equal_error_rate(scores, labels)
    speakers = [[p.path_a[:2] for p in pairs], [p.path_b[:2] for p in pairs]]
    bootstrap = SpeakerBootstrap(SpeakerPairs.of(*speakers, labels))
    expected = bootstrap.interval(found.eer_pct, bootstrap.eer_pct(scores))
    assert expected is not None
    assert found.interval == expected
    assert found.in_words == (
        f"EER {found.eer_pct:.2f} %, 95 % interval {expected.low_pct:.2f} to "
        f"{expected.high_pct:.2f} % (bootstrap over 8 speakers)"
    )


@pytest.mark.parametrize(
    ("pairs", "shift", "why"),
    [
        (pairs_of(4), 1.0, "it needs 6 speakers, and the list has 4"),
        (pairs_of(8, "wav/"), 1.0, "the first folders of the list's paths are not its speakers"),
        (pairs_of(8), 99.0, "the list's errors are too few for one"),
    ],
)
def test_the_text_states_why_there_is_no_interval(
    pairs: list[TrialPair], shift: float, why: str
) -> None:
    found = final_eer(pairs, scores_of(pairs, shift))
    assert found.interval is None
    assert found.in_words == f"EER {found.eer_pct:.2f} %, no interval: {why}"
