from dataclasses import replace

import pytest

from search.prediction.scaling import run_races
from tests.benchmarks.brackets import Brackets, trials_of_brackets, with_brackets
from tests.benchmarks.workers import (
    EPOCHS_OF_C,
    HYPERBAND,
    Goal,
    points_of,
    races_of_c,
    settings_of,
)


@pytest.mark.parametrize(
    ("max_epochs", "expected"),
    [
        (81, {1: 81, 3: 34, 9: 15, 27: 8, 81: 5}),
        (27, {1: 27, 3: 12, 9: 6, 27: 4}),
        (12, {1: 9, 4: 5, 12: 3}),
        (2, {2: 1}),
    ],
    ids=str,
)
def test_brackets_are_those_of_hyperband(max_epochs, expected):
    # 81 epochs: the trials of the brackets in table 1 of Li et al.
    assert trials_of_brackets(3, max_epochs) == expected


def test_trials_are_compared_within_their_bracket_from_its_grace_epochs_on():
    shares = trials_of_brackets(3, 27)
    # Every trial is worse than the one before, so only the first of a bracket goes on.
    stopped: dict[int | None, int] = {}
    brackets = Brackets(3, 27, seed=0)
    for trial in range(sum(shares.values())):
        at = next((e for e in range(1, 28) if brackets.decide(trial, e, 10.0 + trial).stop), None)
        stopped[at] = stopped.get(at, 0) + 1
    # Four trials of the last bracket run to the end, and the first trial of each of the others.
    assert stopped == {1: 26, 3: 11, 9: 5, None: 7}


def test_hyperband_is_an_arm_of_the_real_coordinator():
    races = races_of_c(1, Goal(of=8, most_trials=30))
    settings = settings_of(EPOCHS_OF_C, "dprime")
    one, four = points_of(HYPERBAND, races, settings, (1, 4))
    assert (one.arm, one.num_workers, four.num_workers) == (HYPERBAND, 1, 4)
    assert four.time_s.value < one.time_s.value
    (asha,) = run_races(races, settings, ["random, ASHA"], (1,), lambda *_: None)
    (same,) = run_races(
        [replace(each, coordinator=with_brackets) for each in races], settings, ["random, ASHA"],
        (1,), lambda *_: None,
    )  # fmt: skip
    assert same.epochs == one.epochs != asha.epochs
