"""A run by itself: the files voxceleb_trainer users know, and going on after a stop."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import masked_crc32c

from models import SpeakerModel
from spaces.files.digest import file_sha256
from spaces.files.errors import BusyError, ConfigError
from tests.worlds.tiny_models import LSTM, MIXER
from trainable.checkpoints.folder import resolve_model_file
from trainable.checkpoints.loading import load_speaker_model
from trainable.checkpoints.model_file import part_of
from trainable.config.trial_config import TrainRunConfig
from trainable.corpus.corpus import read_corpus, read_corpus_config
from trainable.features.training_data import load_training_data
from trainable.machine.trial_lock import training_lock
from trainable.report.epoch_report import EpochReport
from trainable.training import full
from trainable.training.full import TrainResult, run_training
from trainable.verification.evaluation import PairScores

TEACHER = {
    "model": LSTM,
    "loss": {"distillation": "none", "beta": 0.1},
}
STUDENT = {
    "model": MIXER
}
TRAINING = {
    "batch_size": 8,
    "crop_frames": 40,
    "max_epochs": 2,
    "eval_frames": 60,
    "full_eval_every_epochs": 2,
}
LINES = re.compile(
    r"\[INFO\] :: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d :: "
    r"Epoch (\d+), (?:VEER \d+\.\d{4}, MinDCF \d\.\d{5}|"
    r"TEER/TAcc \d+\.\d\d, TLOSS \d+\.\d{6}, LR 0\.\d{6})"
)


@pytest.fixture
def corpus_file(make_corpus: Callable[..., Path], tmp_path: Path) -> Path:
    return make_corpus(tmp_path / "corpus", num_val_speakers=3, num_utterances=4)


def train(corpus_file: Path, out: Path, **config: object) -> TrainResult:
    corpus = read_corpus_config(corpus_file)
    data = load_training_data(corpus, cache_dir=corpus_file.parent / "cache")
    run = TrainRunConfig.model_validate({"corpus": corpus.model_dump()} | config)
    return run_training(run, data, out, device=torch.device("cpu"))


def scalars(folder: Path) -> dict[tuple[str, int], float]:
    """Return the scalars that TensorBoard would read."""
    found = {}
    for file in sorted(folder.glob("events*")):
        content, position = file.read_bytes(), 0
        while position < len(content):
            size = int.from_bytes(content[position : position + 8], "little")
            body = content[position + 12 : position + 12 + size]
            crc = content[position + 12 + size : position + 16 + size]
            assert int.from_bytes(crc, "little") == masked_crc32c(body)
            event = event_pb2.Event.FromString(body)
            for value in event.summary.value:
                found[value.tag, event.step] = value.simple_value
            position += 16 + size
    return found


def _are_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_a_teacher_then_a_student_leave_the_known_files(corpus_file: Path, tmp_path: Path) -> None:
    taught = train(
        corpus_file, tmp_path / "teacher", trial=TEACHER | {"training": TRAINING}
    )
    result = train(
        corpus_file,
        tmp_path / "student",
        teacher=tmp_path / "teacher",
        teacher_sha256=file_sha256(taught.best_file),
        trial=STUDENT | {"training": TRAINING, "loss": {"stages": "cosine"}},
    )
    lines = (tmp_path / "student" / "result" / "scores.txt").read_text().splitlines()
    assert [bool(LINES.fullmatch(line)) for line in lines] == [True] * 3
    assert "Epoch 2, VEER" in lines[-1]
    values = scalars(tmp_path / "student" / "tensorboard")
    assert values["veer_pct", 2] == pytest.approx(result.last.veer_pct)
    assert values["teacher_cosine", 1] is not None
    assert result.last.loss_stages is not None
    for stage, loss in enumerate(result.last.loss_stages, 1):
        assert values[f"loss_stages/{stage}", 2] == pytest.approx(loss)
    assert result.best_file == resolve_model_file(tmp_path / "student")
    assert load_speaker_model(result.best_file).epoch == result.best.epoch
    assert result.final is not None


def test_a_stopped_run_continues_and_ends_as_an_undisturbed_one(
    corpus_file: Path, tmp_path: Path
) -> None:
    def training(max_epochs: int) -> dict[str, object]:
        return TEACHER | {"training": TRAINING | {"max_epochs": max_epochs}}

    whole = train(corpus_file, tmp_path / "whole", trial=training(4))
    first = train(corpus_file, tmp_path / "parts", trial=training(2))
    second = train(corpus_file, tmp_path / "parts", trial=training(4))
    assert (first.resumed_from, second.resumed_from) == (0, 2)
    assert second.last.veer_pct == whole.last.veer_pct
    assert second.last.loss_total == whole.last.loss_total


def test_teacher_and_student_are_evaluated_and_kept_as_averages(
    corpus_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of both, the file holds what both evaluations saw; another run gives the same numbers."""
    seen = []
    usual = full.score_pairs

    def recorded(model: SpeakerModel, *args: object, **options: object) -> PairScores:
        seen.append({name: each.clone() for name, each in model.state_dict().items()})
        return usual(model, *args, **options)

    monkeypatch.setattr(full, "score_pairs", recorded)
    averaging = {"training": TRAINING | {"ema_epochs": 0.5, "full_eval_every_epochs": 1}}
    train(corpus_file, tmp_path / "teacher", trial=TEACHER | averaging)
    curves = []
    for name in ("one", "two"):
        student = {"teacher": tmp_path / "teacher", "trial": STUDENT | averaging}
        result = train(corpus_file, tmp_path / name, **student)
        kept = load_speaker_model(result.best_file).model.state_dict()
        assert any(_are_equal(kept, each) for each in seen)
        state = torch.load(result.best_file, weights_only=True)
        trained = part_of(state["veer"]["step"]["trained_weights"], "__S__.")
        assert not any(_are_equal(trained, each) for each in seen)
        curves.append([result.best, result.last])
    first, second = ([(e.veer_pct, e.loss_total) for e in each] for each in curves)
    assert first == second


