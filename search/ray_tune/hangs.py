"""When a trial hangs: no report within a multiple of the usual time. Knows no Ray."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median

from search.config.sections import FaultConfig

# A look after a longer time counts as this: the driver itself stood still, and results wait.
LONGEST_LOOK_S = 10.0
# Epochs of its own from which a trial's own pace counts.
OWN_EPOCHS = 3
MAX_EPOCHS = 1000
MAX_OWN_EPOCHS = 100


@dataclass(slots=True, kw_only=True)
class _Watched:
    since_s: float
    has_reported: bool = False
    is_killed: bool = False
    epochs_s: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_OWN_EPOCHS))


class HangWatch:
    """Watches how long running trials say nothing.

    A trial's first report comes after its data are loaded, so it has a usual time of its own: the
    longest that was seen. Later ones have the median over all trials, or over the trial's own
    where that is longer.

    Args:
        config: What counts as a hang.
        clock: Seconds; only differences count.
    """

    def __init__(self, config: FaultConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._looked_s = clock()
        self._now_s = 0.0
        self._watched: dict[str, _Watched] = {}
        self._epochs_s: deque[float] = deque(maxlen=MAX_EPOCHS)
        self._usual_s: float | None = None
        self._longest_start_s: float | None = None

    def reported(self, name: str, *, is_new: bool) -> None:
        """Notes a report.

        Args:
            name: The trial, as Ray calls it.
            is_new: Whether an epoch was trained for it; a restored trial repeats its last one.
        """
        self._advance()
        watched = self._watched.setdefault(name, _Watched(since_s=self._now_s))
        took_s, watched.since_s = self._now_s - watched.since_s, self._now_s
        if watched.has_reported:
            watched.epochs_s.append(took_s)
            self._epochs_s.append(took_s)
            self._usual_s = median(self._epochs_s)
        elif is_new:
            self._longest_start_s = max(took_s, self._longest_start_s or 0.0)
        watched.has_reported = True

    def hung(self, names: Iterable[str]) -> dict[str, float]:
        """Those of the running trials that hang, each once, with the seconds that they had.

        Args:
            names: The trials that have a worker, as Ray calls them; others are forgotten.
        """
        self._advance()
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
        config = self._config
        usual_s = self._longest_start_s
        if watched.has_reported and self._usual_s is not None:
            usual_s = self._usual_s
            if len(watched.epochs_s) >= OWN_EPOCHS:
                usual_s = max(usual_s, median(watched.epochs_s))
        if usual_s is None:
            return config.first_epoch_s
        if not watched.has_reported:
            usual_s = max(usual_s, self._usual_s or 0.0)
        return max(config.hang_floor_s, config.hang_factor * usual_s)

    def _advance(self) -> None:
        now_s = self._clock()
        self._now_s += min(now_s - self._looked_s, LONGEST_LOOK_S)
        self._looked_s = now_s
