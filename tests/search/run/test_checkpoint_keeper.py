from types import SimpleNamespace

import numpy as np
import pytest
import torch

from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from search.estimates.disk_estimate import DiskEstimate
from search.run.checkpoint_keeper import CheckpointKeeper
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrialConfig


def trial(number, state, best_veer_pct, *, follow_up=None, follows=None, lr=None, costs=None):
    """Return a trial with a config of its own, unless `lr` gives it that of another trial."""
    lr = 1e-3 * (1 + number) if lr is None else lr
    config = {"seed": number, "training": {"lr": lr}, "loss": {"distillation": "none"}}
    return SimpleNamespace(
        trial=number,
        state=state,
        best_veer_pct=best_veer_pct,
        best_decision_pct=best_veer_pct,
        median_veer_pct=best_veer_pct,
        verdict=None,
        follow_up=follow_up,
        follows=follows,
        costs=costs or {},
        config=TrialConfig.model_validate(config),
    )


def kept_of(tmp_path, trials, **options):
    """Numbers of the trials whose weights are left."""
    tmp_path.mkdir(exist_ok=True)
    Journal(tmp_path / "journal.jsonl").close()
    run = RunFolder(tmp_path)
    for each in trials:
        model = run.trial(each.trial) / "model"
        model.mkdir(parents=True)
        (model / "model000000001.model").write_bytes(b"weights")
    CheckpointKeeper(run, **options).tidy(SimpleNamespace(trials=trials))
    return sorted(int(path.parents[1].name) for path in tmp_path.glob("trials/*/model/*.model"))


def test_only_the_best_and_the_unfinished_keep_their_weights(tmp_path):
    trials = [
        trial(0, "complete", 9.0),
        trial(1, "stopped_early", 8.0),
        trial(2, "diverged", 1.0),
        trial(3, "failed", None),
        trial(4, None, 30.0),
        trial(5, "complete", 7.0),
    ]
    kept = kept_of(tmp_path, trials, keep_best=2)
    assert kept == [1, 4, 5]


def test_with_several_goals_the_front_keeps_its_weights(tmp_path):
    """Trial 0 has the lowest VEER; 3 is cheap, 1 near 0 in both goals, 2 worse than 0 in both."""
    goals = [(9.0, 0.9), (9.05, 0.89), (9.5, 0.95), (12.0, 0.2), (30.0, 0.9)]
    trials = [
        trial(number, "complete", veer_pct, costs={"cpu_latency": cost})
        for number, (veer_pct, cost) in enumerate(goals)
    ]
    assert kept_of(tmp_path / "two", trials, keep_best=2) == [0, 3]
    assert kept_of(tmp_path / "three", trials, keep_best=3) == [0, 1, 3]
    assert kept_of(tmp_path / "four", trials, keep_best=4) == [0, 1, 2, 3]


def test_repeats_decide_what_is_best_and_keep_no_weights_themselves(tmp_path):
    """Trial 0 is the best by its repeat; 2 and 3 may yet be repeated, and 1 has lost to all."""
    trials = [
        trial(0, "complete", 9.0),
        trial(1, "complete", 9.5),
        trial(2, "complete", 8.0),
        trial(3, "stopped_early", 8.5),
        trial(4, "complete", 10.0, follow_up="repeat", follows=0),
        trial(5, "complete", 1.0, follow_up="control", follows=3),
        trial(6, None, 20.0, follow_up="repeat", follows=0),
    ]
    assert kept_of(tmp_path, trials, keep_best=2, num_finalists=2) == [0, 2, 3, 6]


def test_finalists_of_different_configs_keep_their_weights(tmp_path):
    trials = [trial(number, "complete", 8.0 + number, lr=1e-3) for number in range(3)]
    trials.append(trial(3, "complete", 20.0, lr=2e-3))
    assert kept_of(tmp_path, trials, keep_best=2, num_finalists=2) == [0, 1, 3]


