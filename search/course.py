"""One trial of a search so far, and how far a search goes."""

import math
from dataclasses import dataclass, field

from results.journal import EndState
from search.early_stopping import Verdict
from search.shares import RaisedShare
from search.suggestions import Suggestion
from trainable.config import TrialConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happened to a trial and says nothing of its config.

    Attributes:
        kind: One of `results.journal.FAULT_KINDS`.
        message: What is known of it, in a line.
    """

    kind: str
    message: str


@dataclass(slots=True, kw_only=True)
class TrialCourse:
    """One trial so far.

    Attributes:
        trial: Its number, from 0.
        suggestion: What it tries.
        config: The same as a checked config.
        veer_pct: VEER in percent by epoch; NaN where it could not be measured.
        verdict: What early stopping said last.
        state: How it ended, None while unfinished.
        is_running: Whether it was handed out in this process and has not come back.
        raised: What it is given since it ran out of memory, None before.
        faults: Those since its last new epoch that count against its retries.
    """

    trial: int
    suggestion: Suggestion
    config: TrialConfig
    veer_pct: dict[int, float] = field(default_factory=dict)
    verdict: Verdict | None = None
    state: EndState | None = None
    is_running: bool = False
    raised: RaisedShare | None = None
    faults: list[Fault] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return max(self.veer_pct, default=0)

    @property
    def measured(self) -> dict[int, float]:
        """VEER in percent of the epochs that have one."""
        return {epoch: value for epoch, value in self.veer_pct.items() if math.isfinite(value)}

    @property
    def best_veer_pct(self) -> float | None:
        """Lowest VEER so far, percent."""
        return min(self.measured.values(), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Where a search ends.

    Attributes:
        num_trials: Trials in all.
        max_epochs: Epochs of a trial that nothing stops.
        time_limit_s: Seconds after which no epoch is started; None for no limit.
        target_pct: VEER at which the search has what it was to find, percent; None for no end
            before the last trial's.
        total_epochs: Epochs of all trials together after which the search ends; None for no end.
    """

    num_trials: int
    max_epochs: int
    time_limit_s: float | None = None
    target_pct: float | None = None
    total_epochs: int | None = None
