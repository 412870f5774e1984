import pytest

from search.config.sections import FaultConfig
from search.ray_tune.hangs import HangWatch
from tests.worlds.simulated_search import Clock

CONFIG = FaultConfig(hang_factor=10, hang_floor_s=20, first_epoch_s=1000)


class Watching:
    """A watch that is looked at every second."""

    def __init__(self, config: FaultConfig = CONFIG) -> None:
        self.clock = Clock()
        self.watch = HangWatch(config, self.clock)

    def wait(self, seconds: float, *names: str) -> dict[str, float]:
        found = {}
        for _ in range(round(seconds)):
            self.clock.now_s += 1
            found |= self.watch.hung(names)
        return found

    def epochs(self, name: str, *took_s: float) -> None:
        self.watch.hung([name])
        for seconds in took_s:
            self.wait(seconds, name)
            self.watch.reported(name, is_new=True)


def test_before_any_epoch_a_trial_has_the_time_of_a_first_one():
    watching = Watching()
    assert watching.wait(1000, "a") == {}
    assert watching.wait(2, "a") == {"a": 1000.0}


def test_usual_time_is_the_median_and_the_limit_its_multiple():
    watching = Watching()
    watching.epochs("a", 30, 5, 5, 45, 5, 5)  # the first loads the data too; one was disturbed
    assert watching.wait(50, "a") == {}
    assert watching.wait(2, "a") == {"a": 50.0}


def test_epochs_without_evaluation_are_not_the_usual_time():
    watching = Watching()
    for seconds, is_evaluated in ((30, True), (5, False), (5, False), (50, True), (5, False)):
        watching.wait(seconds, "a")
        watching.watch.reported("a", is_new=True, is_evaluated=is_evaluated)
    assert watching.wait(500, "a") == {}
    assert watching.wait(2, "a") == {"a": 500.0}


def test_floor_counts_where_epochs_are_short():
    watching = Watching()
    watching.epochs("a", 1, 1, 1)
    assert watching.wait(20, "a") == {}
    assert watching.wait(2, "a") == {"a": 20.0}


def test_first_epoch_of_a_process_has_the_longest_start_as_its_usual_time():
    watching = Watching()
    watching.epochs("a", 60, 5, 5)
    watching.epochs("b", 8, 5, 5)
    assert watching.wait(600, "c") == {}
    assert watching.wait(2, "c") == {"c": 600.0}


def test_slow_trial_has_its_own_pace_once_it_has_three_epochs_of_it():
    watching = Watching()
    for name in "abcd":
        watching.epochs(name, 3, 3, 3, 3, 3)
    watching.epochs("slow", 20, 20, 20, 20)
    assert watching.wait(199, "slow") == {}
    assert watching.wait(3, "slow") == {"slow": 200.0}


def test_repeated_epoch_of_a_restored_trial_is_no_start_time():
    watching = Watching()
    watching.watch.hung(["a"])
    watching.wait(2, "a")
    watching.watch.reported("a", is_new=False)
    assert watching.wait(999, "a", "b") == {}
    assert watching.wait(5, "a", "b") == {"a": 1000.0, "b": 1000.0}


def test_hung_trial_is_named_once_per_worker():
    watching = Watching()
    watching.epochs("a", 1, 1, 1)
    assert watching.wait(60, "a") == {"a": 20.0}
    assert watching.wait(60, "a") == {}
    assert watching.wait(1) == {}
    assert watching.wait(19, "a") == {}
    assert watching.wait(3, "a") == {"a": 20.0}


def test_trial_without_a_worker_is_not_watched():
    watching = Watching()
    watching.epochs("a", 1, 1, 1)
    assert watching.wait(100) == {}


def test_time_in_which_the_driver_itself_stood_still_does_not_count():
    watching = Watching()
    watching.epochs("a", 1, 1, 1)
    watching.clock.now_s += 3600
    assert watching.watch.hung(["a"]) == {}
    watching.watch.reported("a", is_new=True)
    assert watching.wait(19, "a") == {}


@pytest.mark.parametrize("factor", [2, 100])
def test_factor_is_the_configs(factor):
    watching = Watching(FaultConfig(hang_factor=factor, hang_floor_s=1, first_epoch_s=9))
    watching.epochs("a", 4, 4, 4, 4)
    assert watching.wait(4 * factor, "a") == {}
    assert watching.wait(2, "a") == {"a": 4.0 * factor}
