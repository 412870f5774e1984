"""A trial counts only if its worker built the config that the search asked for."""

from types import SimpleNamespace

import pytest
from ray.tune.utils import flatten_dict

from results.journal.journal import Journal, read_journal
from search.config.sections import FaultConfig
from search.loop.coordinator import Coordinator
from search.loop.early_stopping import SuccessiveHalving
from search.loop.proposals import Proposals
from search.loop.shares import ResourceShare, ShareAllocator
from search.loop.trial_course import Budget
from search.ray_tune.hangs import HangWatch
from search.ray_tune.scheduler import CoordinatorScheduler, config_mismatch, placement_in
from search.suggest.suggestions import Suggestions
from spaces.dimensions import Float
from spaces.space import Space
from trainable.config.trial_config import TrialConfig

SPACE = Space(
    name="s", fixed={}, dimensions=(Float(name="training.lr", low=1e-4, high=1e-2, log=True),)
)
PLACE = {
    "host": "node7", "pid": 1, "device": "cpu", "num_threads": 1, "hardware": {"cpu": "Xeon"},
    "model_hash": "5" * 16, "had_s": 1.5,
}  # fmt: skip


def test_the_config_that_was_asked_for_is_no_reason_to_stop():
    asked = TrialConfig(seed=3)
    assert config_mismatch(asked, PLACE | {"config_hash": asked.config_hash()}) is None


def test_another_config_is_named_with_both_hashes_and_the_node():
    asked, built = TrialConfig(seed=3), TrialConfig(seed=4)
    assert config_mismatch(asked, PLACE | {"config_hash": built.config_hash()}) == (
        f"the worker on node7 built a trainer of config {built.config_hash()}, the trial's is "
        f"{asked.config_hash()}: install the same Veer on every node, then continue the search"
    )


def test_a_place_is_found_in_a_result_as_tune_flattens_it():
    assert placement_in(flatten_dict({"epoch": 1, "place": PLACE})) == PLACE
    assert placement_in({"epoch": 1, "place": PLACE}) == PLACE
    assert placement_in({"epoch": 2, "places": 3}) is None


@pytest.fixture
def coordinator(tmp_path):
    with Journal(tmp_path / "journal.jsonl") as journal:
        yield Coordinator(
            Proposals(
                Suggestions(SPACE, kind="random", seed=0),
                journal,
                make_config=lambda s: TrialConfig.model_validate({"seed": s.seed} | s.tree),
            ),
            SuccessiveHalving([], 3),
            journal,
            budget=Budget(num_trials=2, max_epochs=1),
        )


@pytest.mark.parametrize("is_same", [True, False])
def test_a_trial_of_another_config_ends_as_failed_and_its_epochs_do_not_count(
    coordinator, tmp_path, is_same
):
    allocator = ShareAllocator(base=ResourceShare(num_cpus=1, num_gpus=0), max_cpus=2)
    course = coordinator.next_trial()
    built = course.config if is_same else course.config.model_copy(update={"seed": 99})
    result = {
        "epoch": 1, "veer_pct": 20.0, "place": PLACE | {"config_hash": built.config_hash()},
    }  # fmt: skip
    trial = SimpleNamespace(config={"trial": course.trial}, trial_id="a")
    watch = HangWatch(FaultConfig(), lambda: 0.0)
    scheduler = CoordinatorScheduler(coordinator, allocator, watch)
    assert scheduler.on_trial_result(None, trial, flatten_dict(result)) == "STOP"
    records = read_journal(tmp_path / "journal.jsonl")
    [placed] = (record for record in records if record.event == "placed")
    assert placed.config_hash == built.config_hash()
    [ended] = (record for record in records if record.event == "trial_ended")
    epochs = [record.epoch for record in records if record.event == "epoch"]
    assert (ended.state, epochs) == (("complete", [1]) if is_same else ("failed", []))
    if not is_same:
        assert "node7 built a trainer of config" in ended.reason
