"""Time until a search has a student of a given VEER, by the number of workers."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from search.config.search_config import SearchConfig
from search.loop.coordinator import Coordinator
from search.loop.setup import make_coordinator
from search.prediction.estimates import Estimate
from search.prediction.played_search import KnownTruth, PlayedSearch, play_coordinator
from search.simulation.journal_in_memory import JournalInMemory
from search.simulation.replay import SimulatedClock
from spaces.space import Space

WORKERS = tuple(2**power for power in range(11))
# The ways to search, beside what the settings have.
ARMS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "random": {"sampler": "random", "kind": "none"},
        "random, ASHA": {"sampler": "random", "kind": "asha"},
        "TPE, ASHA": {"sampler": "tpe", "kind": "asha"},
        "guided, ASHA": {"sampler": "guided", "kind": "asha"},
    }
)
# More trials of a search are not played: it has not reached the VEER.
MOST_TRIALS = 1000
# Searches of an arm that are timed to estimate how long all take, and their workers.
NUM_TIMED, TIMED_WORKERS = 2, 64
# Resampled seeds of an interval.
NUM_DRAWS, DRAW_SEED = 2000, 0
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """Where a search is played until it has a student of a VEER.

    Attributes:
        seed: Seed of the search.
        space: Its space.
        world: Returns its students, of no search yet.
        until_pct: The true VEER to reach, percent.
        most_trials: Trials after which it has not reached it.
        coordinator: Makes the coordinator; called as `make_coordinator`.
    """

    seed: int
    space: Space
    world: Callable[[], KnownTruth]
    until_pct: float
    most_trials: int = MOST_TRIALS
    coordinator: Callable[..., Coordinator] = make_coordinator


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPoint:
    """One arm with one number of workers.

    Attributes:
        arm: A name of `ARMS`.
        num_workers: Trials at a time.
        time_s: Seconds until the VEER, the geometric mean over the races; its 95 % interval is
            over the races too. A race that did not reach it counts with the time that it took.
        speedup: The time of one worker divided by this, in the same races.
        epochs: Epochs of all trials until then, mean.
        num_failed: Races that did not reach the VEER.
        num_races: All of them.
    """

    arm: str
    num_workers: int
    time_s: Estimate
    speedup: Estimate
    epochs: float
    num_failed: int
    num_races: int

    @property
    def efficiency(self) -> float:
        """The speedup as a share of linear scaling."""
        return self.speedup.value / self.num_workers


def run_races(
    races: Sequence[Race],
    settings: SearchConfig,
    arms: Sequence[str],
    workers: Sequence[int],
    progress: Progress,
) -> list[ScalingPoint]:
    """Play every arm with every number of workers in every race.

    Args:
        races: The races, of different seeds.
        settings: Settings of all arms, beside what `ARMS` has.
        arms: Names of `ARMS`.
        workers: Numbers of workers; the first is what the speedup is measured against.
        progress: Called with (done, total) after each search.
    """
    total, done, points = len(races) * len(arms) * len(workers), 0, []
    for arm in arms:
        first: list[PlayedSearch] = []
        for num_workers in workers:
            played = []
            for race in races:
                played.append(_run(race, _settings(settings, arm, race), num_workers))
                done += 1
                progress(done, total)
            first = first or played
            points.append(_point(arm, num_workers, played, first))
    return points


def effort_in_words(
    races: Sequence[Race],
    settings: SearchConfig,
    clock: Callable[[], float] = time.perf_counter,
) -> str:
    """Return how many searches all arms are, and about how long: two of each arm are timed.

    Args:
        races: The races.
        settings: Settings of all arms.
        clock: Returns seconds.
    """
    began_s, timed = clock(), races[:NUM_TIMED]
    for race in timed:
        for arm in ARMS:
            _run(race, _settings(settings, arm, race), TIMED_WORKERS)
    searches = len(races) * len(WORKERS)
    return (
        f"up to a VEER: {searches * len(ARMS):,} searches ({len(races)} seeds, {len(ARMS)} kinds, "
        f"{len(WORKERS)} numbers of workers), about "
        f"{_duration(searches / len(timed) * (clock() - began_s))}; fewer --seeds take less"
    )


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds / 60)):,} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def end_of_scaling(points: Sequence[ScalingPoint], least: float = 0.8) -> int:
    """Return the most workers up to which an arm scales: at least this share of linear."""
    most = points[0].num_workers
    for point in points:
        if point.efficiency < least:
            break
        most = point.num_workers
    return most


def by_arm(points: Sequence[ScalingPoint]) -> Iterator[tuple[str, list[ScalingPoint]]]:
    """Yield each arm with its points, in their order."""
    for arm in dict.fromkeys(point.arm for point in points):
        yield arm, [point for point in points if point.arm == arm]


def _settings(settings: SearchConfig, arm: str, race: Race) -> SearchConfig:
    chosen = ARMS[arm]
    scheduler = settings.scheduler.model_copy(update={"kind": chosen["kind"]})
    # Without limits: only the VEER, or the number of trials, ends it.
    free = dict.fromkeys(("time_limit_s", "total_epochs", "stop_at"))
    return settings.model_copy(
        update={
            "sampler": chosen["sampler"],
            "scheduler": scheduler,
            "seed": race.seed,
            "num_trials": race.most_trials,
            "repeat": 0,
            "control": 0,
            "learn_from": (),
            **free,
        }
    )


def _run(race: Race, settings: SearchConfig, num_workers: int) -> PlayedSearch:
    def make(clock: SimulatedClock) -> Coordinator:
        return race.coordinator(settings, race.space, JournalInMemory(), clock=clock)

    return play_coordinator(
        make, race.world(), num_workers=num_workers, until_pct=race.until_pct
    )


def _point(
    arm: str, num_workers: int, played: Sequence[PlayedSearch], first: Sequence[PlayedSearch]
) -> ScalingPoint:
    log_s, log_first = _log_times(played), _log_times(first)
    return ScalingPoint(
        arm=arm,
        num_workers=num_workers,
        time_s=_geometric(log_s),
        speedup=_geometric(log_first - log_s),
        epochs=float(np.mean([each.reached_epochs or each.epochs for each in played])),
        num_failed=sum(each.reached_s is None for each in played),
        num_races=len(played),
    )


def _log_times(played: Sequence[PlayedSearch]) -> Any:
    return np.log([each.wall_s if each.reached_s is None else each.reached_s for each in played])


def _geometric(logs: Any) -> Estimate:
    rng = np.random.default_rng(DRAW_SEED)
    means = logs[rng.integers(len(logs), size=(NUM_DRAWS, len(logs)))].mean(axis=1)
    low, high = np.exp(np.percentile(means, (2.5, 97.5)))
    return Estimate(value=float(np.exp(logs.mean())), low=float(low), high=float(high))
