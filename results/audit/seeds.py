"""The spread of the end VEER due to seeds, and whether it hides which trial is the best.

Source: the range of several means by Tukey's studentized range, as `scipy.stats` has it.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev

from scipy.special import stdtrit

from results.analysis.ranking import ranked, repeats_of
from results.audit.audit import COMPLETE, CONFIDENCE, end_veer_pct
from results.audit.findings import SeedGroup, SeedsAudit
from results.journal.history import REPEAT, TrialHistory


def audit_seeds(trials: Sequence[TrialHistory], most: int) -> SeedsAudit | None:
    """Estimate the spread due to seeds and compare it with the spread of the best trials.

    Args:
        trials: All trials of the search, follow-ups included.
        most: Largest number of best trials to compare.

    Returns:
        None where no config has two complete runs that differ only in the seed.
    """
    # The original run of a finalist is in no group: it was selected for its low VEER. A search's
    # own repetitions are those that early stopping let through, so their spread is slightly low.
    groups = [*_seed_groups(trials, REPEAT), *_seed_groups(trials, None)]
    degrees = sum(len(group.trials) - 1 for group in groups)
    if not degrees:
        return None
    squares = sum((len(group.trials) - 1) * group.sd_pct**2 for group in groups)
    pooled = math.sqrt(squares / degrees)
    best, runs = _best_to_compare(trials, most)
    best_pct = list(best.values())
    return SeedsAudit(
        groups=tuple(groups),
        pooled_sd_pct=pooled,
        degrees=degrees,
        # The difference of two runs has sqrt(2) times the standard deviation of one.
        pair_pct=math.sqrt(2) * pooled * float(stdtrit(degrees, (1 + CONFIDENCE) / 2)),
        best=tuple(best),
        runs_each=runs,
        spread_pct=max(best_pct, default=0.0) - min(best_pct, default=0.0),
        told_apart_pct=_tukey_range_pct(len(best), runs, pooled, degrees),
    )


def _best_to_compare(
    trials: Sequence[TrialHistory], most: int
) -> tuple[dict[int, float], int]:
    """Return the VEERs of the best trials and the smallest number of runs behind one of them.

    The VEERs are means over repeats where at least two configs have repeats, else end VEERs of
    single runs; percent, by trial number, in rank order.
    """
    repeats, order = repeats_of(trials), ranked(trials)
    repeated = [trial.trial for trial in order if trial.trial in repeats][:most]
    # Means and single runs are not mixed: a single run was selected for its low VEER.
    if len(repeated) > 1:
        runs = min(len(repeats[number].veer_pct) for number in repeated)
        return {number: repeats[number].mean_pct for number in repeated}, runs
    complete = [trial for trial in order if trial.state == COMPLETE]
    return {trial.trial: end_veer_pct(trial) for trial in complete[:most]}, 1


def _tukey_range_pct(num: int, runs: int, sd_pct: float, degrees: int) -> float | None:
    """Return the range of `num` means that seeds by themselves exceed in one of 20 cases, percent.

    Args:
        num: Number of means.
        runs: Number of runs in each mean.
        sd_pct: Standard deviation of one run, percent.
        degrees: Degrees of freedom of `sd_pct`.

    Returns:
        None of fewer than two means, which have no range.
    """
    if num < 2:
        return None
    from scipy.stats import studentized_range  # not at the top: importing it takes a second

    return float(studentized_range.ppf(CONFIDENCE, num, degrees)) * sd_pct / math.sqrt(runs)


def _seed_groups(trials: Iterable[TrialHistory], kind: str | None) -> list[SeedGroup]:
    """Return the configs with several complete runs among the follow-ups of a kind.

    Args:
        trials: All trials of the search.
        kind: Kind of follow-up; None for the search's own trials.
    """
    alike: dict[str, list[TrialHistory]] = {}
    for trial in trials:
        if trial.follow_up == kind and trial.state == COMPLETE and trial.measured:
            alike.setdefault(trial.recipe, []).append(trial)
    groups = []
    for runs in alike.values():
        if len(runs) > 1:
            ends = [end_veer_pct(trial) for trial in runs]
            groups.append(
                SeedGroup(
                    trials=tuple(trial.trial for trial in runs),
                    kind=kind or "repetition",
                    mean_pct=fmean(ends),
                    sd_pct=stdev(ends),
                )
            )
    return groups
