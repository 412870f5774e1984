"""The bootstrap over speakers against the same computation one replicate at a time.

`make bench NAME=bootstrap`, or `python -m tests.benchmarks.bootstrap`. 10,000 pairs of 40
speakers, 1,000 replicates, on one core. The plain side computes the weights of a replicate's
pairs, repeats each pair that often and computes the EER with `trainable.verification.metrics`. It
computes only some of the replicates, since each takes equally long. Both sides must find the same
EERs. The time of a whole interval is printed and has a limit too.
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from tests.benchmarks.report import Verdict, finish_all
from trainable.machine.hardware import describe_hardware
from trainable.verification.bootstrap import SpeakerBootstrap, SpeakerPairs
from trainable.verification.intervals import draw_counts
from trainable.verification.metrics import Floats, equal_error_rate

NUM_PAIRS = 10_000
NUM_SPEAKERS = 40
NUM_REPLICATES = 1000
PLAIN_REPLICATES = 50
ROUNDS = 5
TARGET = 10.0
LIMIT_S = 1.0


def made_up_list() -> tuple[SpeakerPairs, Floats]:
    """Make pairs, half of them targets, and their scores."""
    rng = np.random.default_rng(0)
    first = rng.integers(NUM_SPEAKERS, size=NUM_PAIRS)
    is_target = rng.random(NUM_PAIRS) < 0.5
    other = (first + rng.integers(1, NUM_SPEAKERS, size=NUM_PAIRS)) % NUM_SPEAKERS
    pairs = SpeakerPairs(
        speaker_a=first,
        speaker_b=np.where(is_target, first, other),
        is_target=is_target,
        num_speakers=NUM_SPEAKERS,
    )
    return pairs, rng.normal(size=NUM_PAIRS) + 2 * is_target


def plain(pairs: SpeakerPairs, scores: Floats, num_replicates: int) -> Floats:
    """Return the EERs of the first replicates, computed one at a time, (R,), percent."""
    found = []
    for times_K in draw_counts(pairs.num_speakers, NUM_REPLICATES).T[:num_replicates]:
        a, b = times_K[pairs.speaker_a], times_K[pairs.speaker_b]
        times = np.where(pairs.is_target, a, a * b)
        found.append(
            equal_error_rate(np.repeat(scores, times), np.repeat(pairs.is_target, times))
        )
    return np.array(found)


def seconds(run: Callable[[], Floats]) -> tuple[float, Floats]:
    """Return the shortest time of some rounds, and the result."""
    spent = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        found = run()
        spent.append(time.perf_counter() - started)
    return min(spent), found


def main() -> None:
    """Print both times and the ratio."""
    torch.set_num_threads(1)
    print(describe_hardware())
    pairs, scores = made_up_list()
    ours_s, ours = seconds(lambda: SpeakerBootstrap(pairs, NUM_REPLICATES).eer_pct(scores))
    part_s, part = seconds(lambda: plain(pairs, scores, PLAIN_REPLICATES))
    np.testing.assert_allclose(ours[:PLAIN_REPLICATES], part, rtol=0, atol=1e-9)
    plain_s = part_s * NUM_REPLICATES / PLAIN_REPLICATES
    print(f"{NUM_REPLICATES:,} replicates of {NUM_PAIRS:,} pairs: {ours_s:.3f} s")
    print(f"one at a time: {plain_s:.2f} s (from {PLAIN_REPLICATES} of them)")
    finish_all(
        [
            Verdict(name="bootstrap", ratio=plain_s / ours_s, target=TARGET),
            Verdict(name="bootstrap, seconds", ratio=ours_s, target=LIMIT_S, is_limit=True),
        ]
    )


if __name__ == "__main__":
    main()
