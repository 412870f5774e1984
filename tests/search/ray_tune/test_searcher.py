"""The order of trials on a cluster's slots, and trials that may run again."""

import itertools
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

from results.journal.journal import Journal, read_journal
from search.config.sections import FaultConfig, FollowUpPlan
from search.loop.coordinator import Coordinator
from search.loop.early_stopping import SuccessiveHalving
from search.loop.proposals import Proposals
from search.loop.shares import ResourceShare, ShareAllocator
from search.loop.trial_course import Budget
from search.ray_tune.hangs import HangWatch
from search.ray_tune.scheduler import CoordinatorScheduler
from search.ray_tune.searcher import KEPT_WITHIN_S, CoordinatorSearcher, TrialSlots
from search.suggest.suggestions import Suggestions
from spaces.dimensions import Float
from spaces.space import Space
from trainable.config.trial_config import TrialConfig

SPACE = Space(
    name="s", fixed={}, dimensions=(Float(name="training.lr", low=1e-4, high=1e-2, log=True),)
)
QUARTER = ShareAllocator(base=ResourceShare(num_cpus=1, num_gpus=0.25), max_cpus=4)
NO_MEMORY = {"outcome": "out_of_memory", "reason": "Tried to allocate 2 GiB"}


class Ray:
    """A stand-in for Ray: requests trials, starts them, and passes their results on."""

    def __init__(self, coordinator, allocator, *, num_slots, max_concurrent=99):
        self.coordinator = coordinator
        self.now_s = 0.0
        self.searcher = CoordinatorSearcher(
            coordinator,
            lambda course, share: {"trial": course.trial} | asdict(share),
            slots=TrialSlots(allocator, num_slots, max_concurrent, lambda: self.now_s),
        )
        self.scheduler = CoordinatorScheduler(
            coordinator, allocator, HangWatch(FaultConfig(), lambda: 0.0)
        )
        self._names = (f"ray{number}" for number in itertools.count())
        self.out = {}
        self.tasks = {}

    def ask(self):
        """Return the number of the next trial, or the searcher's other answer."""
        name = next(self._names)
        task = self.searcher.suggest(name)
        if not isinstance(task, dict):
            return task
        self.out[task["trial"]] = name
        self.tasks[task["trial"]] = task
        return task["trial"]

    def start(self, trial):
        self.searcher.on_trial_start(self.out[trial])

    def result(self, trial, result):
        ray_trial = SimpleNamespace(config=self.tasks[trial], trial_id=self.out[trial])
        answer = self.scheduler.on_trial_result(None, ray_trial, result)
        if answer == "STOP":
            self.searcher.on_trial_complete(self.out.pop(trial))
        return answer


@pytest.fixture
def make_ray(tmp_path):
    with Journal(tmp_path / "j") as journal:

        def make(allocator=QUARTER, *, num_trials=12, **options):
            coordinator = Coordinator(
                Proposals(
                    Suggestions(SPACE, kind="random", seed=0),
                    journal,
                    make_config=lambda s: TrialConfig.model_validate({"seed": s.seed} | s.tree),
                ),
                SuccessiveHalving([], 3),
                journal,
                budget=Budget(num_trials=num_trials, max_epochs=1),
            )
            return Ray(coordinator, allocator, **options)

        yield make


DONE = {"epoch": 1, "veer_pct": 20.0}


def test_no_more_trials_run_than_there_are_slots(make_ray):
    ray = make_ray(num_slots=4)
    assert [ray.ask() for _ in range(5)] == [0, 1, 2, 3, None]
    assert ray.result(2, DONE) == "STOP"
    assert [ray.ask(), ray.ask()] == [4, None]


def test_max_concurrent_limits_the_running_trials(make_ray):
    ray = make_ray(num_slots=4, max_concurrent=2)
    assert [ray.ask() for _ in range(3)] == [0, 1, None]


def test_a_node_that_joins_gives_slots_and_one_that_leaves_takes_them(make_ray):
    ray = make_ray(num_slots=2)
    assert [ray.ask() for _ in range(3)] == [0, 1, None]
    ray.searcher._slots.resize(3)
    assert [ray.ask(), ray.ask()] == [2, None]
    ray.searcher._slots.resize(1)
    ray.result(0, DONE)
    ray.result(1, DONE)
    assert ray.ask() is None
    ray.result(2, DONE)
    assert [ray.ask(), ray.ask()] == [3, None]


def test_a_model_worse_than_chance_halts_the_search_with_the_reason(make_ray):
    ray = make_ray(num_slots=4)
    assert [ray.ask(), ray.ask()] == [0, 1]
    result = {"outcome": "inverted", "reason": "VEER 76.67 % is significantly above"}
    assert ray.result(0, result) == "STOP"
    coordinator = ray.coordinator
    assert (coordinator.halted, coordinator.halt_message) == ("inverted", result["reason"])
    assert coordinator.trials[0].state is None
    assert not isinstance(ray.ask(), int)


def test_no_trial_overtakes_a_raised_trial_that_waits_for_two_slots(make_ray):
    ray = make_ray(num_slots=4)
    assert [ray.ask() for _ in range(4)] == [0, 1, 2, 3]
    assert ray.result(1, NO_MEMORY) == "STOP"
    # A place that becomes free is for it.
    assert ray.ask() is None
    ray.result(0, DONE)
    assert ray.ask() == 1
    assert ray.ask() is None
    ray.start(1)
    # It has two places, trials 2 and 3 have one each.
    assert ray.ask() is None
    ray.result(2, DONE)
    assert [ray.ask(), ray.ask()] == [4, None]
    ray.result(1, DONE)
    assert [ray.ask(), ray.ask(), ray.ask()] == [5, 6, None]


