"""A run of two trained models without a search: a teacher, and a student distilled from it."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.search_records import SearchStarted, TeacherRecord
from results.records.trial_records import EpochEnded, TrialEnded, TrialStarted
from spaces.files.digest import file_sha256
from spaces.files.yaml_file import write_yaml
from tests.worlds.corpus import write_corpus
from tests.worlds.journals import made_record
from tests.worlds.tiny_models import LSTM, MIXER
from trainable.checkpoints.folder import CheckpointFolder, resolve_model_file
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import load_training_data
from trainable.teachers.network import load_teacher
from trainable.training.trainer import Trainer


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A teacher and a student distilled from it, with a checkpoint each, after one epoch.

    Attributes:
        folder: Holds `teacher` and `student`, as a trainer saves them.
        teacher: The teacher's trainer.
        student: The student's trainer.
    """

    folder: Path
    teacher: Trainer
    student: Trainer


def train_both(folder: Path) -> Trained:
    """Train a teacher and a student of it for one epoch each."""
    cpu = torch.device("cpu")
    corpus = read_corpus_config(write_corpus(folder / "corpus"))
    data = load_training_data(corpus, cache_dir=folder / "cache")
    training = {"max_epochs": 2, "batch_size": 8, "crop_frames": 40}
    config = TrialConfig.model_validate(
        {"model": LSTM, "loss": {"distillation": "none"}, "training": training}
    )
    teacher = Trainer(config, data, device=cpu)
    teacher.run_epoch()
    file = CheckpointFolder(folder / "teacher").save(teacher)
    averaging = training | {"ema_epochs": 0.5}
    config = TrialConfig.model_validate({"model": MIXER, "training": averaging})
    student = Trainer(config, data, teacher=load_teacher(file), device=cpu)
    student.run_epoch()
    CheckpointFolder(folder / "student").save(student)
    return Trained(folder=folder, teacher=teacher, student=student)


def write_trained_run(folder: Path, trained: Trained) -> RunFolder:
    """Write a run with checkpoints: a teacher, trial 0 distilled from it, trial 1 whose are gone.

    Its corpus and its teacher are in the folder too.
    """
    corpus = read_corpus_config(write_corpus(folder / "corpus"))
    shutil.copytree(trained.folder / "teacher", folder / "teacher")
    teacher, student = trained.teacher, trained.student
    teacher_file = resolve_model_file(folder / "teacher")
    with Journal(folder / "trained" / "journal.jsonl") as journal:
        settings = {"corpus": corpus.model_dump(mode="json")}
        journal.append(SearchStarted(settings=settings, provenance={"command": "veer search"}))
        journal.append(
            TeacherRecord(
                path=teacher_file,
                veer_pct=teacher.history[-1].veer_pct,
                num_params=teacher.num_params,
                sha256=file_sha256(teacher_file),
            )
        )
        config = student.config
        for trial in (0, 1):
            journal.append(
                TrialStarted(
                    trial=trial,
                    params={"loss.alpha": 0.7},
                    config=config.canonical(),
                    config_hash=config.config_hash(),
                    seed=config.seed,
                )
            )
            journal.append(made_record("placed", trial=trial, epoch=0, time_s=time.time()))
        report = student.history[-1].as_dict()
        for trial in (0, 1):
            worse = {"veer_pct": report["veer_pct"] + trial}
            journal.append(
                EpochEnded(trial=trial, num_params=student.num_params, **report | worse)
            )
            journal.append(TrialEnded(trial=trial, state="complete", reason=None))
    run = RunFolder(folder / "trained")
    shutil.copytree(trained.folder / "student", run.trial(0))
    write_yaml(run.trial(0) / "config.yaml", config.canonical())
    return run


def write_full_training(folder: Path, trained: Trained, world: Path) -> Path:
    """Write the folder of a `veer train` run, which trained the student of a trained run.

    Args:
        folder: The folder to write.
        trained: Has the student.
        world: A folder with `corpus` and `teacher`, as `write_trained_run` writes it.
    """
    shutil.copytree(trained.folder / "student", folder)
    corpus = read_corpus_config(world / "corpus" / "corpus.yaml").model_dump(mode="json")
    trial = trained.student.config.model_dump(mode="json")
    config = {"corpus": corpus, "teacher": str(world / "teacher"), "trial": trial}
    write_yaml(folder / "config.yaml", config)
    return folder
