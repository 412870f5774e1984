"""The verdict of an audit in words."""

from dataclasses import replace

import pytest

from results.audit.audit import control_share
from results.audit.findings import (
    Audit,
    ControlResult,
    ControlsAudit,
    Correlation,
    CostAudit,
    RungAudit,
    SeedGroup,
    SeedsAudit,
)
from results.audit.verdict import verdict

COST = CostAudit(
    num_trials=24, num_complete=4, num_stopped=20, epochs=300, epochs_without=1000,
    epochs_saved=700, follow_up_epochs=0,
)  # fmt: skip
GROUPS = tuple(
    SeedGroup(
        trials=(10 * n, 10 * n + 1, 10 * n + 2), kind="repeat", mean_pct=9.0 + n, sd_pct=0.4
    )
    for n in range(3)
)
SEEDS = SeedsAudit(
    groups=GROUPS, pooled_sd_pct=0.4, degrees=6, pair_pct=1.38, best=(3, 1, 7), runs_each=3,
    spread_pct=0.5, told_apart_pct=1.0,
)  # fmt: skip


def rung(epoch, spearman, *, num_stopped=10, with_controls=None):
    return RungAudit(
        epoch=epoch,
        num_reached=24,
        num_stopped=num_stopped,
        complete=Correlation(num=4, spearman=spearman, kendall=spearman),
        with_controls=with_controls,
    )


AUDIT = Audit(
    is_stopping=True,
    decide_by="veer", grace_epochs=9, reduction_factor=3.0, max_epochs=100,
    rungs=(rung(9, 0.5), rung(27, 0.8)), controls=None, seeds=None, cost=COST, stop_faults=(),
)  # fmt: skip


def controls(behind_pct, *, of=10, stopped_at=9, num_stopped=40):
    won = sum(behind < 0 for behind in behind_pct)
    return ControlsAudit(
        num_stopped=num_stopped,
        best_trial=3,
        best_end_pct=10.0,
        most=3,
        controls=tuple(
            ControlResult(
                trial=30 + n, follows=n, stopped_at=stopped_at, end_veer_pct=10 + behind,
                behind_pct=behind, place=1 if behind < 0 else 5, largest_gap_pct=0.0,
            )
            for n, behind in enumerate(behind_pct)
        ),
        would_have_won=control_share(won, of, num_stopped),
        among_best=control_share(won, of, num_stopped),
    )  # fmt: skip


def test_without_controls_the_loss_is_reported_as_unknown():
    words = verdict(AUDIT)
    assert words[0] == "20 trials stopped early, each as the rungs require"
    assert words[1].startswith("the loss by stopping is not known")
    assert "100 epochs each" in words[1]
    assert words[-1] == (
        "the search ran 300 epochs; without early stopping the same trials would have run 1,000: "
        "700 saved (70%)"
    )


def test_a_control_that_would_have_won_calls_for_a_later_rung():
    """Ten stopped at rung 9 would have gone on for 18 epochs each, to 27."""
    words = " ".join(verdict(replace(AUDIT, controls=controls([-0.8, *[2.0] * 9]))))
    # Clopper and Pearson of 1 in 10: up to 44.5 %, of 40 trials 17.8; one of them is known.
    assert "1 of 10 controls would have won" in words
    assert "of all 40 stopped trials 1 to 18 would have won, with 95 % confidence" in words
    assert (
        "the best control is ahead by 0.80 points; it was stopped after epoch 9: raise "
        "grace_epochs from 9 to 27, which would have cost these trials 180 epochs more" in words
    )


def test_a_lead_within_the_spread_of_seeds_is_reported_as_such():
    found = replace(AUDIT, controls=controls([-0.8]), seeds=SEEDS)
    words = " ".join(verdict(found))
    assert "no more than two seeds of one config may differ (1.38 points)" in words
    found = replace(AUDIT, controls=controls([-1.5]), seeds=SEEDS)
    assert "two seeds of one config may differ" not in " ".join(verdict(found))


