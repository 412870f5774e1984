"""Detection of trials that hang: no report within a multiple of the usual time. Needs no Ray."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median

from search.config.sections import FaultConfig

# A longer time between two checks counts as this much: the driver itself was stopped, and results
# of running trials may wait in its queue.
MAX_CHECK_INTERVAL_S = 10.0
# A trial with this many timed epochs is compared with its own median too.
MIN_OWN_EPOCHS = 3
# Only the latest epochs are kept, so that a long search follows a change of speed, and each median
# takes little time.
MAX_EPOCHS = 1000
MAX_OWN_EPOCHS = 100


@dataclass(slots=True, kw_only=True)
class _Watched:
    since_s: float
    has_reported: bool = False
    is_killed: bool = False
    epochs_s: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_OWN_EPOCHS))


class HangWatch:
    """The time since the last report of each running trial, and its limit.

    A trial's first report comes after its data are loaded. Its usual time is therefore the longest
    first report so far. For later reports it is the median over all trials, or over the trial's
    own epochs if that is longer.

    Args:
        config: What counts as a hang.
        clock: Returns seconds; only differences count.
    """

    def __init__(self, config: FaultConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._checked_s = clock()
        self._now_s = 0.0
        self._watched: dict[str, _Watched] = {}
        self._epochs_s: deque[float] = deque(maxlen=MAX_EPOCHS)
        self._usual_s: float | None = None
        self._longest_first_s: float | None = None

    def reported(self, name: str, *, is_new: bool, is_evaluated: bool = True) -> None:
        """Record a report.

        Args:
            name: Ray's name of the trial.
            is_new: Whether the report is of a newly trained epoch. A restored trial first repeats
                its last one, which takes no training time.
            is_evaluated: Whether the epoch was evaluated. One that was not takes less than the
                usual time, so it is not timed.
        """
        self._advance()
        watched = self._watched.setdefault(name, _Watched(since_s=self._now_s))
        took_s, watched.since_s = self._now_s - watched.since_s, self._now_s
        if not is_evaluated:
            watched.has_reported = True
            return
        if watched.has_reported:
            watched.epochs_s.append(took_s)
            self._epochs_s.append(took_s)
            self._usual_s = median(self._epochs_s)
        # The first report is never timed as an epoch: it includes the loading of the data.
        elif is_new:
            self._longest_first_s = max(took_s, self._longest_first_s or 0.0)
        watched.has_reported = True

    def hung(self, names: Iterable[str]) -> dict[str, float]:
        """Return the limit in seconds of each trial that hangs; each trial is returned once.

        Args:
            names: Ray's names of the trials that have a worker. All others are forgotten.
        """
        self._advance()
        # Timed from the first check that finds a worker: waiting for resources is no hang.
        self._watched = {
            name: self._watched.get(name) or _Watched(since_s=self._now_s) for name in names
        }
        found = {}
        for name, watched in self._watched.items():
            limit_s = self._limit_s(watched)
            if not watched.is_killed and self._now_s - watched.since_s > limit_s:
                watched.is_killed = True
                found[name] = limit_s
        return found

    def _limit_s(self, watched: _Watched) -> float:
        """Return the seconds after which the trial counts as hung."""
        config = self._config
        usual_s = self._longest_first_s
        if watched.has_reported and self._usual_s is not None:
            usual_s = self._usual_s
            if len(watched.epochs_s) >= MIN_OWN_EPOCHS:
                usual_s = max(usual_s, median(watched.epochs_s))
        if usual_s is None:
            # Nothing was measured yet, so that only a fixed and generous limit can be applied.
            return config.first_epoch_s
        if not watched.has_reported:
            # A start includes an epoch, which may take longer than the starts seen so far.
            usual_s = max(usual_s, self._usual_s or 0.0)
        return max(config.hang_floor_s, config.hang_factor * usual_s)

    def _advance(self) -> None:
        now_s = self._clock()
        self._now_s += min(now_s - self._checked_s, MAX_CHECK_INTERVAL_S)
        self._checked_s = now_s
