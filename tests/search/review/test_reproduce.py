"""A trial is computed again from its journal, and every epoch compared."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from search.review.epoch_comparison import COMPARED, EpochPair
from search.review.recorded_trial import TrialStart, condition_differences, recorded_trial
from search.review.reproduce import Conditions, Reproduction, _inexact, _task
from spaces.files.digest import file_sha256
from spaces.files.errors import RunError
from tests.search.journal_rewriting import editable_records, rewrite_journal
from tests.worlds.recorded_trials import again, forged
from trainable.machine.engine import EngineConfig


@pytest.mark.parametrize("trial", [0, 1])
def test_a_trial_is_reproduced_bit_for_bit_also_one_that_was_moved(run, tmp_path, trial):
    found = again(run, trial, tmp_path / "again")
    assert found.differences == ()
    assert found.verdict == "reproduced bit for bit: 4 epochs"
    assert found.holds
    assert [pair.epoch for pair in found.pairs] == [1, 2, 3, 4]
    assert (tmp_path / "again" / "config.yaml").is_file()


def test_a_forged_value_is_found_by_epoch_and_field(run, tmp_path):
    forged(run, teacher_cosine=lambda value: value + 0.25)
    found = again(run, 0, tmp_path / "again")
    assert not found.holds
    assert re.match(
        r"not reproduced: epoch 3 in teacher_cosine: .* recorded, .* again, a difference of 0.25; "
        "machine, versions, code and threads are the same, so the result must be equal bit for "
        "bit",
        found.verdict,
    )


def test_epochs_before_a_forged_one_still_hold(run, tmp_path):
    forged(run, veer_pct=lambda _: 1.0)
    assert again(run, 0, tmp_path / "again", epochs=2).verdict == (
        "reproduced bit for bit: 2 epochs"
    )


@pytest.mark.slow
def test_another_thread_count_is_a_difference_and_within_the_tolerance(run, tmp_path):
    found = again(run, 0, tmp_path / "again", num_threads=2)
    assert found.differences == ("threads 1 then, 2 now",)
    assert found.holds


def test_a_value_that_no_rounding_explains_is_found_elsewhere_too(run, tmp_path):
    records = editable_records(run)
    for record in records:
        if record["event"] == "placed":
            record["num_threads"] = 7
    rewrite_journal(run, records)
    forged(run, loss_total=lambda value: 1.5 * value)
    found = again(run, 0, tmp_path / "again", num_threads=1)
    assert found.differences == ("threads 7 then, 1 now",)
    assert not found.holds
    assert found.verdict.startswith("not reproduced: epoch 3 in loss_total: ")
    assert "tolerance" in found.verdict


def test_trial_without_epochs_is_refused_with_its_reason(run, tmp_path):
    message = "trial 2 has no epoch to compare with, it is failed: no such device; choose"
    with pytest.raises(RunError, match=message):
        again(run, 2, tmp_path / "again")


def test_unknown_trial_is_refused_with_those_that_are_there(run, tmp_path):
    with pytest.raises(RunError, match="the run has no trial 9; its trials are 0 to 2"):
        again(run, 9, tmp_path / "again")


@pytest.fixture
def world_of_its_own(run: RunFolder, tmp_path: Path) -> Path:
    """A copy of the teacher that the journal names, to be spoilt."""
    records = editable_records(run)
    [teacher] = (record for record in records if record["event"] == "teacher")
    teacher["path"] = str(shutil.copy(teacher["path"], tmp_path / "teacher.model"))
    rewrite_journal(run, records)
    return tmp_path / "teacher.model"


def test_teacher_that_is_gone_is_an_error(run, world_of_its_own, tmp_path):
    sha256 = file_sha256(world_of_its_own)[:12]
    world_of_its_own.unlink()
    message = rf"teacher.model, the teacher of this run, is missing; .* SHA-256 {sha256}"
    with pytest.raises(RunError, match=message):
        again(run, 0, tmp_path / "again")


def test_another_teacher_is_an_error(run, world_of_its_own, tmp_path):
    with world_of_its_own.open("ab") as file:
        file.write(b"more")
    with pytest.raises(RunError, match="is not the teacher that this run began with"):
        again(run, 0, tmp_path / "again")


def test_another_list_is_an_error(run, tmp_path):
    records = editable_records(run)
    [corpus] = (record for record in records if record["event"] == "corpus")
    corpus["lists"]["train"]["sha256"] = "0" * 64
    rewrite_journal(run, records)
    message = r"is not the train list that this run began with \(SHA-256 000000000000, now "
    with pytest.raises(RunError, match=message):
        again(run, 0, tmp_path / "again")


def test_journal_without_the_node_of_a_trial_is_an_error(run, tmp_path):
    rewrite_journal(run, [record for record in run.read() if record.event != "placed"])
    with pytest.raises(RunError, match="does not record where trial 0 was computed"):
        again(run, 0, tmp_path / "again")


def test_another_machine_is_named(run, tmp_path):
    records = editable_records(run)
    for record in records:
        if record["event"] == "placed":
            record["hardware"]["cpu"] = "Z80"
        if record["event"] == "search_started":
            record["provenance"]["versions"]["numpy"] = "1.0"
            record["provenance"]["environment"] = {"MKL_CBWR": "COMPATIBLE"}
    rewrite_journal(run, records)
    found = again(run, 0, tmp_path / "again", epochs=1)
    assert [text.split(" then")[0] for text in found.differences] == [
        "CPU Z80", "numpy 1.0", "MKL_CBWR COMPATIBLE",
    ]  # fmt: skip
    assert found.is_exact


def test_folder_that_is_not_empty_is_refused(run):
    with pytest.raises(RunError, match="is not empty; give --out a new folder"):
        again(run, 0, run.path)


@pytest.mark.parametrize("path", ["/proc/nothing/here", "/dev/null/x", "/dev/null"])
def test_a_folder_that_cannot_be_made_is_refused(run, path):
    with pytest.raises(RunError, match=f"{path}: cannot be created or read: .*; give --out a new"):
        again(run, 0, Path(path))


@pytest.mark.parametrize(
    ("engine", "inexact"),
    [({}, "on a GPU some kernels add in no fixed order"), ({"deterministic": True}, None)],
)
def test_on_a_gpu_without_determinism_the_tolerance_applies_and_the_reason_is_given(
    engine, inexact
):
    trainer = SimpleNamespace(device=torch.device("cuda"), engine=EngineConfig(**engine))
    found = _inexact(trainer)
    assert found is inexact or found.startswith(inexact)
    trainer.device = torch.device("cpu")
    assert _inexact(trainer) is None


@pytest.mark.parametrize(("inexact", "holds"), [("kernels add in any order", True), (None, False)])
def test_other_bits_hold_only_where_bits_may_differ(inexact, holds):
    fields = dict.fromkeys(COMPARED, 1.0) | {"epoch": 1}
    pair = EpochPair(recorded=fields, again=fields | {"loss_total": 1.01})
    found = Reproduction(
        trial=0, pairs=(pair,), differences=(), veer_tolerance_pct=1.0, inexact=inexact
    )
    assert found.holds is holds
    wanted = "reproduced within the tolerance: 1 epoch" if holds else "not reproduced: epoch 1 in"
    assert found.verdict.startswith(wanted)


def test_a_trial_on_gpus_keeps_its_precision_and_names_another_driver(run, tmp_path):
    records = editable_records(run)
    at = next(i for i, record in enumerate(records) if record["event"] == "trial_started")
    chosen = {"event": "precision", "time_s": 1.0, "precision": "bfloat16", "gpus": ["H200"]}
    records.insert(at, chosen)
    [corpus] = (record for record in records if record["event"] == "corpus")
    corpus["stores"]["targets of 40 frames, copy 0"] = "0" * 64
    corpus["targets_device"] = "cuda"
    for record in records:
        if record["event"] == "placed":
            record["device"] = "NVIDIA H200"
    rewrite_journal(run, records)
    trial = recorded_trial(RunView(run, run.read()), 0)
    assert (trial.device, trial.engine.precision) == ("cuda", "bfloat16")
    # On another kind of device `auto` stands for that one's own.
    on_cpu = _task(trial, tmp_path, Conditions(device="cpu"))
    assert (on_cpu.engine.precision, on_cpu.targets_device) == ("auto", "cpu")
    same = _task(trial, tmp_path, Conditions())
    assert (same.engine.precision, same.targets_device) == ("bfloat16", "cuda")
    driver = {"gpu_driver": "590.1", "cudnn": 91900}
    then, now = (
        TrialStart(
            placement=record | {"hardware": record["hardware"] | values}, provenance={}
        )
        for record, values in zip(
            [trial.starts[0].placement] * 2,
            [driver, driver | {"gpu_driver": "580.2"}],
            strict=True,
        )
    )
    differences = condition_differences(replace(trial, starts=(then,)), (), now, {})
    assert differences == ["GPU driver 590.1 then, 580.2 now"]


def test_trial_that_diverges_now_is_not_reproduced():
    found = Reproduction(
        trial=0, pairs=(), differences=("threads 1 then, 2 now",), veer_tolerance_pct=1.0,
        stopped="the loss became nan in epoch 1, where a VEER of 12.0 % is recorded",
    )  # fmt: skip
    assert not found.holds
    assert found.verdict == f"not reproduced: {found.stopped}"