def test_what_an_earlier_process_left_is_swept(tmp_path):
    """A crash between a trial's end and the tidying, and one while a checkpoint was written."""
    Journal(tmp_path / "journal.jsonl").close()
    run = RunFolder(tmp_path)
    for number in range(3):
        folder = run.trial(number) / "model"
        folder.mkdir(parents=True)
        (folder / "model000000002.building").write_bytes(b"half")
        (folder / "model000000001.model").write_bytes(b"weights")
    trials = [trial(0, "complete", 9.0), trial(1, "failed", 5.0), trial(2, None, None)]
    keeper = CheckpointKeeper(run, keep_best=1)
    keeper.sweep(SimpleNamespace(trials=trials))
    trials = run.path / "trials"
    left = sorted(str(path.relative_to(trials)) for path in trials.rglob("*model0*"))
    assert left == [
        "0000/model/model000000001.model",
        "0002/model/model000000001.model",
    ]


def test_what_a_late_worker_wrote_is_swept(tmp_path):
    Journal(tmp_path / "journal.jsonl").close()
    run = RunFolder(tmp_path)
    course = SimpleNamespace(trials=[trial(0, "failed", None)])
    keeper = CheckpointKeeper(run, keep_best=1)
    keeper.tidy(course)
    late = run.trial(0) / "model" / "model000000004.model"
    late.parent.mkdir(parents=True)
    late.write_bytes(b"late")
    keeper.tidy(course)
    assert late.exists()
    keeper.sweep(course)
    assert not late.exists()


class Made(SimpleNamespace):
    """A trainer of a kilobyte of weights."""

    def state(self):
        return {"weights": torch.zeros(256), "veer": {"history": self.history}}


@pytest.mark.slow
def test_a_thousand_trials_never_have_more_files_than_the_bound(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: None)  # no crash is tested here
    Journal(tmp_path / "journal.jsonl").close()
    run, keep_best, at_once, max_epochs = RunFolder(tmp_path), 3, 4, 3
    rng = np.random.default_rng(0)
    keeper = CheckpointKeeper(run, keep_best)
    coordinator = SimpleNamespace(trials=[])
    running, most_files, most_bytes, num_saves = {}, 0, 0, 0
    while len(coordinator.trials) < 1000 or running:
        while len(running) < at_once and len(coordinator.trials) < 1000:
            number = len(coordinator.trials)
            coordinator.trials.append(trial(number, None, None))
            running[number] = Made(epoch=0, history=[])
        number = int(rng.choice(list(running)))
        trainer, course = running[number], coordinator.trials[number]
        veer_pct = float(rng.uniform(5, 40))
        trainer.epoch += 1
        trainer.history.append({"veer_pct": veer_pct, "epoch": trainer.epoch})
        CheckpointFolder(run.trial(number)).save(trainer)
        course.best_veer_pct = min(veer_pct, course.best_veer_pct or 100.0)
        course.best_decision_pct = course.best_veer_pct
        num_saves += 1
        if num_saves % 25 == 0:  # what is left over stays, and would be seen
            files = [each.stat().st_size for each in tmp_path.glob("trials/*/model/*")]
            most_files, most_bytes = max(most_files, len(files)), max(most_bytes, sum(files))
        fate = rng.choice(["stopped_early", "failed", "diverged", "on"], p=[0.4, 0.1, 0.1, 0.4])
        if trainer.epoch == max_epochs or fate != "on":
            course.state = "complete" if fate == "on" else str(fate)
            del running[number]
        keeper.tidy(coordinator)
    assert most_files <= 2 * 2 * (keep_best + at_once)  # each with its digest
    estimate = DiskEstimate(
        checkpoint_bytes=max(files), keep_best=keep_best, num_unfinished=at_once, records_bytes=0
    )
    assert most_bytes <= estimate.checkpoints_bytes
    good = [each for each in coordinator.trials if each.state in ("complete", "stopped_early")]
    best = sorted(good, key=lambda each: each.best_veer_pct)[:keep_best]
    left = {int(path.parents[1].name) for path in tmp_path.glob("trials/*/model/*")}
    assert left == {each.trial for each in best}
