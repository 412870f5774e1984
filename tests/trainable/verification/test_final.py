"""The final EER with its interval."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from trainable.lists.parsing import TrialPair
from trainable.lists.speaker_rule import SpeakerRule
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


def flat_pairs(num_speakers: int) -> list[TrialPair]:
    """The same pairs, of files whose names say nothing."""
    return [
        replace(pair, path_a=hex_name(pair.path_a), path_b=hex_name(pair.path_b))
        for pair in pairs_of(num_speakers)
    ]


def hex_name(path: str) -> str:
    return f"{path.encode().hex()}.wav"


def with_wrong_labels(num_speakers: int) -> list[TrialPair]:
    first, *others, last = pairs_of(num_speakers)
    wrong = (replace(each, is_target=not each.is_target) for each in (first, last))
    return [*wrong, *others]


GIVE = "give the speakers (speaker: in corpus.yaml)"


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


def test_the_speaker_may_be_another_folder_or_be_given() -> None:
    plain = pairs_of(8)
    scores = scores_of(plain)
    expected = final_eer(plain, scores).in_words
    assert final_eer(pairs_of(8, "wav/"), scores).in_words == expected
    assert final_eer(pairs_of(8, "wav/"), scores, SpeakerRule(folder=2)).in_words == expected


def test_an_eer_above_chance_is_warned_of() -> None:
    pairs = pairs_of(8)
    assert final_eer(pairs, scores_of(pairs)).warning is None
    warning = final_eer(pairs, -scores_of(pairs, 3.0)).warning
    assert warning is not None
    assert "significantly above the 50 % of chance" in warning


@pytest.mark.parametrize(
    ("pairs", "shift", "why"),
    [
        (pairs_of(4), 1.0, "it needs 6 speakers, and the list has 4"),
        (flat_pairs(8), 1.0, f"no folder of the list's paths is the speaker; {GIVE}"),
        (
            with_wrong_labels(8),
            1.0,
            f"2 labels contradict the speakers by folder 1 of the path: 8 speakers; {GIVE}",
        ),
        (pairs_of(8), 99.0, "the list's errors are too few for one"),
    ],
)
def test_the_text_states_why_there_is_no_interval(
    pairs: list[TrialPair], shift: float, why: str
) -> None:
    found = final_eer(pairs, scores_of(pairs, shift))
    assert found.interval is None
    assert found.in_words == f"EER {found.eer_pct:.2f} %, no interval: {why}"
