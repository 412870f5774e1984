"""What is known of a config before it becomes a trial: the limits that it breaks, its costs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from spaces.limits import Violation
from trainable.config.trial_config import TrialConfig

Check = Callable[[TrialConfig], Sequence[Violation]]
Measure = Callable[[TrialConfig], Mapping[str, float]]


def no_limits(config: TrialConfig) -> Sequence[Violation]:
    """Return no violation: the check of a space without limits."""
    del config
    return ()


def no_costs(config: TrialConfig) -> Mapping[str, float]:
    """Return no cost: those of a search with the one goal VEER."""
    del config
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """The functions that find it out.

    Attributes:
        check: Returns the limits that a config breaks.
        measure: Returns the costs of a config inside the limits, by goal: those that are goals of
            the search, the same ones for every config.
    """

    check: Check = no_limits
    measure: Measure = no_costs