def test_patience_ends_a_run_and_the_reason_is_kept(corpus_file: Path, tmp_path: Path) -> None:
    training = TRAINING | {"max_epochs": 9, "patience_epochs": 1, "full_eval_every_epochs": 9}
    trial = TEACHER | {"training": training}
    result = train(corpus_file, tmp_path / "run", trial=trial)
    num_epochs, history = result.last.epoch, load_speaker_model(result.best_file).history
    assert result.best.epoch == num_epochs - 1 == len(history) < 8
    text = (
        f"the training ended after epoch {num_epochs} of 9: no better VEER for 1 epochs "
        "(training.patience_epochs)"
    )
    assert result.why_ended == text
    again = train(corpus_file, tmp_path / "run", trial=trial)
    assert (again.resumed_from, again.last, again.why_ended) == (num_epochs, result.last, text)
    log = (tmp_path / "run" / "result" / "phases.txt").read_text()
    assert log.count(text) == len(log.splitlines()) == 1
    scores = (tmp_path / "run" / "result" / "scores.txt").read_text()
    assert scores.splitlines()[-1].split(" :: ")[2].startswith(f"Epoch {num_epochs}, VEER")


def test_a_finished_run_is_left_as_it_is(corpus_file: Path, tmp_path: Path) -> None:
    trial = TEACHER | {"training": TRAINING}
    train(corpus_file, tmp_path / "run", trial=trial)
    log = (tmp_path / "run" / "result" / "scores.txt").read_text()
    again = train(corpus_file, tmp_path / "run", trial=trial)
    assert again.resumed_from == again.last.epoch == 2
    assert (tmp_path / "run" / "result" / "scores.txt").read_text() == log


def test_an_evaluation_that_a_stop_prevented_is_made_up_for(
    corpus_file: Path, tmp_path: Path
) -> None:
    trial = TEACHER | {"training": TRAINING}
    first = train(corpus_file, tmp_path / "run", trial=trial)
    log = tmp_path / "run" / "result" / "scores.txt"
    before = log.read_text().splitlines()
    log.write_text("\n".join(before[:-1]) + "\n")
    (tmp_path / "run" / "result" / "final.json").unlink()
    again = train(corpus_file, tmp_path / "run", trial=trial)
    logged = [line.split(" :: ")[2] for line in log.read_text().splitlines()]
    assert logged == [line.split(" :: ")[2] for line in before]
    assert again.final == first.final


