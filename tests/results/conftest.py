"""Run folders to read: one with only a journal, one with trained models."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.search_records import (
    InfeasibleSuggestion,
    RepeatedSuggestion,
    SearchStarted,
    StartPointsRead,
    TeacherRecord,
)
from results.records.trial_records import EpochEnded, TrialEnded, TrialStarted
from spaces.dimensions import Dimension
from spaces.files.digest import file_sha256
from spaces.files.yaml_file import write_yaml
from tests.worlds.journal_writing import DIMENSIONS, report, start
from tests.worlds.tiny_models import LSTM, MIXER
from trainable.checkpoints.folder import CheckpointFolder, resolve_model_file
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import load_training_data
from trainable.teachers.network import load_teacher
from trainable.training.trainer import Trainer


@pytest.fixture
def dimensions() -> tuple[Dimension, ...]:
    """The space of `journal_run`."""
    return DIMENSIONS


@pytest.fixture
def journal_run(tmp_path: Path) -> RunFolder:
    """A run of seven trials, one in each state and some with twists.

    0 complete; 1 stopped early, its distillation without effect; 2 diverged after a good epoch;
    3 failed at once; 4 unfinished, epoch 1 reported twice; 5 complete, without distillation, the
    best; 6 complete as good as 0.
    """
    path = tmp_path / "run"
    with Journal(path / "journal.jsonl") as journal:
        journal.append(SearchStarted(settings={}, provenance={"command": "veer search demo"}))
        journal.append(
            TeacherRecord(
                path="/models/teacher.model", veer_pct=7.5, num_params=3871904, sha256="ab"
            )
        )
        cosine = {"loss__distillation": "cosine", "loss__alpha": 0.7, "model__num_blocks": 4}
        start(journal, 0, **cosine, training__lr=1e-3)
        for epoch, veer_pct in enumerate((20.0, 12.0, 13.0), start=1):
            share = {"distill_share": 0.1 * epoch, "teacher_cosine": 0.2 * epoch}
            stages = {"loss_stages": [0.9, 0.5], "stage_shares": [0.04 * epoch, 0.06 * epoch]}
            report(journal, 0, epoch, veer_pct, **share, **stages)
        journal.append(TrialEnded(trial=0, state="complete", reason=None))
        mse = {"loss__distillation": "mse", "loss__alpha": 0.5, "loss__temperature": 4.0}
        start(journal, 1, **mse, model__num_blocks=4, training__lr=2e-3)
        report(journal, 1, 1, 25.0, distill_share=8e-5, teacher_cosine=0.0)
        report(journal, 1, 2, 24.0, distill_share=8e-5, teacher_cosine=0.0)
        journal.append(TrialEnded(trial=1, state="stopped_early", reason="rung 2"))
        start(journal, 2, **cosine, training__lr=1e-2)
        report(journal, 2, 1, 5.0, distill_share=0.2, teacher_cosine=0.5)
        report(journal, 2, 2, float("nan"), distill_share=0.2, teacher_cosine=0.5)
        journal.append(TrialEnded(trial=2, state="diverged", reason="loss is nan"))
        start(journal, 3, **cosine, training__lr=3e-3)
        journal.append(TrialEnded(trial=3, state="failed", reason="worker died"))
        start(journal, 4, **cosine, training__lr=4e-3)
        report(journal, 4, 1, 30.0, distill_share=0.2, teacher_cosine=0.3)
        report(journal, 4, 1, 31.0, distill_share=0.2, teacher_cosine=0.3)
        plain = {"loss__distillation": "none", "model__num_blocks": 4}
        start(journal, 5, **plain, training__lr=5e-3)
        report(journal, 5, 1, 10.0)
        journal.append(TrialEnded(trial=5, state="complete", reason=None))
        start(journal, 6, **cosine, training__lr=6e-3)
        report(journal, 6, 1, 12.0, distill_share=0.2, teacher_cosine=0.3)
        journal.append(TrialEnded(trial=6, state="complete", reason=None))
    return RunFolder(path)


@pytest.fixture
def shared_run(tmp_path: Path) -> RunFolder:
    """A run of presets: success criteria, shared runs, rejected suggestions, a weak teacher.

    Trials: 0 complete, 1 complete without distillation and better than the teacher, 2 diverged
    after a very good epoch, 3 unfinished. In the order of the suggestions: 0, 1, infeasible,
    0 under another name, 2, 1 under another name, 0 as before (no row), infeasible, 3.
    """
    path = tmp_path / "shared"

    def start(trial: int, preset: str, distillation: str) -> None:
        journal.append(
            TrialStarted(
                trial=trial,
                params={"preset": preset},
                config={"loss": {"distillation": distillation}},
                config_hash=f"{trial:012x}",
                seed=0,
            )
        )

    def repeat(same_as: int, preset: str) -> None:
        config_hash = f"{same_as:012x}"
        params = {"preset": preset}
        journal.append(RepeatedSuggestion(params=params, config_hash=config_hash, same_as=same_as))

    def reject(preset: str, **limits: tuple[float, float]) -> None:
        broken = [
            {"limit": name, "value": value, "allowed": allowed}
            for name, (value, allowed) in limits.items()
        ]
        journal.append(InfeasibleSuggestion(params={"preset": preset}, violations=broken))

    taught = {"distill_share": 0.2, "teacher_cosine": 0.5}
    with Journal(path / "journal.jsonl") as journal:
        success = {"baseline": 12.0, "target": 11.0, "stretch": 10.0}
        journal.append(SearchStarted(settings={"success": success}, provenance={}))
        journal.append(
            TeacherRecord(path="t.model", veer_pct=11.5, num_params=3890672, sha256="ab")
        )
        journal.append(
            StartPointsRead(points=[{"source": "v2_large", "params": {}, "remarks": []}])
        )
        start(0, "v2_large", "cosine")
        report(journal, 0, 1, 12.5, **taught)
        report(journal, 0, 2, 11.0, **taught)
        journal.append(TrialEnded(trial=0, state="complete", reason=None))
        start(1, "no_distillation", "none")
        report(journal, 1, 1, 10.25)
        journal.append(TrialEnded(trial=1, state="complete", reason=None))
        reject("v1_mse", max_params=(2_500_000, 2_000_000), max_macs=(200, 100))
        repeat(0, "p4c_wide_shallow")
        start(2, "v1_mse", "mse")
        report(journal, 2, 1, 4.0, **taught)
        journal.append(TrialEnded(trial=2, state="diverged", reason="loss is nan"))
        repeat(1, "alpha_0")
        repeat(0, "p4c_wide_shallow")
        reject("v1_mse", max_params=(4_000_000, 2_000_000))
        start(3, "v2_cosine", "cosine")
        report(journal, 3, 1, 20.0, **taught)
    return RunFolder(path)


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


@pytest.fixture(scope="session")
def trained(
    make_corpus: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    folder, cpu = tmp_path_factory.mktemp("trained"), torch.device("cpu")
    corpus = read_corpus_config(make_corpus(folder / "corpus"))
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


@pytest.fixture
def trained_run(tmp_path: Path, make_corpus: Callable[..., Path], trained: Trained) -> RunFolder:
    """A run with checkpoints: a teacher, trial 0 distilled from it, trial 1 whose are gone."""
    corpus = read_corpus_config(make_corpus(tmp_path / "corpus"))
    shutil.copytree(trained.folder / "teacher", tmp_path / "teacher")
    teacher, student = trained.teacher, trained.student
    teacher_file = resolve_model_file(tmp_path / "teacher")
    with Journal(tmp_path / "trained" / "journal.jsonl") as journal:
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
        report = student.history[-1].as_dict()
        for trial in (0, 1):
            worse = {"veer_pct": report["veer_pct"] + trial}
            journal.append(
                EpochEnded(trial=trial, num_params=student.num_params, **report | worse)
            )
            journal.append(TrialEnded(trial=trial, state="complete", reason=None))
    folder = RunFolder(tmp_path / "trained")
    shutil.copytree(trained.folder / "student", folder.trial(0))
    write_yaml(folder.trial(0) / "config.yaml", config.canonical())
    return folder
