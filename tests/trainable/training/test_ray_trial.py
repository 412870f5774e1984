import contextlib
import time
import weakref

import pytest
import torch

from spaces.files.errors import DeviceError, DivergedError, TrainingError
from tests.damage import flip_bit
from tests.worlds.tiny_models import MIXER
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import load_training_data
from trainable.machine.trial_lock import TrialLock
from trainable.report.epoch_report import EpochReport
from trainable.training import ray_trial
from trainable.training.ray_trial import CROWDED_WAIT_S, StudentTrial, build_trainer
from trainable.training.trainer import Trainer
from trainable.training.trial_task import TrialTask
from trainable.verification.bootstrap import SpeakerBootstrap
from trainable.verification.intervals import Interval

CPU = torch.device("cpu")
REPORT = {
    "veer_pct": 20.0, "loss_total": 1.0, "train_accuracy_pct": 50.0, "lr": 0.1, "num_samples": 8,
    "samples_per_s": 1.0, "train_s": 1.0, "overhead_share": 0.0,
}  # fmt: skip
SMALL = {
    "model": MIXER,
    "training": {"batch_size": 8, "crop_frames": 40},
}


@pytest.fixture
def student(tmp_path):
    """A worker's trial, as Ray makes it, without Ray."""
    corpus = dict.fromkeys(("train_dir", "train_list", "val_dir", "val_list"), "/nowhere")
    trial = StudentTrial.__new__(StudentTrial)
    trial.setup(
        {
            "trial": 0, "config": {}, "folder": tmp_path, "corpus": corpus, "cache_dir": tmp_path,
            "teacher": None, "device": "cpu", "num_threads": 1, "num_cpus": 2, "num_gpus": 0.25,
        }
    )  # fmt: skip
    return trial


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.OutOfMemoryError("CUDA out of memory.\n Tried 2 GiB"),
         "CUDA out of memory. Tried 2 GiB"),
        (MemoryError(), "MemoryError"),
    ],
)  # fmt: skip
def test_step_for_want_of_memory_is_an_outcome_of_its_own(student, monkeypatch, error, reason):
    def fail(task):
        del task
        raise error

    monkeypatch.setattr("trainable.training.ray_trial.build_trainer", fail)
    assert student.step() == {"outcome": "out_of_memory", "reason": reason}


def test_worker_without_memory_keeps_nothing_of_the_trial(student):
    class Fails:
        def run_epoch(self):
            raise torch.OutOfMemoryError("full")

    trainer = Fails()
    student._trainer, gone = trainer, weakref.ref(trainer)
    del trainer
    assert student.step()["outcome"] == "out_of_memory"
    assert gone() is None


@pytest.mark.parametrize("is_mended", [True, False])
def test_trial_waits_once_where_others_have_its_memory(student, monkeypatch, is_mended):
    """And goes on with the same share; only the second time in an epoch it needs a larger one."""
    waited, built = [], []

    class Trains:
        """Finds no memory in its second epoch."""

        def __init__(self):
            self.history, self.num_params = [], 1
            self.config = TrialConfig()
            built.append(self)

        def run_epoch(self):
            if len(built) == 1 or not is_mended:
                raise torch.OutOfMemoryError("full")
            return EpochReport(epoch=2, **REPORT)

    first = EpochReport(epoch=1, **REPORT)
    monkeypatch.setattr(ray_trial, "build_trainer", lambda _: Trains())
    monkeypatch.setattr(ray_trial, "placement_of", lambda *_: {})
    monkeypatch.setattr(
        CheckpointFolder, "restore", lambda _, trainer: trainer.history.append(first) or []
    )
    monkeypatch.setattr(ray_trial, "run_saved_epoch", lambda trainer, _: trainer.run_epoch())
    monkeypatch.setattr(ray_trial, "why_trained_inverted", lambda *_: None)
    monkeypatch.setattr(ray_trial, "is_crowded", lambda share, _: share == 0.25)
    monkeypatch.setattr(ray_trial.time, "sleep", waited.append)
    student._task = student._task.model_copy(update={"device": "auto"})
    assert (student.step()["epoch"], len(built)) == (1, 1)
    again = student.step()
    # Ray needs a result: the last epoch is reported again, which changes nothing.
    assert (again["epoch"], again["crowded"]) == (1, "full")
    assert waited == [CROWDED_WAIT_S]
    last = student.step()
    if is_mended:
        assert (last["epoch"], "crowded" in last) == (2, False)
    else:
        assert last == {"outcome": "out_of_memory", "reason": "full"}
    assert len(waited) == 1


