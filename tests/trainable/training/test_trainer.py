"""The loop: what it learns, reports, repeats and resumes."""

import threading
import time
from collections.abc import Iterator
from copy import deepcopy

import numpy as np
import pytest
import torch

from models import LSTMAutoencoderConfig, build_model
from spaces.files.errors import TrainingError
from tests.worlds.tiny_models import LSTM, MIXER
from trainable.config.trial_config import TrialConfig
from trainable.features.resident import ResidentFeatures
from trainable.features.training_data import TrainingData
from trainable.machine.engine import EngineConfig
from trainable.machine.prefetch import THREAD_NAME
from trainable.report.epoch_report import EpochReport
from trainable.step.batch import Batch
from trainable.teachers.network import Teacher
from trainable.training.trainer import Trainer

CPU = torch.device("cpu")
TRAINING = {"batch_size": 8, "crop_frames": 40, "lr": 3e-3, "max_epochs": 3}


@pytest.fixture
def teacher() -> Teacher:
    torch.manual_seed(0)
    sizes = {k: v for k, v in LSTM.items() if k != "family"}
    return Teacher(model=build_model(LSTMAutoencoderConfig(**sizes)))


def config(**parts: object) -> TrialConfig:
    base: dict[str, object] = {"model": MIXER, "training": TRAINING, "loss": {}}
    return TrialConfig.model_validate(base | parts)


def run(trainer: Trainer, epochs: int) -> list[EpochReport]:
    return [trainer.run_epoch() for _ in range(epochs)]


def curve(reports: list[EpochReport]) -> list[tuple[float, float]]:
    return [(report.loss_total, report.veer_pct) for report in reports]


def test_training_learns_the_speakers(data: TrainingData) -> None:
    trainer = Trainer(config(loss={"distillation": "none"}), data, device=CPU)
    reports = run(trainer, 8)
    assert reports[-1].loss_total < 0.7 * reports[0].loss_total
    assert reports[-1].train_accuracy_pct > 60
    assert [report.epoch for report in reports] == list(range(1, 9))


@pytest.mark.parametrize(
    "model",
    [
        MIXER | {"family": "mlp_mixer_hybrid"},
        {"family": "resnet_se34l", "num_filters": 8, "encoder_type": "ASP"},
        {"family": "ecapa_tdnn", "channels": 16, "aggregation_dim": 24},
    ],
    ids=lambda model: model["family"],
)
def test_every_other_family_learns_too(data: TrainingData, model: dict[str, object]) -> None:
    trial = config(model=model, loss={"distillation": "none"})
    reports = run(Trainer(trial, data, device=CPU), 3)
    assert reports[-1].loss_total < 0.9 * reports[0].loss_total


@pytest.mark.parametrize(
    "settings",
    [
        {"distillation": "mse", "temperature": 0.1},
        {"distillation": "cosine"},
        {"distillation": "cosine", "stages": "cosine"},
    ],
)
def test_distillation_turns_the_student_towards_the_teacher(
    data: TrainingData, teacher: Teacher, settings: dict[str, object]
) -> None:
    loss = settings | {"alpha": 1.0}
    reports = run(Trainer(config(loss=loss), data, teacher=teacher, device=CPU), 10)
    assert reports[-1].teacher_cosine > reports[0].teacher_cosine + 0.2
    assert reports[-1].distill_share == pytest.approx(1.0)


@pytest.mark.parametrize(
    "model", [LSTM, MIXER | {"family": "mlp_mixer_autoencoder"}], ids=lambda m: m["family"]
)
def test_total_is_the_weighted_sum_of_the_terms(
    data: TrainingData, teacher: Teacher, model: dict[str, object]
) -> None:
    trial = config(model=model, loss={"alpha": 0.6, "beta": 0.1})
    (report,) = run(Trainer(trial, data, teacher=teacher, device=CPU), 1)
    parts = (
        0.3 * report.loss_classification,
        0.6 * report.loss_distillation,
        0.1 * report.loss_reconstruction,
    )
    assert report.loss_total == pytest.approx(sum(parts), rel=1e-5)
    assert report.distill_share == pytest.approx(parts[1] / sum(parts), rel=1e-5)
    assert report.loss_distillation == pytest.approx(1 - report.teacher_cosine, rel=1e-5)
    assert report.classification_share == pytest.approx(parts[0] / sum(parts), rel=1e-5)
    assert report.reconstruction_share == pytest.approx(parts[2] / sum(parts), rel=1e-5)
    assert report.loss_stages is report.stage_shares is None


