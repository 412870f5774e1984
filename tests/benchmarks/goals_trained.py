"""What searches that trained have found: their fronts, judged on speakers that no search saw.

Shapes: R bootstrap replicates of the speakers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from results.analysis.nondominated import Point, hypervolume, nondominated
from results.export.best_model import load_best
from results.journal.history import TrialHistory, trial_histories
from results.journal.run_folder import RunFolder
from results.records.trial_records import EpochEnded
from tests.benchmarks.goals_runs import ARMS, GOALS, Prepared, TrainedPlan, checker, train_search
from tests.benchmarks.headline_figures import Judged, OneList, both_lists
from trainable.config.trial_config import TrialConfig
from trainable.verification.metrics import Floats

REFERENCE_PCT = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontStudent:
    """A student on the front of a search.

    Attributes:
        trial: Its number.
        seen_pct: Its lowest VEER in the search, percent.
        latency: Its time over the teacher's.
        judged: Its EER on the other speakers.
    """

    trial: int
    seen_pct: float
    latency: float
    judged: Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """One search.

    Attributes:
        arm: One of `ARMS`.
        seed: Its seed.
        num_trials: Trials begun.
        seen: (trial, VEER in percent) of every epoch, as they ended.
        latency: Latency by trial.
        front: Its front by ascending VEER.
    """

    arm: str
    seed: int
    num_trials: int
    seen: tuple[tuple[int, float], ...]
    latency: Mapping[int, float]
    front: tuple[FrontStudent, ...]

    def seen_points(self, num_epochs: int) -> list[Point]:
        """Return lowest VEER and latency of each trial after so many epochs of all trials."""
        best: dict[int, float] = {}
        for trial, veer_pct in self.seen[:num_epochs]:
            best[trial] = min(veer_pct, best.get(trial, np.inf))
        return [(pct, self.latency[trial]) for trial, pct in best.items()]

    @property
    def true_points(self) -> list[Point]:
        """EER on the other speakers and latency of each student on the front."""
        return [(each.judged.eer_pct, each.latency) for each in self.front]

    def at_limit_pct(self, limit: float) -> float:
        """Return the EER of the student with the lowest VEER that is within a latency."""
        able = [each for each in self.front if each.latency <= limit]
        best = min(able, key=lambda each: each.seen_pct, default=None)
        return REFERENCE_PCT if best is None else best.judged.eer_pct


class Volumes:
    """Hypervolumes up to `REFERENCE_PCT` and the slowest architecture.

    Each is a share of what all searches together dominate, by the same figures.

    Args:
        found: All searches.
        slowest: The latency of the slowest architecture.
    """

    def __init__(self, found: Sequence[Searched], slowest: float) -> None:
        self._reference: Point = (REFERENCE_PCT, slowest * 1.0001)
        every = [each.seen_points(len(each.seen)) for each in found]
        self._whole_seen = self._of([point for points in every for point in points])
        self._whole = self._of([point for each in found for point in each.true_points])

    def seen(self, search: Searched, num_epochs: int) -> float:
        """Return the share by what the search itself has seen."""
        return self._of(search.seen_points(num_epochs)) / self._whole_seen

    def true(self, search: Searched) -> float:
        """Return the share of its front on the other speakers."""
        return self._of(search.true_points) / self._whole

    def replicates(self, search: Searched) -> Floats:
        """Return the same for each replicate of the other speakers, (R,)."""
        latency = [each.latency for each in search.front]
        drawn = np.stack([each.judged.replicates_pct for each in search.front], axis=1)
        points = (list(zip(row, latency, strict=True)) for row in drawn.tolist())
        return np.array([self._of(each) for each in points]) / self._whole

    def _of(self, points: Sequence[Point]) -> float:
        return hypervolume(points, self._reference)


def trained(plan: TrainedPlan, prepared: Prepared) -> list[Searched]:
    """Run what is missing of the searches, seed by seed, then judge their fronts."""
    pairs = [(arm, seed) for seed in range(plan.seeds) for arm in ARMS]
    for arm, seed in pairs:
        print(f"running: {arm}, seed {seed}", flush=True)
        train_search(plan, prepared.corpus, arm, seed)
    measure = checker(plan.teacher)

    def latency(trial: TrialHistory) -> float:
        config = TrialConfig.model_validate(trial.started.config)
        return measure.goal_costs(config, GOALS)["cpu_latency"]

    judge = both_lists(prepared.corpus)["test"]
    found = []
    for arm, seed in pairs:
        folder = RunFolder(plan.run(arm, seed))
        trials = trial_histories(folder.read())
        costs = {each.trial: latency(each) for each in trials}
        seen = tuple(
            (record.trial, record.veer_pct)
            for record in folder.read()
            if isinstance(record, EpochEnded) and record.veer_pct is not None
        )
        front = tuple(judged_front(folder, trials, costs, judge))
        found.append(
            Searched(
                arm=arm, seed=seed, num_trials=len(trials), seen=seen, latency=costs, front=front
            )
        )
    return found


def judged_front(
    folder: RunFolder,
    trials: Iterable[TrialHistory],
    costs: Mapping[int, float],
    judge: OneList,
) -> list[FrontStudent]:
    """Return the front of a search by ascending VEER, scored on the other speakers."""
    able = [(each.best_veer_pct, costs[each.trial], each) for each in trials if each.epochs]
    points = [(pct, cost) for pct, cost, _ in able if pct is not None]
    assert len(points) == len(able), "every epoch of these searches is evaluated"
    return [
        FrontStudent(
            trial=trial.trial,
            seen_pct=seen_pct,
            latency=cost,
            judged=judge.judge(load_best(folder, trial).model),
        )
        for (seen_pct, cost), trial in sorted(
            ((points[place], able[place][2]) for place in nondominated(points)),
            key=lambda pair: pair[0],
        )
    ]