def test_final_figures_are_computed_once(corpus_file: Path, tmp_path: Path) -> None:
    trial = TEACHER | {"training": TRAINING}
    first = train(corpus_file, tmp_path / "run", trial=trial)
    file = tmp_path / "run" / "result" / "final.json"
    recorded = json.loads(file.read_text())
    recorded["cosine"]["eer_pct"] = 12.5
    file.write_text(json.dumps(recorded))
    again = train(corpus_file, tmp_path / "run", trial=trial)
    assert again.final.cosine.eer_pct == 12.5 != first.final.cosine.eer_pct
    file.write_text("{torn")
    assert train(corpus_file, tmp_path / "run", trial=trial).final == first.final


def test_a_folder_in_which_another_training_runs_is_refused(
    corpus_file: Path, tmp_path: Path
) -> None:
    message = rf"run: another training runs in this folder \(process {os.getpid()} on .*--out"
    with training_lock(tmp_path / "run", wait=False):
        with pytest.raises(BusyError, match=message):
            train(corpus_file, tmp_path / "run", trial=TEACHER | {"training": TRAINING})
        assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]
    assert not (tmp_path / "run").exists()  # no training wrote in it
    assert train(corpus_file, tmp_path / "run", trial=TEACHER | {"training": TRAINING}).last.epoch


def test_a_teacher_that_changed_is_refused(corpus_file: Path, tmp_path: Path) -> None:
    train(corpus_file, tmp_path / "teacher", trial=TEACHER | {"training": TRAINING})
    with pytest.raises(ConfigError, match=r"teacher_sha256 must match .*model, got 1234"):
        train(
            corpus_file,
            tmp_path / "student",
            teacher=tmp_path / "teacher",
            teacher_sha256="1234",
            trial=STUDENT | {"training": TRAINING},
        )


class RecordingWatcher:
    """A watcher that records the events of a run."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.utterances: list[int] = []
        self.lines: list[str] = []

    def epoch(self, report: EpochReport) -> None:
        self.epochs.append(report.epoch)

    def evaluation(self, done: int, total: int) -> None:
        assert done <= total
        self.utterances.append(done)

    def teacher(self, done: int, total: int) -> None:
        raise AssertionError(f"no plug-in, but got {done} of {total}")

    def print_line(self, text: str) -> None:
        self.lines.append(text)


def test_epochs_and_evaluations_reach_the_watcher(corpus_file: Path, tmp_path: Path) -> None:
    corpus = read_corpus_config(corpus_file)
    data = load_training_data(corpus, cache_dir=tmp_path / "cache")
    run = TrainRunConfig.model_validate(
        {"corpus": corpus.model_dump(), "trial": TEACHER | {"training": TRAINING}}
    )
    watcher = RecordingWatcher()
    run_training(run, data, tmp_path / "run", device=torch.device("cpu"), watcher=watcher)
    assert watcher.epochs == [1, 2]
    num_files = len(read_corpus(corpus).val_paths)
    # After the crops of each epoch's own evaluation.
    assert watcher.utterances[-num_files:] == list(range(1, num_files + 1))
    assert len(watcher.utterances) >= num_files + 2


def test_a_run_with_a_damaged_checkpoint_warns_and_ends_the_same(
    corpus_file: Path, tmp_path: Path
) -> None:
    corpus = read_corpus_config(corpus_file)
    data = load_training_data(corpus, cache_dir=tmp_path / "cache")
    run = TrainRunConfig.model_validate(
        {"corpus": corpus.model_dump(), "trial": TEACHER | {"training": TRAINING}}
    )
    cpu = torch.device("cpu")
    before = run_training(run, data, tmp_path / "run", device=cpu)
    newest = tmp_path / "run" / "model" / "model000000002.model"
    newest.write_bytes(newest.read_bytes()[:1000])
    watcher = RecordingWatcher()
    again = run_training(run, data, tmp_path / "run", device=cpu, watcher=watcher)
    (line,) = watcher.lines
    assert "model000000002.model: damaged" in line
    assert [report.veer_pct for report in (again.best, again.last)] == [
        report.veer_pct for report in (before.best, before.last)
    ]
    assert watcher.epochs == list(range(again.resumed_from + 1, 3))
    assert again.final == before.final
