"""What a search knows before its first trial."""

from collections.abc import Sequence
from dataclasses import dataclass

from results.records.earlier_trial import EarlierTrial
from spaces.conditions import Params


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What a search knows before its first trial.

    Attributes:
        first: Parameters to try before the sampler draws any.
        earlier: Trials of earlier runs that the sampler learns from.
    """

    first: Sequence[Params] = ()
    earlier: Sequence[EarlierTrial] = ()


NO_PRIOR = Prior()
