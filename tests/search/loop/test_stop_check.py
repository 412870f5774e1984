"""The check of early stopping's stops against the journal's own epochs."""

import numpy as np
import pytest

from search.loop.early_stopping import SuccessiveHalving
from search.loop.stop_check import rung_stops, stop_faults
from tests.worlds.journals import made_record

ASHA = {"kind": "asha", "grace_epochs": 1, "reduction_factor": 2}


def started(scheduler=ASHA, **more):
    settings = {"scheduler": scheduler, "max_epochs": 4, "stop_at": None, "success": {}}
    return made_record("search_started", settings=settings | more)


def epoch(trial, number, veer_pct):
    return made_record("epoch", trial=trial, epoch=number, veer_pct=veer_pct)


def ended(trial, state):
    return made_record("trial_ended", trial=trial, state=state, reason=None)


def finished(reason="finished"):
    return made_record("search_ended", reason=reason)


# Trial 0 is the first at rung 1, so goes on; the 20 % of trial 1 are above the median, 10 %.
HONEST = [
    started(),
    epoch(0, 1, 10.0),
    epoch(1, 1, 20.0),
    ended(1, "stopped_early"),
    epoch(0, 2, 9.0),
    epoch(0, 3, 8.0),
    epoch(0, 4, 7.0),
    ended(0, "complete"),
    finished(),
]


def but(records, *, without=(), put=None):
    """The records without those at some places, and with others in place of some."""
    changed = {**dict(enumerate(records)), **(put or {})}
    return [record for place, record in changed.items() if place not in without]


def test_stops_that_follow_have_no_fault():
    assert stop_faults(HONEST) == ()


def test_a_forged_stop_at_a_rung_is_caught():
    records = but(HONEST, put={2: epoch(1, 1, 9.5)})
    assert stop_faults(records) == (
        "trial 1 was stopped after epoch 1, where its VEER meets the 10.00 % of rung 1",
    )


def test_a_forged_stop_of_the_first_at_a_rung_is_caught():
    [fault] = stop_faults([started(), epoch(0, 1, 40.0), ended(0, "stopped_early")])
    assert fault == "trial 0 was stopped after epoch 1, where rung 1 had held no other trial"


def test_a_forged_stop_between_rungs_is_caught():
    records = [*HONEST[:6], ended(0, "stopped_early"), finished()]
    [fault] = stop_faults(records)
    assert fault == "trial 0 was stopped after epoch 3, where there is no rung"


def test_a_stop_because_the_search_has_had_its_epochs_follows():
    last = ended(1, "stopped_early")
    records = [epoch(0, 1, 30.0), epoch(0, 2, 29.0), epoch(1, 1, 20.0), last]
    assert stop_faults([started(total_epochs=3), *records]) == ()
    [fault] = stop_faults([started(total_epochs=4), *records])
    assert fault.startswith("trial 1 was stopped after epoch 1")


def test_follow_ups_ask_no_rung_and_spend_no_budget():
    """Trial 2 is far behind at both rungs, and its epochs leave trial 3 its stop to explain."""
    begun = made_record("trial_started", trial=2, follow_up="control", follows=1)
    control = [begun, *(epoch(2, number, 90.0) for number in range(1, 5)), ended(2, "complete")]
    assert stop_faults([*HONEST[:-1], *control, finished()]) == ()
    assert set(rung_stops([*HONEST[:-1], *control, finished()])) == {1}
    last = [epoch(3, 1, 5.0), ended(3, "stopped_early")]
    assert stop_faults([started(total_epochs=6), *HONEST[1:-1], *last]) == ()
    [fault] = stop_faults([started(total_epochs=10), *HONEST[1:-1], *control, *last])
    assert fault.startswith("trial 3 was stopped after epoch 1")


def test_a_stopped_follow_up_is_a_fault():
    begun = made_record("trial_started", trial=2, follow_up="repeat", follows=0)
    stopped = [begun, epoch(2, 1, 90.0), ended(2, "stopped_early")]
    [fault] = stop_faults([*HONEST[:-1], *stopped, finished()])
    assert fault == "trial 2 was stopped after epoch 1, though a repeat runs to the end"


def test_a_missing_stop_is_caught_where_the_trial_goes_on():
    records = but(HONEST, put={3: epoch(1, 2, 50.0)})
    [fault] = stop_faults(records)
    assert "trial 1 was to stop at rung 1, since its VEER is above 10.00 %, but went on" in fault


def test_a_missing_stop_is_caught_where_the_trial_is_recorded_as_complete():
    [fault] = stop_faults(but(HONEST, put={3: ended(1, "complete")}))
    assert fault.endswith("but ended as complete")


def test_a_missing_end_counts_only_once_the_search_is_at_its_end():
    records = but(HONEST, without={3})
    [fault] = stop_faults(records)
    assert fault.endswith("but has no end")
    assert stop_faults(but(HONEST, without={3}, put={8: finished("interrupted")})) == ()


