"""Trials as a search records them, without Ray."""

from pathlib import Path
from typing import Any

from results.analysis.run_view import RunView
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.trial_records import EpochEnded, TrialPlaced, TrialStarted
from search.config.search_config import SearchConfig
from search.review.reproduce import Conditions, Reproduction, reproduce
from tests.search.journal_rewriting import editable_records, rewrite_journal
from tests.worlds.tiny_models import MIXER
from trainable.config.trial_config import TrialConfig
from trainable.machine.cache_dir import cache_dir
from trainable.training.ray_trial import StudentTrial
from trainable.training.trial_task import TrialTask

STUDENT = {
    "model": MIXER | {"num_frames": 80, "embedding_dim": 32},
    "loss": {"distillation": "cosine", "alpha": 0.5},
    "training": {"batch_size": 8, "crop_frames": 80, "lr": 3e-3},
}  # fmt: skip
NUM_EPOCHS = 4


def begin(journal: Journal, trial: int, config: TrialConfig) -> None:
    config_fields = {"config": config.canonical(), "config_hash": config.config_hash()}
    journal.append(TrialStarted(trial=trial, params={}, seed=config.seed, **config_fields))


def task(
    settings: SearchConfig, teacher: Path, folder: Path, trial: int, config: TrialConfig
) -> TrialTask:
    return TrialTask(
        trial=trial, config=config.canonical(), folder=folder / "trials" / f"{trial:04d}",
        corpus=settings.corpus, cache_dir=cache_dir(), teacher=teacher, targets=settings.targets,
        device="cpu", num_threads=1, num_gpus=0,
    )  # fmt: skip


def sit(journal: Journal, task: TrialTask, num_epochs: int) -> None:
    """Steps a trial in a worker of its own, which restores what was done before."""
    worker = StudentTrial.__new__(StudentTrial)
    worker.setup(task.model_dump(mode="json"))
    known = sum(
        '"event":"epoch"' in line and f'"trial":{task.trial},' in line
        for line in journal.path.read_text().splitlines()
    )
    done = 0
    while done < num_epochs:
        result = worker.step()
        place, _ = result.pop("place", None), result.pop("damaged", None)
        if place is not None:
            journal.append(TrialPlaced(trial=task.trial, epoch=known, **place))
        if result["epoch"] > known:
            journal.append(EpochEnded(trial=task.trial, **result))
            done += 1
    worker.cleanup()


def forged(run: RunFolder, **fields: Any) -> None:
    """Change fields of epoch 3 of trial 0."""
    records = editable_records(run)
    for record in records:
        if record["event"] == "epoch" and (record["trial"], record["epoch"]) == (0, 3):
            record |= {name: change(record[name]) for name, change in fields.items()}
    rewrite_journal(run, records)


def again(run: RunFolder, trial: int, folder: Path, **conditions: Any) -> Reproduction:
    return reproduce(RunView.read(run), trial, folder, conditions=Conditions(**conditions))
