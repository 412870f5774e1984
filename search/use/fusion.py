"""Systems fused: their scores weighted by logistic regression on one list, judged on another.

Shapes: P trial pairs, Q systems.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from models.frontend import HOP_SAMPLES
from search.review.trial_list import TrialList
from search.use.system import EmbeddingSystem, Progress
from trainable.calibration.logistic import LogisticFit, fit_llr
from trainable.calibration.measures import SystemScores
from trainable.cost.quiet_rounds import RoundPlan, time_quiet_rounds
from trainable.cost.timing import Call
from trainable.embedding.embedder import CropPlan
from trainable.lists.pair_index import PairIndex
from trainable.verification.metrics import Floats

FUSED = "fused"
# An utterance of 2 s, as in the benchmark.
LATENCY_FRAMES = 200
LATENCY_PLAN = RoundPlan(rounds=20, warmup_rounds=3, limit_s=10.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FusedSystems:
    """The scores of systems and of their fusion on a list.

    Attributes:
        fit: Weights of the systems' scores.
        systems: The fusion, then each system, all with ratios.
        index: The pairs of the list.
    """

    fit: LogisticFit
    systems: tuple[SystemScores, ...]
    index: PairIndex


def fuse_systems(
    systems: Sequence[EmbeddingSystem],
    fit_on: TrialList,
    trials: TrialList,
    progress: Progress | None = None,
) -> FusedSystems:
    """Fit the weights on one list, and score another.

    Args:
        systems: What embeds; embeddings may have different sizes.
        fit_on: The list for the weights.
        trials: The list to score.
        progress: Called with (utterances done, utterances in total) of one system and list.

    Raises:
        TrainingError: The first list has no errors, so that nothing can be fitted.
    """
    _, columns_PQ, targets = _cosines(systems, fit_on, progress)
    fit = fit_llr(columns_PQ, targets)
    index, scores_PQ, _ = _cosines(systems, trials, progress)
    fused = fit.llr(scores_PQ)
    found = [SystemScores(name=FUSED, scores=fused, llr=fused)]
    for place, system in enumerate(systems):
        alone = fit_llr(columns_PQ[:, [place]], targets)
        own = scores_PQ[:, place]
        llr = alone.llr(own[:, None])
        found.append(SystemScores(name=system.name, scores=own, llr=llr))
    return FusedSystems(fit=fit, systems=tuple(found), index=index)


def latencies_ms(systems: Sequence[EmbeddingSystem]) -> list[float | None]:
    """Return the median time from 2 s of audio to the embedding, on one thread of this machine.

    The systems take turns. None for one whose embeddings are in a file, and where other work on
    the machine left no call undisturbed.
    """
    generator = torch.Generator().manual_seed(0)
    num_samples = (LATENCY_FRAMES - 1) * HOP_SAMPLES
    wave_S = (0.1 * torch.randn(num_samples, generator=generator)).numpy()
    plan = CropPlan(num_crops=1, num_frames=LATENCY_FRAMES)
    calls: dict[str, Call] = {}
    for place, system in enumerate(systems):
        if (model := system.model) is not None:
            calls[str(place)] = partial(model.embedder.crops, [wave_S], plan)
    # The setting is that of the whole process, so it is restored.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        timed = time_quiet_rounds(calls, LATENCY_PLAN)
    finally:
        torch.set_num_threads(before)
    return [
        1000 * statistics.median(seconds)
        if str(place) in calls and (seconds := timed.quiet_s(str(place)))
        else None
        for place in range(len(systems))
    ]


def _cosines(
    systems: Sequence[EmbeddingSystem], trials: TrialList, progress: Progress | None
) -> tuple[PairIndex, Floats, np.ndarray]:
    """Return a list's pairs, the cosine of each by each system, (P, Q), and their labels."""
    index = PairIndex.from_pairs(trials.pairs)
    columns = [
        each.utterances(trials.root, index.paths, progress).cosines(index.a, index.b)
        for each in systems
    ]
    return index, np.stack(columns, axis=1), index.is_target
