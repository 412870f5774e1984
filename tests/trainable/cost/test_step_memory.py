"""Bytes of a training step against numbers worked by hand and a second count."""

import gc

import pytest
import torch
from torch import Tensor, nn

from models import LSTMAutoencoderConfig, build_model, count_parameters
from models.shapes_only import META
from spaces.files.errors import TrainingError
from trainable.config.trial_config import TrialConfig
from trainable.cost import random_input_step
from trainable.cost.random_input_step import CPU
from trainable.cost.step_memory import (
    LiveBytes,
    StepMemory,
    _measured,
    live_peaks,
    step_memory,
)
from trainable.loss.teacher_output import SpeakerCentres
from trainable.machine.engine import Engine, EngineConfig
from trainable.teachers.network import Teacher

FLOAT = 4
BATCH, FRAMES, SPEAKERS = 6, 40, 10
EMBEDDING = 24
STUDENT = {
    "family": "mlp_mixer",
    "hidden_dim": 16,
    "num_blocks": 2,
    "num_frames": FRAMES,
    "embedding_dim": EMBEDDING,
}
FAMILIES = {
    "mlp_mixer": STUDENT,
    "mlp_mixer_hybrid": STUDENT | {"family": "mlp_mixer_hybrid"},
    "mlp_mixer_autoencoder": STUDENT | {"family": "mlp_mixer_autoencoder"},
    "lstm_autoencoder": {
        "family": "lstm_autoencoder", "hidden_dim": 8, "num_layers": 2, "bottleneck_dim": 8,
        "embedding_dim": EMBEDDING,
    },
    "resnet_se34l": {"family": "resnet_se34l", "num_filters": 8},
    "ecapa_tdnn": {"family": "ecapa_tdnn", "channels": 32},
    "next_tdnn": {"family": "next_tdnn", "channels": 32, "num_blocks": 1},
    "mlp_mixer_free": {"family": "mlp_mixer_free", "hidden_dim": 32, "num_blocks": 1},
    "campplus": {"family": "campplus", "growth": 4},
}  # fmt: skip


def trial(model: dict[str, object] = STUDENT, **loss: object) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "model": model,
            "loss": {"distillation": "none", **loss},
            "training": {"batch_size": BATCH, "crop_frames": FRAMES},
        }
    )


def make_teacher(embedding_dim: int = EMBEDDING) -> Teacher:
    config = LSTMAutoencoderConfig(
        hidden_dim=12, num_layers=1, bottleneck_dim=8, embedding_dim=embedding_dim
    )
    names = tuple(f"id{number}" for number in range(SPEAKERS))
    centres = SpeakerCentres(
        weight_KD=torch.zeros(SPEAKERS, embedding_dim), scale=30.0, speakers=names
    )
    return Teacher(model=build_model(config), centres=centres)


@pytest.fixture(scope="module")
def undistilled_bytes() -> int:
    return step_memory(trial(), None, num_speakers=SPEAKERS, device=CPU).num_bytes


@pytest.mark.parametrize("device", [META, CPU], ids=str)
def test_a_layer_and_its_relu_hold_what_the_backward_pass_needs(device: torch.device) -> None:
    with LiveBytes(device) as counted:
        layer = nn.Linear(5, 7, device=device)
        weights = FLOAT * (5 * 7 + 7)
        assert counted.live == weights
        x = torch.ones(3, 5, device=device)
        y = layer(x).relu()
        # The product is gone: ReLU keeps its own output.
        assert counted.live == weights + FLOAT * (3 * 5 + 3 * 7)
        assert counted.peak == weights + FLOAT * (3 * 5 + 2 * 3 * 7)
        y.sum().backward()
        del x, y
        assert counted.live == 2 * weights


@pytest.mark.parametrize("device", [META, CPU], ids=str)
def test_views_and_work_in_place_take_no_bytes(device: torch.device) -> None:
    with LiveBytes(device) as counted:
        x = torch.ones(4, 6, device=device)
        y = x.view(-1)[2:].add_(1)
        assert counted.live == FLOAT * 24
        del x
        assert counted.live == FLOAT * 24
        del y
        assert counted.live == 0
        assert counted.peak == FLOAT * 24
        counted.reset_peak()
        assert counted.peak == 0


