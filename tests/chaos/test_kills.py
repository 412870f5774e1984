"""Searches with real kills, and what their run folders have at the end."""

import itertools
import os
from pathlib import Path

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
from tests.chaos.faults import cut_power, kill_driver, kill_group
from tests.chaos.scenarios import (
    LONG,
    node_killed,
    one_at_a_time,
    two_at_a_time,
    workers_frozen,
    workers_killed,
)
from tests.chaos.workers import longest_gap_s
from tests.search.real_search import TIMING_FIELDS

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

# `make chaos` sets VEER_KILLS=20. By default two of a kind: each kill costs a start of a search.
NUM_KILLS = int(os.environ.get("VEER_KILLS", "0"))
KINDS = (kill_driver, kill_group, cut_power)
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
    whole, num_kills = stage.search("whole"), NUM_KILLS or 2 * len(KINDS)
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


def test_neighbours_of_a_killed_worker_do_not_notice(stage):
    outcome = workers_killed(stage, "run", 1)
    assert outcome.losses.is_harmless, outcome.losses
    [hit] = outcome.injected
    records = read_journal(stage.folder / "run" / "journal.jsonl")
    faults = [each for each in records if each.event == "infrastructure"]
    assert [(each.trial, each.kind) for each in faults] == [(hit.trial, "worker_lost")]
    placed = [each.trial for each in records if each.event == "placed"]
    assert sorted(placed) == sorted([hit.trial, *range(len(set(placed)))])
    # A neighbour that had waited for the new worker would have a gap as long as the recovery.
    assert hit.recover_s is not None
    gaps_s = [
        longest_gap_s(records, trial, hit.at_s, hit.at_s + hit.recover_s)
        for trial in range(2)
        if trial != hit.trial
    ]
    assert min(gaps_s) < 0.5 * hit.recover_s


def test_frozen_worker_is_killed_and_its_trial_goes_on(stage):
    outcome = workers_frozen(stage, "run", 1)
    assert outcome.losses.is_harmless, outcome.losses
    records = read_journal(stage.folder / "run" / "journal.jsonl")
    faults = [each for each in records if each.event == "infrastructure"]
    assert [(each.trial, each.kind) for each in faults] == [
        (outcome.injected[0].trial, "hung")
    ]


def test_trials_of_a_killed_node_move_to_the_others(stage):
    outcome = node_killed(stage, "run")
    assert outcome.losses.is_harmless, outcome.losses
    [hit] = outcome.injected
    records = read_journal(stage.folder / "run-0" / "journal.jsonl")
    faults = [each for each in records if each.event == "infrastructure"]
    assert [each.trial for each in faults] == [hit.trial]
    # Ray may notice the death of the worker before that of the node.
    assert faults[0].kind in ("node_lost", "worker_lost")
    [trial] = [each for each in trial_histories(records) if each.trial == hit.trial]
    assert (trial.state, max(trial.epochs)) == ("complete", LONG["max_epochs"])
    pids = [each.pid for each in records if each.event == "placed"
              and each.trial == hit.trial]  # fmt: skip
    assert len(set(pids)) == 2
