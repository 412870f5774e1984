"""Measures of whether early stopping was right: rank correlations, controls and cost.

Numbers only; `results.audit.verdict` puts them into words. The end VEER of a trial is the median
of its last five epochs, because the lowest VEER is that of the luckiest epoch. Where a rung lies
among these five, only the epochs after it count, so that no VEER is correlated with itself.

Source: exact intervals of binomial shares: Clopper and Pearson, The use of confidence or fiducial
limits, Biometrika 26 (1934).
"""

from collections.abc import Iterable, Mapping, Sequence

from results.analysis.ranking import may_rank
from results.audit.findings import (
    ControlResult,
    ControlsAudit,
    ControlShare,
    Correlation,
    CostAudit,
    RungAudit,
)
from results.journal.history import CONTROL, TrialHistory, median_of_last

# Two pairs always give a coefficient of exactly -1 or 1.
FEWEST_FOR_CORRELATION = 3
CONFIDENCE = 0.95
COMPLETE = "complete"


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> Correlation:
    """Return Spearman's and Kendall's coefficients.

    Args:
        pairs: Figure at a rung and end VEER of each trial, percent.
    """
    at_rung, at_end = ([pair[side] for pair in pairs] for side in (0, 1))
    # SciPy warns and returns NaN where one side is constant.
    if len(pairs) < FEWEST_FOR_CORRELATION or len(set(at_rung)) < 2 or len(set(at_end)) < 2:
        return Correlation(num=len(pairs))
    # Not at the top: importing it takes a second, and a search imports this file at its start.
    from scipy.stats import kendalltau, spearmanr

    tau = kendalltau(at_rung, at_end)
    return Correlation(
        num=len(pairs),
        spearman=float(spearmanr(at_rung, at_end).statistic),
        kendall=float(tau.statistic),
        p_value=float(tau.pvalue),
    )


def exact_interval(num: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share by Clopper and Pearson, 0 to 1."""
    from scipy.stats import binomtest  # see above

    exact = binomtest(num, of).proportion_ci(confidence_level=CONFIDENCE, method="exact")
    return float(exact.low), float(exact.high)


def control_share(num: int, of: int, num_stopped: int) -> ControlShare:
    """Return a share of the controls with its exact 95 % interval, scaled to all stopped trials.

    Args:
        num: Number of controls with the property.
        of: Number of controls, at least 1.
        num_stopped: Number of stopped trials, from which the controls were drawn; at least `of`.
    """
    low, high = exact_interval(num, of)
    return ControlShare(
        num=num,
        of=of,
        low=low,
        high=high,
        # The controls are stopped trials themselves: `num` of these are known to have the
        # property, `of - num` are known not to have it.
        of_stopped_low=max(low * num_stopped, num),
        of_stopped_high=min(high * num_stopped, num_stopped - (of - num)),
    )


def audit_rungs(
    trials: Sequence[TrialHistory], epochs: Sequence[int], stopped_at: Mapping[int, int]
) -> tuple[RungAudit, ...]:
    """Return the counts and correlations of every rung.

    Args:
        trials: All trials of the search, follow-ups included.
        epochs: Epochs of the rungs, ascending.
        stopped_at: Epoch at which early stopping stopped a trial, by the trial's number.
    """
    own = [trial for trial in trials if trial.follow_up is None]
    complete = [trial for trial in own if trial.state == COMPLETE]
    controls = complete_follow_ups(trials, CONTROL)
    return tuple(
        RungAudit(
            epoch=epoch,
            num_reached=sum(epoch in trial.epochs for trial in own),
            num_stopped=sum(at == epoch for at in stopped_at.values()),
            complete=rank_correlation(_rung_and_end(complete, epoch)),
            with_controls=(
                rank_correlation(_rung_and_end([*complete, *controls], epoch))
                if controls
                else None
            ),
        )
        for epoch in epochs
    )


def _rung_and_end(trials: Iterable[TrialHistory], epoch: int) -> list[tuple[float, float]]:
    """Return the figure after the epoch and end VEER, percent, of the trials that have both."""
    pairs = []
    for trial in trials:
        decisions = trial.decisions
        end = median_of_last([veer for at, veer in trial.measured.items() if at > epoch])
        if epoch in decisions and end is not None:
            pairs.append((decisions[epoch], end))
    return pairs


def complete_follow_ups(trials: Iterable[TrialHistory], kind: str) -> list[TrialHistory]:
    """Return the follow-ups of a kind that ran to the end and have a VEER."""
    return [
        trial
        for trial in trials
        if trial.follow_up == kind and trial.state == COMPLETE and trial.measured
    ]


def audit_controls(
    trials: Sequence[TrialHistory], stopped_at: Mapping[int, int], most: int
) -> ControlsAudit | None:
    """Compare the controls with the complete trials.

    Args:
        trials: All trials of the search, follow-ups included.
        stopped_at: Epoch at which early stopping stopped a trial, by the trial's number.
        most: The last rank that counts as among the best.

    Returns:
        None without a complete control, or without a complete trial to compare it with.
    """
    by_number = {trial.trial: trial for trial in trials}
    # `may_rank` leaves out the follow-ups: a control must not be compared with itself.
    complete = [t for t in trials if t.state == COMPLETE and may_rank(t)]
    ends = sorted((end_veer_pct(trial), trial.trial) for trial in complete)
    controls = complete_follow_ups(trials, CONTROL)
    if not ends or not controls:
        return None
    best_pct, best_trial = ends[0]
    compared = []
    for control in controls:
        end_pct = end_veer_pct(control)
        followed = by_number[control.follows or 0]
        compared.append(
            ControlResult(
                trial=control.trial,
                follows=followed.trial,
                stopped_at=stopped_at.get(followed.trial, len(followed.epochs)),
                end_veer_pct=end_pct,
                behind_pct=end_pct - best_pct,
                place=1 + sum(other_pct <= end_pct for other_pct, _ in ends),
                largest_gap_pct=_largest_gap_pct(control, followed),
            )
        )
    num_stopped = len(stopped_at)
    return ControlsAudit(
        num_stopped=num_stopped,
        best_trial=best_trial,
        best_end_pct=best_pct,
        most=most,
        controls=tuple(sorted(compared, key=lambda each: (each.end_veer_pct, each.trial))),
        would_have_won=control_share(
            sum(each.place == 1 for each in compared), len(compared), num_stopped
        ),
        among_best=control_share(
            sum(each.place <= most for each in compared), len(compared), num_stopped
        ),
    )


def end_veer_pct(trial: TrialHistory) -> float:
    """Return the end VEER of a trial, percent.

    Raises:
        ValueError: The trial has no epoch with a VEER.
    """
    end_pct = trial.median_veer_pct
    if end_pct is None:
        raise ValueError(f"trial {trial.trial} must have an epoch with a VEER")
    return end_pct


def _largest_gap_pct(control: TrialHistory, followed: TrialHistory) -> float:
    one, other = control.measured, followed.measured
    return max((abs(one[at] - other[at]) for at in one.keys() & other.keys()), default=0.0)


def audit_cost(
    trials: Sequence[TrialHistory], max_epochs: int, stopped_at: Mapping[int, int]
) -> CostAudit:
    """Return the epochs that the search spent and that early stopping saved.

    Args:
        trials: All trials of the search, follow-ups included.
        max_epochs: Epochs of a trial that is not stopped.
        stopped_at: Epoch at which early stopping stopped a trial, by the trial's number.
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
