"""AS-Norm, against its formula written out pair by pair."""

import numpy as np
import pytest

from spaces.files.errors import ConfigError
from trainable.calibration.as_norm import Cohort
from trainable.verification.embedded import EmbeddedUtterances


def utterances(num, seed):
    rng = np.random.default_rng(seed)
    return EmbeddedUtterances(
        paths=tuple(map(str, range(num))),
        mean_UD=rng.normal(size=(num, 5)),
        duration_s_U=np.ones(num),
    )


def cosine(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


def test_it_is_the_formula_of_matejka_et_al():
    training, trials = utterances(36, 0), utterances(6, 1)
    speakers = [f"s{n % 12}" for n in range(36)]
    a, b = np.array([0, 1, 2]), np.array([3, 4, 5])
    cohort = Cohort.of(training, speakers, top=10)
    found = cohort.normalised(trials.cosines(a, b), trials, (a, b))
    unit = [each / np.linalg.norm(each) for each in training.mean_UD]
    members = [unit[n] + unit[n + 12] + unit[n + 24] for n in range(12)]
    for number, (i, j) in enumerate(zip(a, b, strict=True)):
        one, other = trials.mean_UD[i], trials.mean_UD[j]
        expected = 0.0
        for side in (one, other):
            nearest = sorted((cosine(side, each) for each in members), reverse=True)[:10]
            mean = sum(nearest) / 10
            sd = np.sqrt(sum((each - mean) ** 2 for each in nearest) / 10)
            expected += (cosine(one, other) - mean) / sd / 2
        assert found[number] == pytest.approx(expected)


def test_more_than_there_are_is_all_of_them():
    cohort = Cohort.of(utterances(12, 0), [str(n) for n in range(12)], top=300)
    assert cohort.top == 12


@pytest.mark.parametrize(("speakers", "top", "got"), [(9, 300, 9), (12, 3, 3)])
def test_too_few_speakers_are_refused(speakers, top, got):
    with pytest.raises(ConfigError, match=f"at least 10 speakers of a cohort, got {got}"):
        Cohort.of(utterances(12, 0), [str(n % speakers) for n in range(12)], top=top)