def test_a_winner_of_the_last_rung_calls_for_no_early_stopping():
    found = replace(AUDIT, controls=controls([-0.8], stopped_at=81))
    assert "turn early stopping off (--scheduler none)" in " ".join(verdict(found))


@pytest.mark.parametrize(
    ("of", "advice"),
    [
        (5, "5 controls cannot show much"),
        (30, "grace_epochs may stay at 9: the loss by stopping is small"),
    ],
)
def test_no_winner_is_worth_as_much_as_there_are_controls(of, advice):
    """None of 5 leaves up to 52 % open, none of 30 up to 12 %."""
    assert advice in " ".join(verdict(replace(AUDIT, controls=controls([1.0] * of, of=of))))


@pytest.mark.parametrize(
    ("spearman", "how_well"), [(0.8, "well"), (0.5, "moderately"), (0.1, "poorly")]
)
def test_a_rungs_correlation_in_words(spearman, how_well):
    words = " ".join(verdict(replace(AUDIT, rungs=(rung(9, spearman), rung(27, 0.9)))))
    expected = f"VEER after epoch 9 predicts the end {how_well}: rank correlation {spearman:.2f}"
    assert expected in words
    assert "their correlation is lower than that of all trials would be" in words
    advice = "raise grace_epochs from 9 to 27, where the correlation is 0.90"
    assert (advice in words) == (spearman < 0.3)


@pytest.mark.parametrize(("p_value", "is_reported"), [(0.33, True), (0.01, False)])
def test_a_correlation_that_may_be_chance_is_reported_as_such(p_value, is_reported):
    found = Correlation(num=4, spearman=0.8, kendall=0.67, p_value=p_value)
    words = " ".join(verdict(replace(AUDIT, rungs=(replace(rung(9, 0.8), complete=found),))))
    assert ("which may be chance (p = 0.33)" in words) == is_reported


def test_controls_lift_the_restriction_of_range():
    wide = Correlation(num=14, spearman=0.75, kendall=0.6)
    words = " ".join(verdict(replace(AUDIT, rungs=(rung(9, 0.1, with_controls=wide),))))
    assert "predicts the end well: rank correlation 0.75 over 14 complete trials and con" in words
    assert "is lower than that of all" not in words


def test_too_few_trials_are_reported_as_such():
    [few] = [RungAudit(
        epoch=9, num_reached=2, num_stopped=0, complete=Correlation(num=2), with_controls=None
    )]  # fmt: skip
    words = " ".join(verdict(replace(AUDIT, rungs=(few,))))
    assert "how well VEER after epoch 9 predicts the end is not known: 2 complete trials" in words


def test_seeds_separate_the_best_trials_or_not():
    """Twice the spread needs a quarter of the runs: 3 x (1.0 / 0.5) squared is 12."""
    words = " ".join(verdict(replace(AUDIT, seeds=SEEDS)))
    assert (
        "differ by a standard deviation of 0.40 points (from 9 runs of 3 configs, 6 degrees of "
        "freedom); the best 3 differ by 0.50 points by means of 3 repeats, where differences "
        "below 1.00 points may be due to the seed" in words
    )
    advice = "any of them may be the best; about 12 repeats of each would decide it"
    assert words.count(advice) == 1
    apart = replace(SEEDS, spread_pct=1.2)
    assert "the first is better than the last" in " ".join(verdict(replace(AUDIT, seeds=apart)))


def test_stops_that_do_not_follow_are_named():
    words = verdict(replace(AUDIT, stop_faults=("trial 4 was to stop",)))
    assert words[0].endswith("but not all as the rungs require: trial 4 was to stop")


def test_without_early_stopping_only_seeds_are_left():
    words = verdict(replace(AUDIT, is_stopping=False, rungs=(), seeds=SEEDS))
    assert words[0] == "early stopping was off: every trial ran to the end"
    assert len(words) == 2
