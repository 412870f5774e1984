"""The most that early stopping can save."""

import pytest

from results.analysis.rungs import asha_rungs
from search.config.sections import SchedulerConfig
from search.estimates.ceiling import ceiling, describe_ceiling


@pytest.mark.parametrize(
    ("max_epochs", "grace", "expected"),
    [(12, 2, 3.0), (27, 9, 1.8), (50, 9, 2.8), (50, 3, 6.4), (100, 9, 4.6), (100, 3, 10.8)],
)
def test_known_geometries(max_epochs, grace, expected):
    found = ceiling(asha_rungs(grace, 3, max_epochs), 3, max_epochs)
    assert found == pytest.approx(expected, abs=0.05)


def test_it_is_the_mean_over_trials_of_which_a_third_goes_on():
    """Of nine trials six have 3 epochs, two have 9, one has 27."""
    assert ceiling([3, 9], 3, 27) == pytest.approx(9 * 27 / (6 * 3 + 2 * 9 + 27))


def test_nothing_is_saved_without_a_rung():
    assert ceiling([], 3, 27) == 1


def test_rungs_between_epochs_count_where_trials_are_compared():
    """Rungs 1 and 2.5: a trial is compared after epochs 1 and 3."""
    assert ceiling([1, 2.5], 2.5, 6) == pytest.approx(6 / (1 + 2 / 2.5 + 3 / 6.25))


def test_lines_give_this_ceiling_and_what_would_raise_it():
    assert describe_ceiling(SchedulerConfig(grace_epochs=9), 50) == [
        "ceiling: with rungs at epochs 9, 27 of 50 even perfect stopping saves at most a factor "
        "of 2.8",
        "ceiling: 6.4 with --grace-epochs 3, 10.8 with --grace-epochs 3 --max-epochs 100",
    ]


def test_lowest_grace_can_only_run_longer():
    assert describe_ceiling(SchedulerConfig(grace_epochs=1), 12)[1] == (
        "ceiling: 8.3 with --grace-epochs 1 --max-epochs 24"
    )
    first, second = describe_ceiling(SchedulerConfig(grace_epochs="auto"), 12)
    assert first.startswith("ceiling: with rungs at epochs 1, 3, 9 of 12 ")
    assert second == "ceiling: 8.3 with --grace-epochs auto --max-epochs 24"


def test_grace_beyond_the_last_epoch_saves_nothing():
    first, second = describe_ceiling(SchedulerConfig(grace_epochs=9), 9)
    assert first == "ceiling: no rung lies before the last epoch, 9: nothing is saved"
    assert second.startswith("ceiling: 1.8 with --grace-epochs 3, ")


def test_grace_far_beyond_the_last_epoch_is_not_lowered_to_one_that_is_none_either():
    _, second = describe_ceiling(SchedulerConfig(grace_epochs=99), 9)
    assert second.startswith("ceiling: 1.8 with --grace-epochs 3, ")
    assert len(describe_ceiling(SchedulerConfig(grace_epochs=99), 1)) == 1


def test_without_early_stopping_there_is_no_ceiling():
    assert describe_ceiling(SchedulerConfig(kind="none"), 27) == []
