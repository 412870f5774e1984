"""Run folders to read: one with only a journal, one with trained models."""

from pathlib import Path

import pytest

from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.search_records import (
    InfeasibleSuggestion,
    RepeatedSuggestion,
    SearchStarted,
    StartPointsRead,
    TeacherRecord,
)
from results.records.trial_records import TrialEnded, TrialStarted
from spaces.dimensions import Dimension
from tests.worlds.journal_writing import DIMENSIONS, report, start
from tests.worlds.trained_run import Trained, train_both, write_trained_run


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


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train_both(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def trained_run(tmp_path: Path, trained: Trained) -> RunFolder:
    """See `write_trained_run`."""
    return write_trained_run(tmp_path, trained)