def test_slots_that_a_raised_trial_cannot_use_are_not_kept_for_ever(make_ray):
    """A half does not fit where a quarter is free on each of two GPUs; Ray is not asked for it."""
    ray = make_ray(replace(QUARTER, num_gpus=2, num_all_gpus=2), num_slots=8, num_trials=99)
    assert [ray.ask() for _ in range(9)] == [*range(8), None]
    ray.result(0, NO_MEMORY)
    assert ray.ask() is None
    ray.now_s += 100
    ray.result(1, DONE)
    # A third slot may become free soon: then one of the GPUs has two.
    ray.now_s += KEPT_WITHIN_S - 1
    assert ray.ask() is None
    ray.now_s += 1
    assert [ray.ask(), ray.ask(), ray.ask()] == [8, 9, None]
    # The next free slots are kept for it again.
    for trial in (2, 3):
        ray.result(trial, DONE)
        assert ray.ask() is None
    ray.result(4, DONE)
    assert ray.ask() == 0
    assert ray.tasks[0]["num_gpus"] == 0.5
    ray.start(0)
    assert [ray.ask(), ray.ask()] == [10, None]


def test_raised_trial_runs_at_last_where_no_other_is_left(make_ray):
    ray = make_ray(replace(QUARTER, num_gpus=2, num_all_gpus=2), num_slots=8, num_trials=8)
    assert [ray.ask() for _ in range(8)] == [*range(8)]
    ray.result(0, NO_MEMORY)
    ray.now_s += KEPT_WITHIN_S
    assert ray.ask() is None
    for trial in tuple(ray.out):
        ray.result(trial, DONE)
    assert ray.ask() == 0
    assert ray.tasks[0]["num_gpus"] == 1.0  # nobody else needs it
    ray.result(0, DONE)
    assert ray.ask() == "FINISHED"


def test_trial_gets_a_larger_share_where_no_other_is_to_come(make_ray):
    """And what it had is doubled after it ran out of memory."""
    ray = make_ray(replace(QUARTER, num_gpus=2, num_all_gpus=2), num_slots=8, num_trials=4)
    assert [ray.ask() for _ in range(5)] == [0, 1, 2, 3, None]
    assert [task["num_gpus"] for task in ray.tasks.values()] == [0.5, 0.5, 0.5, 0.25]
    ray.result(0, NO_MEMORY)
    assert ray.ask() is None
    for trial in (1, 2, 3):
        ray.result(trial, DONE)
    assert ray.ask() == 0
    assert ray.tasks[0]["num_gpus"] == 1.0


def test_follow_ups_are_to_come_when_the_other_trials_have_ended(make_ray):
    ray = make_ray(num_slots=8, num_trials=2)
    ray.coordinator.budget = replace(
        ray.coordinator.budget, follow_ups=FollowUpPlan(repeat=3, finalists=1)
    )
    assert ray.coordinator.num_to_come == 2
    ray.ask()
    assert ray.coordinator.num_to_come == 1
    ray.ask()
    assert ray.coordinator.num_to_come == 0
    ray.result(0, NO_MEMORY)
    assert ray.coordinator.num_to_come == 1
    assert ray.ask() == 0
    ray.result(0, DONE)
    ray.result(1, DONE)
    assert ray.coordinator.num_to_come == 3
    assert ray.ask() == 2
    assert ray.coordinator.num_to_come == 2


def test_last_trials_are_waited_for_since_they_may_come_back(make_ray):
    """Ray asks no more after the answer FINISHED."""
    ray = make_ray(num_slots=4, num_trials=2)
    assert [ray.ask(), ray.ask(), ray.ask()] == [0, 1, None]
    ray.result(0, DONE)
    ray.result(1, NO_MEMORY)
    assert ray.ask() == 1
    ray.start(1)
    assert ray.ask() is None
    ray.result(1, DONE)
    assert ray.ask() == "FINISHED"
    assert ray.coordinator.is_finished


def test_halted_search_waits_for_no_trial(make_ray):
    ray = make_ray(num_slots=4)
    ray.ask()
    ray.coordinator.halt("interrupted")
    assert ray.ask() == "FINISHED"


def test_trial_that_a_whole_gpu_cannot_hold_has_failed(make_ray, tmp_path):
    ray = make_ray(num_slots=4, num_trials=1)
    for _ in range(3):  # a quarter, a half, a whole
        assert ray.ask() == 0
        ray.start(0)
        ray.result(0, NO_MEMORY)
    assert ray.ask() == "FINISHED"
    *_, first, second, ended = read_journal(tmp_path / "j")
    assert [first.share, second.share] == [0.5, 1.0]
    assert (ended.state, ended.reason) == (
        "failed", "out of memory with a whole GPU: Tried to allocate 2 GiB"
    )  # fmt: skip


def test_trial_that_a_whole_node_cannot_hold_has_failed(make_ray, tmp_path):
    allocator = ShareAllocator(base=ResourceShare(num_cpus=2, num_gpus=0), max_cpus=4)
    ray = make_ray(allocator, num_slots=2, num_trials=1)
    for _ in range(2):
        assert ray.ask() == 0
        ray.start(0)
        ray.result(0, NO_MEMORY)
    *_, event, ended = read_journal(tmp_path / "j")
    assert (event.resource, event.share) == ("cpu", 4.0)
    assert ended.reason.startswith("out of memory with all 4 CPUs of the largest node")
