"""The error rates of one set of scores of a list, beside those of another set.

Shapes: P trial pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainable.calibration.cllr import actual_dcf, cllr, min_cllr
from trainable.verification.bootstrap import SpeakerBootstrap
from trainable.verification.intervals import EERDifference, Interval, eer_difference
from trainable.verification.metrics import Floats, equal_error_rate, min_dcf


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SystemScores:
    """The scores of one system on a list.

    Attributes:
        name: What gave them.
        scores: (P,) scores; a higher score means "same speaker".
        llr: (P,) log-likelihood ratios by a calibration on another list; None without one.
    """

    name: str
    scores: Floats
    llr: Floats | None = None

    @property
    def decides(self) -> Floats:
        """The ratios where there are any: quality measures may change the order of pairs."""
        return self.scores if self.llr is None else self.llr


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemMeasures:
    """The error rates of one system.

    Attributes:
        name: What gave the scores.
        eer_pct: Interpolated EER, percent.
        interval: Its 95 % interval; None where speakers are few or unknown.
        behind: EER minus that of the first system; None for the first itself.
        min_dcf: Minimum detection cost by prior.
        actual_dcf: Cost of the decisions by the calibrated ratios, by prior; empty without.
        min_cllr: Cost of the best calibration that keeps the order, bits.
        cllr: Cost of the ratios, bits; None without a calibration.
    """

    name: str
    eer_pct: float
    interval: Interval | None
    behind: EERDifference | None
    min_dcf: Mapping[float, float]
    actual_dcf: Mapping[float, float]
    min_cllr: float
    cllr: float | None


def measure_systems(
    systems: Sequence[SystemScores],
    is_target: NDArray[np.bool_],
    bootstrap: SpeakerBootstrap | None,
    priors: Sequence[float],
) -> list[SystemMeasures]:
    """Return the error rates of systems on one list, the first being what others compare with.

    Args:
        systems: Their scores.
        is_target: (P,) whether both utterances are of one speaker.
        bootstrap: The bootstrap over the list's speakers; None if they are unknown.
        priors: Priors of a target pair, for the detection costs.
    """
    eers = [equal_error_rate(each.decides, is_target) for each in systems]
    replicates = [None if bootstrap is None else bootstrap.eer_pct(s.decides) for s in systems]
    found = []
    for system, eer_pct, own in zip(systems, eers, replicates, strict=True):
        behind, interval, first = None, None, replicates[0]
        if bootstrap is not None and own is not None and first is not None:
            interval = bootstrap.interval(eer_pct, own)
            if system is not systems[0]:
                speakers = bootstrap.pairs.num_speakers
                behind = eer_difference((eer_pct, eers[0]), (own, first), speakers)
        found.append(
            SystemMeasures(
                name=system.name,
                eer_pct=eer_pct,
                interval=interval,
                behind=behind,
                min_dcf={p: min_dcf(system.decides, is_target, p) for p in priors},
                actual_dcf={
                    p: actual_dcf(system.llr, is_target, p)
                    for p in priors
                    if system.llr is not None
                },
                min_cllr=min_cllr(system.decides, is_target),
                cllr=None if system.llr is None else cllr(system.llr, is_target),
            )
        )
    return found