def test_an_epoch_reported_twice_is_no_fault():
    assert stop_faults([*HONEST[:2], epoch(0, 1, 90.0), *HONEST[2:]]) == ()


def test_an_interruption_changes_nothing():
    resumed = made_record("search_resumed", settings=HONEST[0].settings)
    assert stop_faults([*HONEST[:3], finished("interrupted"), resumed, *HONEST[3:]]) == ()


def test_without_early_stopping_every_stop_is_a_fault():
    none = started({"kind": "none"})
    assert len(stop_faults([none, *HONEST[1:]])) == 1


@pytest.mark.parametrize(("target_pct", "num_faults"), [(9.0, 0), (8.0, 1)])
def test_a_met_target_ends_the_others(target_pct, num_faults):
    records = [
        started(stop_at="target", success={"target": target_pct}),
        epoch(0, 1, 10.0),
        epoch(1, 1, 9.5),
        epoch(0, 2, 9.0),
        ended(0, "stopped_early"),
        epoch(1, 2, 8.9),
        ended(1, "stopped_early"),
    ]
    faults = stop_faults(records)
    assert len(faults) == 2 * num_faults


def test_an_epoch_without_a_veer_asks_no_rung():
    assert stop_faults([started(), epoch(0, 1, None), ended(0, "diverged"), finished()]) == ()


def test_records_without_a_beginning_are_refused():
    with pytest.raises(ValueError, match="must begin with search_started"):
        stop_faults(HONEST[1:])


@pytest.mark.parametrize("flipped", [False, True])
def test_made_up_searches_against_the_rule_itself(flipped):
    """24 trials of random VEERs; then with one decision at a rung turned round."""
    rng = np.random.default_rng(5)
    rule, records, turned = SuccessiveHalving([1, 2], 2), [started()], False
    for trial in range(24):
        for number in range(1, 5):
            veer_pct = float(rng.uniform(5, 50))
            records.append(epoch(trial, number, veer_pct))
            verdict = rule.decide(trial, number, veer_pct)
            stop = verdict.stop
            if flipped and trial == 12 and number == 1:
                stop, turned = not stop, True
            if stop or number == 4:
                records.append(ended(trial, "stopped_early" if stop else "complete"))
                break
    assert len(stop_faults([*records, finished()])) == (1 if flipped else 0)
    assert turned == flipped


# By d' the order of both trials is the other one: 1.0 is worse than 2.0.
BY_DPRIME = [
    started(decide_by="dprime"),
    made_record("epoch", trial=0, epoch=1, veer_pct=20.0, dprime=2.0),
    made_record("epoch", trial=1, epoch=1, veer_pct=10.0, dprime=1.0),
    ended(1, "stopped_early"),
]


def test_stops_are_checked_by_the_figure_of_the_search():
    assert stop_faults(BY_DPRIME) == ()
    assert stop_faults(but(BY_DPRIME, put={0: started(decide_by="veer")})) == (
        "trial 1 was stopped after epoch 1, where its VEER meets the 20.00 % of rung 1",
    )


def test_a_missing_stop_is_named_by_the_figure_of_the_search():
    records = but(BY_DPRIME, put={3: ended(1, "complete")})
    assert stop_faults(records) == (
        "trial 1 was to stop at rung 1, since its EER from d' is above 15.87 %, but ended as "
        "complete",
    )


def test_a_mean_of_epochs_is_checked_over_the_same_epochs():
    """Rung 2: the means are 15 and 14.5, though the VEER after epoch 2 is lower in trial 0."""
    records = [
        started(decide_by="mean_of_last_k"),
        epoch(0, 1, 20.0),
        epoch(0, 2, 10.0),
        epoch(1, 1, 18.0),
        epoch(1, 2, 11.0),
        epoch(1, 3, 11.0),
        epoch(1, 4, 11.0),
        ended(1, "complete"),
    ]
    assert stop_faults(records) == ()
    assert len(stop_faults(but(records, put={0: started()}))) == 1


def test_a_forged_stop_in_the_grace_epochs_is_caught():
    """Tau of the eight trials at rungs 1 and 2 is -1, so rung 1 stops no trial after them."""
    auto = {"kind": "asha", "grace_epochs": "auto", "reduction_factor": 2}
    records = [started(scheduler=auto, max_epochs=8)]
    for trial in range(8):
        records += [epoch(trial, 1, 20.0 - trial), epoch(trial, 2, 10.0 + trial)]
        # Rung 2: each is worse than all before it, and stopped but for the first.
        records += [ended(trial, "stopped_early")] if trial else []
    change = {"grace_epochs": 2.0, "was_epochs": 1.0, "rung": 1.0, "tau": -1.0, "num_trials": 8}
    # Due before the last of them is ended.
    records.insert(len(records) - 1, made_record("grace_changed", **change))
    assert stop_faults(records) == ()
    forged = [*records, epoch(8, 1, 30.0), ended(8, "stopped_early")]
    assert stop_faults(forged) == (
        "trial 8 was stopped after epoch 1, where rung 1 lay in the grace epochs and stopped no "
        "trial",
    )
