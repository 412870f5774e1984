"""Trials with given VEERs, for the audits."""

from results.journal.history import TrialHistory
from tests.worlds.journals import made_record


def trial(number, veer_pct, state="complete", *, recipe=None, follow_up=None, follows=None):
    """A trial with these VEERs by epoch; None for an epoch without one."""
    config = {"lr": number if recipe is None else recipe, "seed": number}
    started = made_record(
        "trial_started", trial=number, config=config, follow_up=follow_up, follows=follows
    )
    ended = made_record("trial_ended", trial=number, state=state)
    made = TrialHistory(trial=number, started=started, start_s=0.0, ended=ended)
    for epoch, veer in enumerate(veer_pct, start=1):
        made.add_epoch(made_record("epoch", trial=number, epoch=epoch, veer_pct=veer))
    return made