def test_without_distillation_no_teacher_figures_are_made_up(data: TrainingData) -> None:
    (report,) = run(Trainer(config(loss={"distillation": "none"}), data, device=CPU), 1)
    assert report.distill_share is None
    assert report.teacher_cosine is None
    assert report.loss_distillation is None
    assert report.classification_share == 1


def test_the_teacher_stays_frozen(data: TrainingData, teacher: Teacher) -> None:
    before = {name: tensor.clone() for name, tensor in teacher.model.state_dict().items()}
    run(Trainer(config(), data, teacher=teacher, device=CPU), 1)
    for name, tensor in teacher.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_same_seed_same_curve_whatever_the_global_generator(
    data: TrainingData, teacher: Teacher
) -> None:
    trial = config(seed=4, training=TRAINING | {"num_masks": 1})
    first = curve(run(Trainer(trial, data, teacher=teacher, device=CPU), 2))
    torch.manual_seed(99)
    assert curve(run(Trainer(trial, data, teacher=teacher, device=CPU), 2)) == first
    other = config(seed=5, training=TRAINING | {"num_masks": 1})
    assert curve(run(Trainer(other, data, teacher=teacher, device=CPU), 2)) != first


def test_a_restored_run_continues_bit_for_bit(data: TrainingData, teacher: Teacher) -> None:
    undisturbed = Trainer(config(), data, teacher=teacher, device=CPU)
    run(undisturbed, 3)
    stopped = Trainer(config(), data, teacher=teacher, device=CPU)
    run(stopped, 1)
    restored = Trainer(config(), data, teacher=teacher, device=CPU)
    restored.load_state(stopped.state())
    run(restored, 2)
    assert curve(restored.history) == curve(undisturbed.history)
    for a, b in zip(undisturbed.model.parameters(), restored.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_engine_is_no_part_of_the_trial_but_a_run_keeps_it(data: TrainingData) -> None:
    trial = config(loss={"distillation": "none"})
    half = EngineConfig(precision="bfloat16")
    one = Trainer(trial, data, device=CPU, engine=half)
    exact = Trainer(trial, data, device=CPU)
    assert one.run_epoch().loss_total == pytest.approx(exact.run_epoch().loss_total, rel=0.05)
    assert one.config.config_hash() == exact.config.config_hash()
    with pytest.raises(TrainingError, match=r"engine .*'bfloat16'.* not .*'float32'.* keeps its"):
        exact.load_state(one.state())
    # What `auto` stood for is kept: the run may continue on another machine.
    assert exact.state()["veer"]["engine"]["precision"] == "float32"
    again = Trainer(trial, data, device=CPU, engine=half)
    again.load_state(deepcopy(one.state()))
    assert again.run_epoch().loss_total == one.run_epoch().loss_total


def test_a_checkpoint_with_another_form_of_adam_continues(data: TrainingData) -> None:
    trial = config(loss={"distillation": "none"})
    one, other = (Trainer(trial, data, device=CPU) for _ in range(2))
    one.run_epoch()
    state = deepcopy(one.state())
    for group in state["optimizer_state_dict"]["param_groups"]:
        group |= {"fused": None, "foreach": True}
    other.load_state(state)
    assert other.run_epoch().loss_total == one.run_epoch().loss_total


def test_batches_made_ahead_are_those_made_in_turn(
    data: TrainingData, teacher: Teacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = config(training=TRAINING | {"num_masks": 2})
    ahead = curve(run(Trainer(trial, data, teacher=teacher, device=CPU), 2))
    monkeypatch.setattr("trainable.training.trainer.prefetched", lambda source, **_: source)
    assert curve(run(Trainer(trial, data, teacher=teacher, device=CPU), 2)) == ahead


def test_an_epoch_that_fails_leaves_no_thread(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(config(loss={"distillation": "none"}), data, device=CPU)

    def fail(*args: object) -> None:
        del args
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer.step, "run", fail)
    with pytest.raises(KeyboardInterrupt):
        trainer.run_epoch()
    assert THREAD_NAME not in {thread.name for thread in threading.enumerate()}


def test_an_epoch_reports_its_memory_and_the_time_outside_its_steps(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(config(loss={"distillation": "none"}), data, device=CPU)
    trainer.run_epoch()
    report = trainer.run_epoch()
    assert 10 < report.peak_memory_mib < 20_000
    assert 0 < report.overhead_share < 1
    batches = trainer._batches.epoch

    slept_s = 4 * report.train_s

    def slow(rng: np.random.Generator) -> Iterator[Batch]:
        time.sleep(slept_s)
        yield from batches(rng)

    monkeypatch.setattr(trainer._batches, "epoch", slow)
    waited = trainer.run_epoch()
    # However long the steps take on a busy machine, the sleep is outside of them.
    assert slept_s <= waited.overhead_share * waited.train_s < waited.train_s


def test_the_learning_rate_follows_the_notes_schedule(data: TrainingData) -> None:
    training = TRAINING | {"lr": 1e-3, "lr_decay": 0.5, "lr_decay_every_epochs": 2}
    trial = config(training=training, loss={"distillation": "none"})
    reports = run(Trainer(trial, data, device=CPU), 5)
    assert [report.lr for report in reports] == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "needs a teacher"),
        (
            {"loss": {"distillation": "none"}, "training": TRAINING | {"batch_size": 31}},
            r"training utterances \(30\), got 31",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(data: TrainingData, parts: dict, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        Trainer(config(**parts), data, device=CPU)


def test_a_teacher_of_another_embedding_size_is_refused(
    data: TrainingData, teacher: Teacher
) -> None:
    with pytest.raises(TrainingError, match=r"teacher's \(24\), got 32"):
        Trainer(config(model=MIXER | {"embedding_dim": 32}), data, teacher=teacher, device=CPU)


def test_a_checkpoint_of_another_config_is_refused(data: TrainingData) -> None:
    one = Trainer(config(loss={"distillation": "none"}), data, device=CPU)
    other = Trainer(config(loss={"distillation": "none", "margin": 0.3}), data, device=CPU)
    with pytest.raises(TrainingError, match=f"{one.config.config_hash()}.*not of"):
        other.load_state(one.state())


def test_more_epochs_are_the_same_config(data: TrainingData) -> None:
    one = Trainer(config(loss={"distillation": "none"}), data, device=CPU)
    run(one, 1)
    longer = config(loss={"distillation": "none"}, training=TRAINING | {"max_epochs": 50})
    more = Trainer(longer, data, device=CPU)
    more.load_state(one.state())
    assert more.epoch == 1


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["auto", "float16"])
def test_a_gpu_trains_from_its_own_memory_and_continues(
    data: TrainingData, teacher: Teacher, precision: str
) -> None:
    device, engine = torch.device("cuda"), EngineConfig(precision=precision)
    trial = config(training=TRAINING | {"num_masks": 1})
    trainer = Trainer(trial, data, teacher=teacher, device=device, engine=engine)
    reports = run(trainer, 6)
    assert isinstance(trainer._features, ResidentFeatures)
    assert reports[-1].loss_total < reports[0].loss_total
    assert reports[-1].peak_memory_mib > 1
    assert 0 <= reports[-1].overhead_share < 1
    again = Trainer(trial, data, teacher=teacher, device=device, engine=engine)
    again.load_state(deepcopy(trainer.state()))
    expected = run(trainer, 1)[0].loss_total
    assert run(again, 1)[0].loss_total == pytest.approx(expected, rel=1e-3)