def test_what_a_student_holds_after_its_pass_is_what_autograd_saved() -> None:
    """A second way to count: the storages that autograd packs for the backward pass."""
    storages: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage._cdata] = storage
        return tensor

    with LiveBytes(META) as counted, META:
        student = build_model(trial().model).train()
        feat_BTF = torch.empty(BATCH, FRAMES, 80)
        before = counted.live
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            output = student(feat_BTF)
        held = counted.live - before
    outside = {p.untyped_storage()._cdata for p in [*student.parameters(), *student.buffers()]}
    saved = sum(s.nbytes() for key, s in storages.items() if key not in outside)
    # No operator saves the embedding itself, but the caller holds it.
    embedding = output.embedding_BD.untyped_storage()
    assert embedding._cdata not in storages
    assert held == saved + embedding.nbytes()


def test_a_step_grows_with_the_batch_only_by_its_activations() -> None:
    config = trial()
    # Large enough that the fullest moment is in the pass, and not in the optimizer.
    one, two, three = (
        live_peaks(config, None, SPEAKERS, (batch_size, 1), META)[0] for batch_size in (32, 64, 96)
    )
    assert three - two == two - one
    weights = FLOAT * (count_parameters(build_model(config.model)) + SPEAKERS * EMBEDDING)
    # Weights and two moments: the old gradients go before the backward pass, at whose beginning
    # most is held, and the new ones come while activations go.
    assert 3 * weights < one - (two - one) < 4 * weights


def test_a_small_batch_is_dominated_by_weights_gradients_and_moments() -> None:
    config = trial(STUDENT | {"hidden_dim": 128, "embedding_dim": 4096})
    weights = FLOAT * (count_parameters(build_model(config.model)) + 4096 * SPEAKERS)
    peak = live_peaks(config, None, SPEAKERS, (2, 1), META)[0]
    # Adam's foreach form makes a copy or two of them while it works.
    assert 4 * weights < peak < 6.2 * weights


def test_validation_holds_the_training_and_its_own_crops() -> None:
    """Not the gradients and activations of a step, and an average is what is validated."""
    config = trial()
    weights = FLOAT * (count_parameters(build_model(config.model)) + SPEAKERS * EMBEDDING)
    feat = FLOAT * FRAMES * 80
    (_, few), (_, many) = (
        live_peaks(config, None, SPEAKERS, (BATCH, num_crops), META) for num_crops in (100, 200)
    )
    # Log-mels as given and normalised, at least.
    assert many - few > 100 * 2 * feat
    assert few - (many - few) > 3 * weights
    memory = step_memory(config, None, num_speakers=SPEAKERS, device=CPU)
    # A tiny batch and crop: validation needs more.
    assert memory.most_bytes == memory.validation_bytes > memory.num_bytes


@pytest.mark.parametrize("model", FAMILIES.values(), ids=FAMILIES)
def test_every_family_is_counted_without_computing_anything(model: dict[str, object]) -> None:
    config = trial(model)
    memory = step_memory(config, None, num_speakers=SPEAKERS, device=CPU)
    assert memory.is_estimated
    weights = FLOAT * count_parameters(build_model(config.model))
    assert memory.num_bytes > 4 * weights


