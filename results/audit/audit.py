"""Whether early stopping was right, from what a search has measured: figures alone, no words.

A trial's end VEER is the median of its last five epochs: the lowest one is the luckiest epoch's.
Where a rung lies among these, only the epochs after it count against it, so that no VEER is
correlated with itself. Intervals are exact ones of binomial shares.
Source: Clopper and Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev

from scipy.stats import binomtest, kendalltau, spearmanr, studentized_range
from scipy.stats import t as student_t

from results.analysis.ranking import may_rank, ranked, repeats_of
from results.audit.findings import (
    ControlResult,
    ControlsAudit,
    ControlShare,
    Correlation,
    CostAudit,
    RungAudit,
    SeedGroup,
    SeedsAudit,
)
from results.journal.history import CONTROL, REPEAT, TrialHistory, median_of_last

FEWEST_FOR_CORRELATION = 3
CONFIDENCE = 0.95
COMPLETE = "complete"


def correlation(pairs: Sequence[tuple[float, float]]) -> Correlation:
    """Spearman's and Kendall's coefficient of (VEER at a rung, VEER at the end)."""
    one, other = ([pair[side] for pair in pairs] for side in (0, 1))
    if len(pairs) < FEWEST_FOR_CORRELATION or len(set(one)) < 2 or len(set(other)) < 2:
        return Correlation(num=len(pairs))
    tau = kendalltau(one, other)
    return Correlation(
        num=len(pairs),
        spearman=float(spearmanr(one, other).statistic),
        kendall=float(tau.statistic),
        p_value=float(tau.pvalue),
    )


def control_share(num: int, of: int, num_stopped: int) -> ControlShare:
    """A share of controls with its exact 95 % interval, scaled to all stopped trials.

    Of these no fewer than the controls themselves have shown, and no more than they leave.

    Args:
        num: Controls of which it is true.
        of: Controls, at least 1.
        num_stopped: Stopped trials, from which they were drawn; at least as many.
    """
    found = binomtest(num, of).proportion_ci(confidence_level=CONFIDENCE, method="exact")
    low, high = float(found.low), float(found.high)
    return ControlShare(
        num=num,
        of=of,
        low=low,
        high=high,
        of_stopped_low=max(low * num_stopped, num),
        of_stopped_high=min(high * num_stopped, num_stopped - (of - num)),
    )


def audit_rungs(
    trials: Sequence[TrialHistory], epochs: Sequence[int], stopped_at: Mapping[int, int]
) -> tuple[RungAudit, ...]:
    """Each rung's figures.

    Args:
        trials: All of the search.
        epochs: After which its trials were compared, ascending.
        stopped_at: Epoch at which early stopping has stopped a trial, by its number.
    """
    own = [trial for trial in trials if trial.follow_up is None]
    complete = [trial for trial in own if trial.state == COMPLETE]
    controls = complete_follow_ups(trials, CONTROL)
    return tuple(
        RungAudit(
            epoch=epoch,
            num_reached=sum(epoch in trial.epochs for trial in own),
            num_stopped=sum(at == epoch for at in stopped_at.values()),
            complete=correlation(_pairs(complete, epoch)),
            with_controls=correlation(_pairs([*complete, *controls], epoch)) if controls else None,
        )
        for epoch in epochs
    )


def _pairs(trials: Iterable[TrialHistory], epoch: int) -> list[tuple[float, float]]:
    """VEER after this epoch and at the end, percent, of the trials that have both."""
    found = []
    for trial in trials:
        measured = trial.measured
        end = median_of_last([veer for at, veer in measured.items() if at > epoch])
        if epoch in measured and end is not None:
            found.append((measured[epoch], end))
    return found


def complete_follow_ups(trials: Iterable[TrialHistory], kind: str) -> list[TrialHistory]:
    """Follow-ups of a kind that came to the end with a VEER."""
    return [
        trial
        for trial in trials
        if trial.follow_up == kind and trial.state == COMPLETE and trial.measured
    ]


def audit_controls(
    trials: Sequence[TrialHistory], stopped_at: Mapping[int, int], most: int
) -> ControlsAudit | None:
    """What the controls say; None without a complete one, or a complete trial beside them.

    Args:
        trials: All of the search.
        stopped_at: Epoch at which early stopping has stopped a trial, by its number.
        most: Places that count as among the best.
    """
    by_number = {trial.trial: trial for trial in trials}
    complete = [t for t in trials if t.state == COMPLETE and may_rank(t)]
    ends = sorted((end_pct(trial), trial.trial) for trial in complete)
    controls = complete_follow_ups(trials, CONTROL)
    if not ends or not controls:
        return None
    best_pct, best_trial = ends[0]
    found = []
    for control in controls:
        end = end_pct(control)
        followed = by_number[control.follows or 0]
        found.append(
            ControlResult(
                trial=control.trial,
                follows=followed.trial,
                stopped_at=stopped_at.get(followed.trial, len(followed.epochs)),
                end_veer_pct=end,
                behind_pct=end - best_pct,
                place=1 + sum(other <= end for other, _ in ends),
                largest_gap_pct=_largest_gap(control, followed),
            )
        )
    num_stopped = len(stopped_at)
    return ControlsAudit(
        num_stopped=num_stopped,
        best_trial=best_trial,
        best_end_pct=best_pct,
        most=most,
        controls=tuple(sorted(found, key=lambda each: (each.end_veer_pct, each.trial))),
        would_have_won=control_share(sum(c.place == 1 for c in found), len(found), num_stopped),
        among_best=control_share(sum(c.place <= most for c in found), len(found), num_stopped),
    )


def end_pct(trial: TrialHistory) -> float:
    """A trial's end VEER, percent; it must have an epoch with one."""
    end = trial.median_veer_pct
    if end is None:
        raise ValueError(f"trial {trial.trial} must have an epoch with a VEER")
    return end


