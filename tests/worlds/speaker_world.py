"""Made-up speakers whose true EER is known: what the bootstrap over speakers must recover.

Embeddings: a speaker's centre, and utterances around it, more widely for some speakers than for
others; a model adds its own error, partly the same for all utterances of a speaker. Scores are
cosines. Pairs share speakers and utterances, as in a real trial list. The true EER is that of a
list of thousands of speakers.

Effects: scores are normal, with an effect of each speaker, and the true EER follows by formula.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from trainable.verification.bootstrap import SpeakerPairs
from trainable.verification.metrics import equal_error_rate

UTTERANCES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How speakers and models are drawn.

    Attributes:
        num_dims: Size of an embedding.
        within: Spread of utterances around their speaker's centre, whose own spread is 1.
        shared: What all centres have in common; more of it makes non-target scores higher.
        unequal: Standard deviation of the log of `within` between speakers.
        noise: Each model's own error.
    """

    num_dims: int = 48
    within: float = 1.2
    shared: float = 1.5
    unequal: float = 0.2
    noise: tuple[float, ...] = (0.0,)

    def scores(self, rng: np.random.Generator, pairs: SpeakerPairs) -> list[np.ndarray]:
        """Return the scores of one list by each model, for new speakers and utterances."""
        num_speakers, size = pairs.num_speakers, pairs.is_target.size
        first = rng.integers(UTTERANCES, size=size)
        second = (first + rng.integers(1, UTTERANCES, size=size)) % UTTERANCES
        centre = rng.normal(size=(num_speakers, 1, self.num_dims))
        centre[..., 0] += self.shared
        spread = self.within * np.exp(self.unequal * rng.normal(size=(num_speakers, 1, 1)))
        shape = (num_speakers, UTTERANCES, self.num_dims)
        sound = centre + spread * rng.normal(size=shape)
        scores = []
        for noise in self.noise:
            own = 0.7 * rng.normal(size=centre.shape) + rng.normal(size=shape)
            emb = sound + noise * own
            emb /= np.linalg.norm(emb, axis=-1, keepdims=True)
            a, b = emb[pairs.speaker_a, first], emb[pairs.speaker_b, second]
            scores.append((a * b).sum(1))
        return scores

    def true_eer_pct(self, num_speakers: int = 3000) -> list[float]:
        """Each model's EER over so many speakers, percent."""
        rng = np.random.default_rng(99)
        pairs = trial_list(rng, num_speakers, 30)
        return [equal_error_rate(each, pairs.is_target) for each in self.scores(rng, pairs)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """Scores with an effect of each speaker on target and on non-target pairs.

    Attributes:
        gap: Mean target score; non-target scores have mean 0.
        of_targets: Standard deviation of a speaker's effect on the own pairs.
        of_others: The same on pairs with others; a pair has both speakers' effects.
        noise: Standard deviation of what a pair has for itself.
    """

    gap: float = 3.0
    of_targets: float = 0.5
    of_others: float = 0.3
    noise: float = 1.0

    def scores(self, rng: np.random.Generator, pairs: SpeakerPairs) -> list[np.ndarray]:
        """Return the scores of one list, for new speakers."""
        own = self.gap + self.of_targets * rng.normal(size=pairs.num_speakers)
        other = self.of_others * rng.normal(size=pairs.num_speakers)
        means = np.where(
            pairs.is_target,
            own[pairs.speaker_a],
            other[pairs.speaker_a] + other[pairs.speaker_b],
        )
        return [means + self.noise * rng.normal(size=means.size)]

    def true_eer_pct(self) -> list[float]:
        """Where the two normal distributions have equal tails, percent."""
        target = math.hypot(self.of_targets, self.noise)
        other = math.sqrt(2 * self.of_others**2 + self.noise**2)
        return [100 * NormalDist().cdf(-self.gap / (target + other))]


def trial_list(rng: np.random.Generator, num_speakers: int, per_speaker: int) -> SpeakerPairs:
    """As many target as non-target pairs of every speaker, the others drawn at random."""
    first = np.repeat(np.arange(num_speakers), 2 * per_speaker)
    is_target = np.arange(first.size) % 2 == 0
    other = (first + rng.integers(1, num_speakers, size=first.size)) % num_speakers
    return SpeakerPairs(
        speaker_a=first,
        speaker_b=np.where(is_target, first, other),
        is_target=is_target,
        num_speakers=num_speakers,
    )
