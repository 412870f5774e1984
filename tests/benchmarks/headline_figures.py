"""What the students chosen by each way are worth, on the list that chose them and on the other.

Shapes: P trial pairs, R bootstrap replicates, W ways, N seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from results.best_model import load_best
from results.history import ranked, trial_histories
from results.run_folder import RunFolder
from tests.benchmarks.headline_runs import ARMS, SEARCH
from trainable.bootstrap import SpeakerBootstrap, SpeakerPairs
from trainable.corpus import CorpusConfig, read_trial_list
from trainable.corpus_lists import TrialPair, speaker_of
from trainable.evaluation import score_pairs
from trainable.metrics import equal_error_rate

LISTS = ("validation", "test")
ENDS = (2.5, 97.5)
SEED = 0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The student that one search chose.

    Attributes:
        trial: Its number.
        num_trials: Trials of the search.
        epochs: Epochs of the search.
        num_params: Of the student.
        veer_pct: The search's own figure, over 2 crops: of the best epoch, so too low.
        eer_pct: By list, over 10 crops, percent.
        replicates_pct: By list, (R,) the same by bootstrap replicate.
    """

    trial: int
    num_trials: int
    epochs: int
    num_params: int
    veer_pct: float
    eer_pct: Mapping[str, float]
    replicates_pct: Mapping[str, Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far another way's EER lies above the search's, means over seeds, percent points.

    Attributes:
        mean: Above 0 where the search is better.
        low: Lower end of the 95 % interval, over speakers and seeds.
        high: Its upper end.
    """

    mean: float
    low: float
    high: float


def choose(run: Path, corpus: CorpusConfig) -> Chosen:
    """Scores the best student of a search on both lists."""
    assert corpus.test_list is not None
    folder = RunFolder(run)
    trials = trial_histories(folder.read())
    best = ranked(trials)[0]
    assert best.best is not None
    model = load_best(folder, best).model
    eer, replicates = {}, {}
    for name, file in zip(LISTS, (corpus.val_list, corpus.test_list), strict=True):
        pairs = read_trial_list(file, corpus.val_dir)
        found = score_pairs(model, corpus.val_dir, pairs, device=torch.device("cpu"))
        eer[name] = equal_error_rate(found.cosine, found.is_target)
        replicates[name] = SpeakerBootstrap(_speakers(pairs)).replicates(found.cosine)
    return Chosen(
        trial=best.trial,
        num_trials=len(trials),
        epochs=sum(len(each.epochs) for each in trials),
        num_params=best.best["num_params"],
        veer_pct=best.best["veer_pct"],
        eer_pct=eer,
        replicates_pct=replicates,
    )


def differences(
    found: Mapping[str, Sequence[Chosen]], trial_list: str
) -> dict[str, Difference]:
    """Every other way against the search, both on the same replicates of the speakers.

    In each replicate the seeds of both ways are drawn anew too, each way's by itself.

    Args:
        found: The chosen students by way, one a seed.
        trial_list: One of `LISTS`.
    """
    rng = np.random.default_rng(SEED)
    means = {arm: _mean_replicates(chosen, trial_list, rng) for arm, chosen in found.items()}
    mean = {arm: float(np.mean([each.eer_pct[trial_list] for each in chosen]))
            for arm, chosen in found.items()}
    result = {}
    for arm in ARMS:
        if arm != SEARCH:
            low, high = np.percentile(means[arm] - means[SEARCH], ENDS)
            result[arm] = Difference(mean=mean[arm] - mean[SEARCH], low=float(low),
                                     high=float(high))
    return result


def _mean_replicates(
    chosen: Sequence[Chosen], trial_list: str, rng: np.random.Generator
) -> Floats:
    """(R,) mean EER over as many seeds, drawn with replacement in every replicate."""
    replicates_NR = np.stack([each.replicates_pct[trial_list] for each in chosen])
    num_seeds, num_replicates = replicates_NR.shape
    drawn_NR = rng.integers(num_seeds, size=replicates_NR.shape)
    picked: Floats = replicates_NR[drawn_NR, np.arange(num_replicates)].mean(0)
    return picked


def _speakers(pairs: Sequence[TrialPair]) -> SpeakerPairs:
    return SpeakerPairs.of(
        [speaker_of(pair.path_a) for pair in pairs],
        [speaker_of(pair.path_b) for pair in pairs],
        [pair.is_target for pair in pairs],
    )