def _largest_gap(control: TrialHistory, followed: TrialHistory) -> float:
    one, other = control.measured, followed.measured
    return max((abs(one[at] - other[at]) for at in one.keys() & other.keys()), default=0.0)


def audit_seeds(trials: Sequence[TrialHistory], most: int) -> SeedsAudit | None:
    """The spread due to seeds; None where no config has two complete runs to compare.

    A finalist's own run is left out of its group: it was picked for a low VEER. Repetitions of a
    search's own are those that early stopping has let through, so their spread is a little low.

    Args:
        trials: All of the search.
        most: How many of the best are compared.
    """
    groups = [*_groups(trials, REPEAT), *_groups(trials, None)]
    degrees = sum(len(group.trials) - 1 for group in groups)
    if not degrees:
        return None
    squares = sum((len(group.trials) - 1) * group.sd_pct**2 for group in groups)
    pooled = math.sqrt(squares / degrees)
    best, runs = _compared(trials, most)
    figures = list(best.values())
    return SeedsAudit(
        groups=tuple(groups),
        pooled_sd_pct=pooled,
        degrees=degrees,
        pair_pct=math.sqrt(2) * pooled * float(student_t.ppf((1 + CONFIDENCE) / 2, degrees)),
        best=tuple(best),
        runs_each=runs,
        spread_pct=max(figures, default=0.0) - min(figures, default=0.0),
        told_apart_pct=_told_apart_pct(len(best), runs, pooled, degrees),
    )


def _compared(trials: Sequence[TrialHistory], most: int) -> tuple[dict[int, float], int]:
    """End VEER of the best by trial, percent, and the fewest runs behind one of them.

    Means of repeats where at least two configs have some, else single runs.
    """
    repeats, order = repeats_of(trials), ranked(trials)
    repeated = [trial.trial for trial in order if trial.trial in repeats][:most]
    if len(repeated) > 1:
        runs = min(len(repeats[number].veer_pct) for number in repeated)
        return {number: repeats[number].mean_pct for number in repeated}, runs
    complete = [trial for trial in order if trial.state == COMPLETE]
    return {trial.trial: end_pct(trial) for trial in complete[:most]}, 1


def _told_apart_pct(num: int, runs: int, sd_pct: float, degrees: int) -> float | None:
    """Range of so many means that seeds alone exceed in one case of twenty (Tukey), percent."""
    if num < 2:
        return None
    return float(studentized_range.ppf(CONFIDENCE, num, degrees)) * sd_pct / math.sqrt(runs)


def _groups(trials: Iterable[TrialHistory], kind: str | None) -> list[SeedGroup]:
    alike: dict[str, list[TrialHistory]] = {}
    for trial in trials:
        if trial.follow_up == kind and trial.state == COMPLETE and trial.measured:
            alike.setdefault(trial.recipe, []).append(trial)
    groups = []
    for found in alike.values():
        if len(found) > 1:
            ends = [end_pct(trial) for trial in found]
            groups.append(
                SeedGroup(
                    trials=tuple(trial.trial for trial in found),
                    kind=kind or "repetition",
                    mean_pct=fmean(ends),
                    sd_pct=stdev(ends),
                )
            )
    return groups


def audit_cost(
    trials: Sequence[TrialHistory], max_epochs: int, stopped_at: Mapping[int, int]
) -> CostAudit:
    """What early stopping has saved.

    Args:
        trials: All of the search.
        max_epochs: Epochs of a trial that nothing stops.
        stopped_at: Epoch at which early stopping has stopped a trial, by its number.
    """
    own = [trial for trial in trials if trial.follow_up is None]
    epochs = sum(len(trial.epochs) for trial in own)
    cut = [len(trial.epochs) for trial in own if trial.trial in stopped_at]
    saved = sum(max_epochs - had for had in cut)
    return CostAudit(
        num_trials=len(own),
        num_complete=sum(trial.state == COMPLETE for trial in own),
        num_stopped=len(cut),
        epochs=epochs,
        epochs_without=epochs + saved,
        epochs_saved=saved,
        follow_up_epochs=sum(len(t.epochs) for t in trials if t.follow_up is not None),
    )
