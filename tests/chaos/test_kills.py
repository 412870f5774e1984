"""Searches with real kills, and what their run folders have at the end."""

import itertools
import os
from pathlib import Path

import numpy as np
import optuna
import pyarrow.parquet as pq
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from results.journal.history import trial_histories
from results.journal.journal import read_journal
from results.journal.run_folder import RunFolder
from results.trackers.study import STUDY_NAME
from tests.chaos.faults import Outcome, cut_power, kill_driver, kill_group
from tests.chaos.scenarios import SLOW_EPOCHS, Stage, cluster_hit, one_at_a_time, two_at_a_time
from tests.chaos.workers import longest_gap_s
from tests.search.real_search import TIMING_FIELDS, events_of

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.ray_apart]

# `make chaos` sets VEER_KILLS=20. By default two of a kind, those of the driver alone in a search
# of two trials at a time: each kill costs a start of a search.
NUM_KILLS = int(os.environ.get("VEER_KILLS", "0"))
KINDS = (kill_group, cut_power, kill_driver)
# Columns of the tables that differ between two runs of the same search.
TABLES_TIMING = TIMING_FIELDS | {"time", "duration_s", "eval_share", "core_hours", "gpu_hours"}


def rows(table: Path) -> list[dict]:
    kept = [name for name in pq.read_schema(table).names if name not in TABLES_TIMING]
    return pq.read_table(table, columns=kept).to_pylist()


def study_of(run: Path) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(RunFolder(run).study)))
    return optuna.load_study(study_name=STUDY_NAME, storage=storage)


def study_trials(run: Path) -> list[tuple]:
    return [
        (each.params, each.state, each.values, each.intermediate_values, each.user_attrs)
        for each in study_of(run).trials
    ]


def test_driver_killed_at_many_moments_has_the_same_result_as_undisturbed(stage):
    whole, num_kills = stage.search("whole"), NUM_KILLS or 2 * len(KINDS) - 1
    kinds = itertools.cycle(KINDS)
    with whole.start() as driver:
        assert driver.wait() == 0, driver.output
    outcome = one_at_a_time(
        stage,
        "run",
        lambda driver: next(kinds)(driver),
        stage.moments(num_kills),
    )
    assert len(outcome.injected) == num_kills
    assert outcome.losses.is_harmless, outcome.losses
    run = RunFolder(stage.folder / "run")
    undisturbed = RunFolder(whole.run)
    trials = rows(run.trials_table)
    assert trials == rows(undisturbed.trials_table)
    assert {"complete", "stopped_early"} == {row["state"] for row in trials}
    assert rows(run.epochs_table) == rows(undisturbed.epochs_table)
    assert study_trials(run.path) == study_trials(undisturbed.path)


def test_driver_of_two_trials_at_a_time_killed_at_many_moments_loses_nothing(stage):
    num_kills = NUM_KILLS or 2
    outcome = two_at_a_time(stage, "run", num_kills)
    assert len(outcome.injected) == num_kills
    assert outcome.losses.is_harmless, outcome.losses
    run = stage.folder / "run"
    trials = trial_histories(read_journal(run / "journal.jsonl"))
    assert {"complete", "stopped_early"} == {trial.state for trial in trials}
    states = {"complete": TrialState.COMPLETE, "stopped_early": TrialState.PRUNED}
    in_study = [each for each in study_of(run).trials if "trial" in each.user_attrs]
    for trial, known in zip(trials, in_study, strict=True):
        assert (known.user_attrs["trial"], known.params) == (trial.trial, trial.params)
        veer_pct = {epoch: record.veer_pct for epoch, record in trial.epochs.items()}
        assert known.intermediate_values == veer_pct
        assert known.state == states[trial.state]
        if trial.state == "complete":
            assert known.value == min(veer_pct.values())


@pytest.fixture(scope="module")
def hit_cluster(world, tmp_path_factory) -> tuple[Path, Outcome]:
    """The run folder of a search on three nodes that met three faults, and the outcome."""
    folder = tmp_path_factory.mktemp("cluster")
    stage = Stage(world=world, folder=folder, rng=np.random.default_rng(0))
    return folder / "run", cluster_hit(stage, "run")


def test_faults_of_workers_and_a_node_lose_nothing(hit_cluster):
    run, outcome = hit_cluster
    assert outcome.losses.is_harmless, outcome.losses
    faults = [each for each in read_journal(run / "journal.jsonl")
              if each.event == "infrastructure"]  # fmt: skip
    assert [each.trial for each in faults] == [hit.trial for hit in outcome.injected]
    killed, frozen, node = (each.kind for each in faults)
    assert (killed, frozen) == ("worker_lost", "hung")
    # Ray may notice the death of the worker before that of the node.
    assert node in ("node_lost", "worker_lost")


def test_search_uses_the_nodes_of_the_cluster_that_it_joins(hit_cluster):
    run, _ = hit_cluster
    assert "at most 2 trials at a time; the cluster fits 3" in run.with_suffix(".out").read_text()
    # One CPU a node: trials whose epochs mingle ran on two.
    order = [each["trial"] for each in events_of(run, "epoch")]
    changes = sum(one != other for one, other in itertools.pairwise(order))
    assert changes > 10, "one trial after the other"


def test_neighbours_of_a_killed_worker_do_not_notice(hit_cluster):
    run, outcome = hit_cluster
    records, hit = read_journal(run / "journal.jsonl"), outcome.injected[0]
    # A neighbour that had waited for the new worker would have a gap as long as the recovery.
    assert hit.recover_s is not None
    [neighbour] = {0, 1} - {hit.trial}
    gap_s = longest_gap_s(records, neighbour, hit.at_s, hit.at_s + hit.recover_s)
    assert gap_s < 0.5 * hit.recover_s


def test_trial_that_was_hit_goes_on_in_another_process(hit_cluster):
    run, outcome = hit_cluster
    records = read_journal(run / "journal.jsonl")
    placed = [each.trial for each in records if each.event == "placed"]
    hits = [hit.trial for hit in outcome.injected]
    assert sorted(placed) == sorted([*hits, *range(5)])
    for trial in trial_histories(records):
        assert (trial.state, max(trial.epochs)) == ("complete", SLOW_EPOCHS)
        pids = [each.pid for each in records if each.event == "placed"
                and each.trial == trial.trial]  # fmt: skip
        assert len(set(pids)) == len(pids)