@pytest.fixture
def gpu_layers_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the CPU the forms of layers that a GPU and the meta device get."""
    for module in ("layers", "pooling"):
        monkeypatch.setattr(f"models.{module}.runs_few_kernels", lambda _: True)


@pytest.mark.usefixtures("gpu_layers_on_the_cpu")
@pytest.mark.parametrize("family", ["mlp_mixer", "mlp_mixer_autoencoder"])
def test_the_meta_device_counts_what_the_cpu_does(family: str) -> None:
    config = trial(FAMILIES[family])
    on_meta = live_peaks(config, None, SPEAKERS, (BATCH, 1), META)[0]
    on_cpu = live_peaks(config, None, SPEAKERS, (BATCH, 1), CPU)[0]
    assert on_cpu == pytest.approx(on_meta, rel=0.01)


@pytest.mark.parametrize("distillation", ["mse", "cosine", "rkd", "infonce", "kl", "dkd"])
@pytest.mark.parametrize("stages", ["none", "cosine"])
def test_a_trial_that_distils_also_holds_its_teacher(
    distillation: str, stages: str, undistilled_bytes: int
) -> None:
    teacher = make_teacher()
    weights = FLOAT * sum(p.numel() for p in teacher.model.parameters())
    config = trial(distillation=distillation, stages=stages)
    memory = step_memory(config, teacher, num_speakers=3, device=CPU)
    assert memory.num_bytes > undistilled_bytes + weights


def test_a_measured_step_is_what_was_reserved_beyond_what_was_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peaks = iter((900, 700))
    for name in ("empty_cache", "reset_peak_memory_stats", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 100)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: next(peaks))
    found = _measured(trial(), None, SPEAKERS, Engine(device=CPU))
    assert found == StepMemory(800, False, 600)


def test_the_reconstruction_term_takes_memory_of_its_own() -> None:
    model = FAMILIES["mlp_mixer_autoencoder"]
    without, with_term = (
        step_memory(trial(model, beta=beta), None, num_speakers=SPEAKERS, device=CPU).num_bytes
        for beta in (0.0, 0.2)
    )
    # At least the normalised log-mels that are to be rebuilt.
    assert with_term >= without + FLOAT * BATCH * FRAMES * 80


def test_an_average_takes_the_bytes_of_what_it_averages() -> None:
    plain = trial()
    training = plain.training.model_copy(update={"ema_epochs": 2.0})
    averaged = plain.model_copy(update={"training": training})
    without, with_average = (
        step_memory(each, None, num_speakers=SPEAKERS, device=CPU).num_bytes
        for each in (plain, averaged)
    )
    tensors = build_model(plain.model).state_dict().values()
    student = sum(each.numel() * each.element_size() for each in tensors)
    assert with_average - without == student + FLOAT * SPEAKERS * EMBEDDING


def test_a_teacher_that_is_not_used_takes_nothing_and_stays_where_it_is() -> None:
    teacher = make_teacher()
    unused = step_memory(trial(), teacher, num_speakers=SPEAKERS, device=CPU)
    assert unused == step_memory(trial(), None, num_speakers=SPEAKERS, device=CPU)
    step_memory(trial(distillation="cosine"), teacher, num_speakers=SPEAKERS, device=CPU)
    assert {p.device.type for p in teacher.model.parameters()} == {"cpu"}


def test_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    live_peaks(trial(), None, SPEAKERS, (BATCH, 1), CPU)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.usefixtures("gpu_layers_on_the_cpu")
def test_a_network_that_the_meta_device_cannot_run_is_counted_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def build_on_cpu_only(config: object) -> nn.Module:
        model = build_model(config)
        float(next(model.parameters()).sum())  # reads a value, which a meta tensor does not have
        return model

    config = trial(STUDENT | {"hidden_dim": 64})
    config = config.model_copy(
        update={"training": config.training.model_copy(update={"batch_size": 128})}
    )
    expected = step_memory(config, None, num_speakers=SPEAKERS, device=CPU)
    monkeypatch.setattr(random_input_step, "build_model", build_on_cpu_only)
    memory = step_memory(config, None, num_speakers=SPEAKERS, device=CPU)
    assert memory.is_estimated
    assert memory.num_bytes == pytest.approx(expected.num_bytes, rel=0.05)
    assert memory.validation_bytes == pytest.approx(expected.validation_bytes, rel=0.05)


def test_a_teacher_of_another_size_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"must equal the teacher's \(32\), got 24"):
        step_memory(trial(distillation="mse"), make_teacher(32), num_speakers=SPEAKERS, device=CPU)


@pytest.mark.gpu
@pytest.mark.parametrize("family", ["mlp_mixer", "resnet_se34l", "ecapa_tdnn", "next_tdnn"])
def test_the_estimate_is_within_a_third_of_what_the_gpu_needs(family: str) -> None:
    config = TrialConfig.model_validate(
        {"model": {"family": family}, "loss": {"distillation": "none"}}
    )
    gc.collect()
    measured = step_memory(
        config,
        None,
        num_speakers=1211,
        device=torch.device("cuda"),
        # The estimate is for float32, and so the measurement has to be.
        engine=EngineConfig(precision="float32"),
    )
    estimated = step_memory(config, None, num_speakers=1211, device=CPU)
    assert not measured.is_estimated
    assert estimated.num_bytes == pytest.approx(measured.num_bytes, rel=1 / 3)