def test_broken_gpu_is_raised_so_that_the_process_is_not_used_again(student, monkeypatch):
    def fail(task):
        del task
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr("trainable.training.ray_trial.build_trainer", fail)
    with pytest.raises(DeviceError, match="illegal memory access"):
        student.step()


def test_trial_that_another_process_trains_is_not_touched(student, tmp_path, monkeypatch):
    monkeypatch.setattr(TrialLock.acquire, "__defaults__", (0.0,))
    builds = "trainable.training.ray_trial.build_trainer"
    monkeypatch.setattr(builds, lambda task: pytest.fail(str(task)))
    other = TrialLock()
    other.acquire(tmp_path)
    with contextlib.suppress(TrainingError):  # an outcome, or raised so that Ray tries again
        assert "another process trains this trial" in student.step()["reason"]
    other.release()
    assert [file.name for file in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("way", ["outcome", "raise", "cleanup", "reset"])
def test_trial_gives_its_folder_back(student, tmp_path, monkeypatch, way):
    def fail(task):
        del task
        raise DivergedError("the loss is nan") if way == "outcome" else RuntimeError("CUDA error")

    monkeypatch.setattr("trainable.training.ray_trial.build_trainer", fail)
    if way in ("outcome", "raise"):
        with contextlib.suppress(RuntimeError):
            student.step()
    else:
        student._lock.acquire(tmp_path)
        if way == "cleanup":
            student.cleanup()
        else:
            student.reset_config(student._task.model_dump())
    TrialLock().acquire(tmp_path, wait_s=0)


def test_trial_asks_ray_for_its_own_share(student):
    config = student._task.model_dump()
    request = StudentTrial.default_resource_request(config)
    assert request.required_resources == {"CPU": 2, "GPU": 0.25}
    on_cpus = StudentTrial.default_resource_request(config | {"num_gpus": 0})
    assert on_cpus.required_resources == {"CPU": 2}
    # Ray reuses a worker only for an equal request.
    assert request == StudentTrial.default_resource_request(config)
    assert request != StudentTrial.default_resource_request(config | {"avoided": ["a"]})


@pytest.fixture
def teacher_file(make_corpus, tmp_path):
    corpus = read_corpus_config(make_corpus(tmp_path / "corpus"))
    data = load_training_data(corpus, cache_dir=tmp_path / "cache")
    config = TrialConfig.model_validate(SMALL | {"loss": {"distillation": "none"}})
    return CheckpointFolder(tmp_path / "teacher").save(Trainer(config, data, device=CPU))


@pytest.mark.parametrize("loss", [{"distillation": "dkd"}, {"stages": "cosine"}])
def test_trial_learns_from_the_teacher_in_a_file(teacher_file, tmp_path, loss):
    task = TrialTask(
        trial=0,
        config=TrialConfig.model_validate(SMALL | {"loss": loss}).canonical(),
        folder=tmp_path / "trial",
        corpus=read_corpus_config(tmp_path / "corpus" / "corpus.yaml"),
        cache_dir=tmp_path / "cache",
        teacher=teacher_file,
        device="cpu",
        num_threads=1,
        num_gpus=0,
        engine={"precision": "bfloat16"},
    )
    trainer = build_trainer(TrialTask.model_validate(task.model_dump(mode="json")))
    assert trainer.engine.precision == "bfloat16"
    report = trainer.run_epoch()
    assert report.distill_share > 0
    assert (report.loss_stages is None) == ("stages" not in loss)


@pytest.fixture
def begin(make_corpus, tmp_path):
    """A function that gives a worker the trial in `tmp_path/trial`, as a search hands it out."""
    folder = tmp_path / "corpus"
    file = folder / "corpus.yaml"
    corpus = read_corpus_config(file if file.exists() else make_corpus(folder))

    def make(num_known, loss=None, teacher=None, **training):
        settings = SMALL | {"training": SMALL["training"] | training}
        config = TrialConfig.model_validate(settings | {"loss": loss or {"distillation": "none"}})
        task = TrialTask(
            trial=0, config=config.canonical(), folder=tmp_path / "trial", corpus=corpus,
            cache_dir=tmp_path / "cache", teacher=teacher, device="cpu", num_threads=1,
            num_gpus=0, num_known=num_known,
        )  # fmt: skip
        trial = StudentTrial.__new__(StudentTrial)
        trial.setup(task.model_dump(mode="json"))
        return trial

    return make


def test_trial_that_cannot_be_built_has_failed_with_the_reason(teacher_file, begin):
    loss = {"distillation": "cosine", "stages": "cosine", "stage_weights": [0, 1, 0]}
    result = begin(0, loss=loss, teacher=teacher_file).step()
    assert result["outcome"] == "failed"
    assert "stage_weights must not all be 0 at 2 stages" in result["reason"]
    # The trial's folder was given back.
    again = begin(0)
    assert again.step()["epoch"] == 1
    again.cleanup()


def test_a_trial_that_ends_worse_than_chance_says_that_labels_are_swapped(begin, monkeypatch):
    """Also if the worker was restarted before it could report that."""
    low = Interval(low_pct=60.0, high_pct=90.0)
    monkeypatch.setattr(SpeakerBootstrap, "interval", lambda *_: low)
    trial = begin(0, max_epochs=2)
    assert trial.step()["epoch"] == 1
    result = trial.step()
    trial.cleanup()
    for each in (result, begin(1, max_epochs=2).step()):
        assert each["outcome"] == "inverted"
        assert "(95 % interval 60.00 to 90.00 %)" in each["reason"]


def metrics(result):
    return result["epoch"], result["veer_pct"], result["loss_total"]


def test_trial_with_a_damaged_checkpoint_reports_the_same_epochs_again(begin, tmp_path):
    trial = begin(0)
    expected = [metrics(trial.step()) for _ in range(3)]
    trial.cleanup()
    checkpoints = CheckpointFolder(tmp_path / "trial")
    flip_bit(checkpoints.file_of(3))
    again = begin(3)
    first = again.step()
    (damage,) = first["damaged"]
    assert "model000000003.model: damaged" in damage
    found = [metrics(first)]
    while found[-1][0] < 3:
        found.append(metrics(again.step()))
    # From the best epoch's file on, or from the beginning.
    assert found == expected[found[0][0] - 1 :]
    again.cleanup()


@pytest.mark.parametrize(("num_known", "epochs"), [(0, [1, 2, 3]), (1, [2, 3]), (2, [2, 3])])
def test_trial_first_reports_the_epochs_that_the_journal_lacks(begin, num_known, epochs):
    trial = begin(0)
    expected = {epoch: metrics(trial.step()) for epoch in (1, 2)}
    trial.cleanup()
    again = begin(num_known)
    found = [metrics(again.step()) for _ in epochs]
    assert [epoch for epoch, *_ in found] == epochs
    assert all(each == expected[each[0]] for each in found[:-1])
    again.cleanup()


def test_trial_reports_once_how_long_it_had_its_share(begin):
    before_s = time.monotonic()
    trial = begin(0)
    first, second = trial.step(), trial.step()
    had_s = first["place"]["had_s"]
    assert first["train_s"] + first["eval_s"] < had_s < time.monotonic() - before_s
    assert "place" not in second
    trial.cleanup()
