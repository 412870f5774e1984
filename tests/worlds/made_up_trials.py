"""Trials with given VEERs, for the audits."""

from results.journal.history import TrialHistory


def trial(number, veer_pct, state="complete", *, recipe=None, follow_up=None, follows=None):
    """A trial with these VEERs by epoch; None for an epoch without one."""
    started = {"config": {"lr": number if recipe is None else recipe, "seed": number}}
    if follow_up is not None:
        started |= {"follow_up": follow_up, "follows": follows}
    ended = {"state": state, "reason": None}
    made = TrialHistory(trial=number, started=started, start_s=0.0, ended=ended)
    for epoch, veer in enumerate(veer_pct, start=1):
        made.add_epoch({"epoch": epoch, "veer_pct": veer})
    return made
