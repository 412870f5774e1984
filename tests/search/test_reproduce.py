"""A trial is computed again from its journal, and every epoch compared."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from results.journal import Journal
from results.run_folder import RunFolder
from search.cli.app import app
from search.config import SearchConfig
from search.corpus_record import corpus_facts
from search.provenance import provenance
from search.recorded_trial import recorded_trial
from search.reproduce import Conditions, Reproduction, reproduce
from tests.search.forging import rewrite
from trainable.checkpoint import file_sha256, resolve_model_file
from trainable.config import TrialConfig
from trainable.corpus import read_corpus_config
from trainable.data import load_training_data
from trainable.errors import RunError
from trainable.places import cache_dir
from trainable.trial import StudentTrial, TrialTask

STUDENT = {
    "model": {
        "family": "mlp_mixer", "hidden_dim": 8, "num_blocks": 1, "num_frames": 80,
        "embedding_dim": 32,
    },
    "loss": {"distillation": "cosine", "alpha": 0.5},
    "training": {"batch_size": 8, "crop_frames": 80, "lr": 3e-3},
}  # fmt: skip
NUM_EPOCHS = 4


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def settings(make_settings: Callable[..., SearchConfig]) -> SearchConfig:
    return make_settings()


@pytest.fixture
def run(settings: SearchConfig, tmp_path: Path) -> RunFolder:
    """A run as a search leaves it: trial 0 in one go, 1 moved after two epochs, 2 failed at once.

    Trials are stepped as Ray steps them, without Ray.
    """
    folder = tmp_path / "run"
    teacher = resolve_model_file(settings.teacher)
    data = load_training_data(settings.corpus, cache_dir=cache_dir())
    with Journal(folder / "journal.jsonl") as journal:
        resolved = settings.model_dump(mode="json") | {"space": "space.yaml"}
        journal.append("search_started", settings=resolved, provenance=provenance())
        journal.append("corpus", **corpus_facts(settings.corpus, data))
        journal.append(
            "teacher", path=teacher, veer_pct=7.5, num_params=1, sha256=file_sha256(teacher)
        )
        for trial, sittings in ((0, (NUM_EPOCHS,)), (1, (2, NUM_EPOCHS - 2))):
            config = TrialConfig.model_validate(STUDENT | {"seed": trial})
            begin(journal, trial, config)
            for num_epochs in sittings:
                sit(journal, task(settings, teacher, folder, trial, config), num_epochs)
            journal.append("trial_ended", trial=trial, state="complete", reason=None)
        begin(journal, 2, TrialConfig.model_validate(STUDENT | {"seed": 2}))
        journal.append("trial_ended", trial=2, state="failed", reason="no such device")
    return RunFolder(folder)


def begin(journal: Journal, trial: int, config: TrialConfig) -> None:
    told = {"config": config.canonical(), "config_hash": config.config_hash()}
    journal.append("trial_started", trial=trial, params={}, seed=config.seed, **told)


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
            journal.append("placed", trial=task.trial, epoch=known, **place)
        if result["epoch"] > known:
            journal.append("epoch", trial=task.trial, **result)
            done += 1
    worker.cleanup()


def forged(run: RunFolder, **fields: Any) -> None:
    """Changes fields of epoch 3 of trial 0."""
    records = list(run.read())
    for record in records:
        if record["event"] == "epoch" and (record["trial"], record["epoch"]) == (0, 3):
            record |= {name: change(record[name]) for name, change in fields.items()}
    rewrite(run, records)


def again(run: RunFolder, trial: int, folder: Path, **conditions: Any) -> Reproduction:
    return reproduce(run, trial, folder, conditions=Conditions(**conditions))


@pytest.mark.parametrize("trial", [0, 1])
def test_a_trial_comes_again_bit_for_bit_also_one_that_was_moved(run, tmp_path, trial):
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
        "machine, versions, code and threads are as then, so it must be bit for bit",
        found.verdict,
    )


def test_epochs_before_a_forged_one_still_hold(run, tmp_path):
    forged(run, veer_pct=lambda _: 1.0)
    assert again(run, 0, tmp_path / "again", epochs=2).verdict == (
        "reproduced bit for bit: 2 epochs"
    )


@pytest.mark.slow
def test_another_thread_count_is_told_and_compared_within_the_tolerance(run, tmp_path):
    found = again(run, 0, tmp_path / "again", num_threads=2)
    assert found.differences == ("threads 1 then, 2 now",)
    assert found.holds


def test_a_value_that_no_rounding_explains_is_found_elsewhere_too(run, tmp_path):
    records = list(run.read())
    for record in records:
        if record["event"] == "placed":
            record["num_threads"] = 7
    rewrite(run, records)
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
    records = list(run.read())
    [told] = (record for record in records if record["event"] == "teacher")
    told["path"] = str(shutil.copy(told["path"], tmp_path / "teacher.model"))
    rewrite(run, records)
    return tmp_path / "teacher.model"


def test_teacher_that_is_gone_is_an_error(run, world_of_its_own, tmp_path):
    sha256 = file_sha256(world_of_its_own)[:12]
    world_of_its_own.unlink()
    message = rf"teacher.model, the teacher of this run, is not there .* SHA-256 {sha256}"
    with pytest.raises(RunError, match=message):
        again(run, 0, tmp_path / "again")


def test_another_teacher_is_an_error(run, world_of_its_own, tmp_path):
    with world_of_its_own.open("ab") as file:
        file.write(b"more")
    with pytest.raises(RunError, match="is not the teacher that this run began with"):
        again(run, 0, tmp_path / "again")


def test_another_list_is_an_error(run, tmp_path):
    records = list(run.read())
    [told] = (record for record in records if record["event"] == "corpus")
    told["lists"]["train"]["sha256"] = "0" * 64
    rewrite(run, records)
    message = r"is not the train list that this run began with \(SHA-256 000000000000, now "
    with pytest.raises(RunError, match=message):
        again(run, 0, tmp_path / "again")


def test_journal_that_does_not_say_where_a_trial_ran_is_an_error(run, tmp_path):
    rewrite(run, [record for record in run.read() if record["event"] != "placed"])
    with pytest.raises(RunError, match="does not say where trial 0 was computed"):
        again(run, 0, tmp_path / "again")


def test_another_machine_is_named(run, tmp_path):
    records = list(run.read())
    for record in records:
        if record["event"] == "placed":
            record["hardware"]["cpu"] = "Z80"
        if record["event"] == "search_started":
            record["provenance"]["versions"]["numpy"] = "1.0"
            record["provenance"]["environment"] = {"MKL_CBWR": "COMPATIBLE"}
    rewrite(run, records)
    found = again(run, 0, tmp_path / "again", epochs=1)
    assert [text.split(" then")[0] for text in found.differences] == [
        "CPU Z80", "numpy 1.0", "MKL_CBWR COMPATIBLE",
    ]  # fmt: skip
    assert found.is_exact


def test_folder_that_is_not_empty_is_refused(run):
    with pytest.raises(RunError, match="is not empty; give --out a new folder"):
        again(run, 0, run.path)


@pytest.mark.parametrize("place", ["/proc/nothing/here", "/dev/null/x", "/dev/null"])
def test_a_folder_that_cannot_be_made_is_refused(run, place):
    with pytest.raises(RunError, match=f"{place}: cannot be made or read: .*; give --out a new"):
        again(run, 0, Path(place))


def test_what_the_command_cannot_do_is_refused_before_log_mels_are_looked_for(run, monkeypatch):
    def load(*_: Any, **__: Any) -> None:
        raise AssertionError("log-mels were loaded")

    monkeypatch.setattr("search.cli.reproduce.load_training_data", load)
    for options, message in (
        (["--out", str(run.path)], "is not empty; give --out a new folder"),
        (["--out", "/proc/nothing/here"], "cannot be made or read"),
        (["--device", "tpu"], "'tpu' is not one of 'cpu', 'cuda'"),
        (["--threads", "1025"], "less than or equal to 1024"),
    ):
        result = CliRunner().invoke(app, ["reproduce", str(run.path), "0", *options])
        assert result.exit_code != 0
        assert not isinstance(result.exception, AssertionError)
        told = result.output + str(result.exception)
        assert message in " ".join(told.replace("│", " ").split())


@pytest.fixture
def moved(run: RunFolder, settings: SearchConfig, tmp_path: Path) -> dict[str, Path]:
    """Corpus and teacher at another place than the journal says, where there is nothing."""
    place = tmp_path / "elsewhere"
    shutil.copytree(settings.corpus.train_list.parent, place / "corpus")
    shutil.copy(resolve_model_file(settings.teacher), place / "teacher.model")
    text = (place / "corpus" / "corpus.yaml").read_text()
    (place / "corpus" / "corpus.yaml").write_text(
        text.replace(str(settings.corpus.train_list.parent), str(place / "corpus"))
    )
    records = list(run.read())
    for record in records:
        if record["event"] == "search_started":
            corpus = record["settings"]["corpus"]
            corpus |= {
                name: f"/gone/{name}" for name, value in corpus.items()
                if name.endswith(("_dir", "_list")) and value
            }  # fmt: skip
        if record["event"] == "teacher":
            record["path"] = "/gone/teacher.model"
    rewrite(run, records)
    return {"corpus": place / "corpus" / "corpus.yaml", "teacher": place / "teacher.model"}


def test_a_trial_comes_again_from_corpus_and_teacher_at_another_place(run, moved, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    command = ["reproduce", str(run.path), "0", "--epochs", "2"]
    options = [f"--{name}={path}" for name, path in moved.items()]
    result = CliRunner().invoke(app, [*command, *options])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[-1] == "reproduced bit for bit: 2 epochs"
    named = [line for line in lines if line.startswith("differs from then: ")]
    assert [line.split("'")[1] for line in named] == ["train", "val"]
    for left_out in (options[:1], options[1:]):
        assert CliRunner().invoke(app, [*command, *left_out]).exit_code != 0


def test_another_corpus_or_teacher_is_none_at_another_place(run, moved):
    corpus = read_corpus_config(moved["corpus"])
    other = corpus.model_copy(update={"min_duration_s": 0.25})
    with pytest.raises(RunError, match=r"its min_duration_s was 0.5, now 0.25; restore"):
        recorded_trial(run, 0, corpus=other, teacher=moved["teacher"])
    tested = corpus.model_copy(update={"test_dir": Path("t"), "test_list": Path("t/list")})
    assert recorded_trial(run, 0, corpus=tested, teacher=moved["teacher"]).corpus == tested
    with pytest.raises(RunError, match="say where it is with --teacher"):
        recorded_trial(run, 0, corpus=corpus)
    with moved["teacher"].open("ab") as file:
        file.write(b"more")
    with pytest.raises(RunError, match="is not the teacher that this run began with"):
        recorded_trial(run, 0, corpus=corpus, teacher=moved["teacher"])
    corpus.train_list.write_text(corpus.train_list.read_text() + "\n")
    with pytest.raises(RunError, match="is not the train list that this run began with"):
        recorded_trial(run, 0, corpus=corpus, teacher=moved["teacher"])


def test_command_prints_the_table_and_ends_with_the_verdict(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    result = CliRunner().invoke(app, ["reproduce", str(run.path), "0", "--epochs", "2"])
    assert result.exit_code == 0, result.output
    rows = [line.split("│")[1:-1] for line in result.output.splitlines() if line.startswith("│")]
    assert [[row[0].strip(), row[3].strip(), row[5].strip()] for row in rows] == [
        ["1", "0", "0"], ["2", "0", "0"],
    ]  # fmt: skip
    assert result.output.splitlines()[-1] == "reproduced bit for bit: 2 epochs"
    assert not (tmp_path / "again").exists()


def test_command_fails_where_the_trial_does_not_come_again(run, tmp_path):
    forged(run, veer_pct=lambda value: value + 0.5)
    out = tmp_path / "again"
    result = CliRunner().invoke(app, ["reproduce", str(run.path), "0", "--out", str(out)])
    assert result.exit_code == 1
    assert "epoch 3 in veer_pct" in result.output
    assert "-5.00e-01" in result.output
    assert sorted(path.name for path in out.iterdir()) == ["config.yaml", "model"]


def test_trial_that_diverges_now_is_not_reproduced():
    found = Reproduction(
        trial=0, pairs=(), differences=("threads 1 then, 2 now",), veer_tolerance_pct=1.0,
        stopped="the loss became nan in epoch 1, where a VEER of 12.0 % is recorded",
    )  # fmt: skip
    assert not found.holds
    assert found.verdict == f"not reproduced: {found.stopped}"
