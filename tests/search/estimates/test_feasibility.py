"""What a config costs, which limits it breaks, and what is not measured twice."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from models import MLPMixerConfig, build_model, count_parameters
from results.journal.goals import Goal
from search.estimates import feasibility as module
from search.estimates.feasibility import LimitChecker, num_macs, num_params
from spaces.files.errors import CheckpointError, ConfigError
from spaces.limits import Limits
from tests.worlds.made_up_gpu import forbid_cuda_here
from tests.worlds.tiny_models import MIXER
from trainable.checkpoints.loading import load_speaker_model
from trainable.config.trial_config import TrialConfig
from trainable.cost.step_memory import ComputeSettings, StepMemory
from trainable.features.crop_bank import TargetsConfig

STUDENT = MIXER | {"num_frames": 80, "embedding_dim": 32}


class Clock:
    """Stands in for the timing: the student takes `ratio` times as long as the teacher.

    Attributes:
        num_ratios: That were asked for.
    """

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio
        self.num_ratios = 0

    def __call__(
        self,
        calls: Mapping[str, Callable[[], object]],
        *,
        rounds: int,
        warmup_rounds: int,
        seed: int,
    ) -> dict[str, list[float]]:
        del seed
        for call in calls.values():
            call()
        if warmup_rounds:  # which network is faster; here, neither
            return {"student": [1.0] * rounds, "teacher": [1.0] * rounds}
        self.num_ratios += 1
        return {"student": [self.ratio] * rounds, "teacher": [1.0] * rounds}


@pytest.fixture
def teacher(tiny_world: Path) -> Path:
    return tiny_world / "teacher"


def trial(
    model: Mapping[str, Any] = STUDENT, *, batch_size: int = 8, **loss: object
) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "model": model,
            "loss": {"distillation": "none", **loss},
            "training": {"batch_size": batch_size, "crop_frames": model.get("num_frames", 200)},
        }
    )


def checker(tmp_path: Path, *, teacher: Path | None = None, **limits: object) -> LimitChecker:
    return LimitChecker(Limits.model_validate(limits), teacher=teacher, cache_dir=tmp_path)


def test_the_notes_five_million_are_above_seven() -> None:
    config = MLPMixerConfig(hidden_dim=256, num_blocks=8, expansion_factor=4)
    token = 200 * 4 * 50 + 200 * 4 + 200 * 4 * 50 + 200  # up and down, in 4 groups
    channel = 256 * 2048 + 2048 + 1024 * 256 + 256
    block = token + channel + 2 * 2 * 256 + 4 * 256  # two norms, ID convolution
    ends = (3 * 80 * 256 + 256) + 2 * 256 + 2 * 256  # projection and norms
    pooling = (256 * 128 + 128) + (128 * 256 + 256)
    embedding = 512 * 512 + 512 + 2 * 512
    assert num_params(config) == 8 * block + ends + pooling + embedding == 7_366_592


def test_parameters_are_those_of_the_built_network_and_no_weight_is_drawn() -> None:
    before = torch.random.get_rng_state()
    counted = num_params(MLPMixerConfig())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert counted == count_parameters(build_model(MLPMixerConfig()))


def test_a_network_that_reads_its_weights_is_built_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reads(config: MLPMixerConfig) -> torch.nn.Module:
        model = build_model(config)
        float(next(model.parameters()).sum())
        return model

    monkeypatch.setattr(module, "build_model", reads)
    expected = count_parameters(build_model(MLPMixerConfig()))
    before = torch.random.get_rng_state()
    assert num_params(MLPMixerConfig()) == expected
    assert torch.equal(torch.random.get_rng_state(), before)


def test_work_is_stated_for_two_seconds_whatever_the_window() -> None:
    config = MLPMixerConfig(hidden_dim=16, num_blocks=1, num_frames=80, embedding_dim=32)
    token = 2 * 3 * 80 * 20 * 16
    channel = 80 * (16 * 96 + 48 * 16)
    window = 80 * 3 * 80 * 16 + token + channel + 80 * 2 * 16 * 128 + 32 * 32
    assert num_macs(config) == 3 * window  # 200 frames are three windows of 80


def test_a_config_inside_its_limits_breaks_none(tmp_path: Path) -> None:
    num = num_params(trial().model)
    assert checker(tmp_path, max_params=num).violations(trial()) == ()
    (violation,) = checker(tmp_path, max_params=num - 1).violations(trial())
    assert (violation.value, violation.allowed) == (num, num - 1)


def test_without_limits_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise AssertionError("measured")

    for name in ("build_model", "step_memory", "load_speaker_model"):
        monkeypatch.setattr(module, name, fails)
    assert checker(tmp_path, teacher=tmp_path).violations(trial()) == ()


def test_every_broken_limit_is_reported_cheapest_first(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_cuda_here(monkeypatch)  # trials run on the GPU
    limits = Limits(
        max_params=1, max_macs=1, max_cpu_latency_vs_teacher=0.5, max_gpu_memory=1_000_000
    )
    clock = Clock(0.75)
    broken = LimitChecker(limits, teacher=teacher, cache_dir=tmp_path, timer=clock).violations(
        trial()
    )
    assert [each.limit for each in broken] == list(limits.names)
    assert broken[2].value == 0.75
    assert [each.is_estimated for each in broken] == [False, False, False, True]


def test_an_architecture_is_timed_once_and_remembered(teacher: Path, tmp_path: Path) -> None:
    limits = Limits(max_cpu_latency_vs_teacher=0.5)
    first, second = Clock(0.75), Clock(0.1)
    one = LimitChecker(limits, teacher=teacher, cache_dir=tmp_path, timer=first)
    same = trial(batch_size=4, margin=0.2)
    assert one.violations(trial()) == one.violations(same)
    assert first.num_ratios == 1
    later = LimitChecker(limits, teacher=teacher, cache_dir=tmp_path, timer=second)
    assert later.violations(trial())[0].value == 0.75
    assert second.num_ratios == 0
    assert later.violations(trial({**STUDENT, "num_blocks": 2})) == ()
    assert second.num_ratios == 1


def test_real_timing_finds_the_large_student_slower(teacher: Path, tmp_path: Path) -> None:
    one = checker(tmp_path, teacher=teacher, max_cpu_latency_vs_teacher=1e-6)
    small, large = (
        one.violations(trial({**STUDENT, "hidden_dim": width}))[0].value for width in (8, 256)
    )
    assert 0 < small < large


def test_memory_is_measured_once_for_all_that_it_depends_on(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, str, int]] = []

    def measure(config: TrialConfig, teacher: object, *, num_speakers: int, **_: object) -> Any:
        asked.append((config.training.batch_size, config.loss.distillation, num_speakers))
        assert (teacher is None) == (config.loss.distillation == "none")
        return StepMemory(100, True)

    monkeypatch.setattr(module, "step_memory", measure)
    one = checker(tmp_path, teacher=teacher, max_gpu_memory=50)
    (violation,) = one.violations(trial())
    assert violation.is_estimated
    for config in (
        trial(margin=0.3),
        trial(batch_size=16),
        trial(distillation="cosine"),
        trial(distillation="cosine", alpha=0.5),
        trial(distillation="cosine", alpha=0.0),
    ):
        one.violations(config)
    # The teacher knows six speakers.
    assert asked == [(8, "none", 1211), (16, "none", 1211), (8, "cosine", 6)]


def test_costs_that_are_goals_are_measured_once_without_a_limit(
    teacher: Path, tmp_path: Path
) -> None:
    clock = Clock(0.75)
    one = LimitChecker(Limits(), teacher=teacher, cache_dir=tmp_path, timer=clock)
    one.require_measurable(("veer", "cpu_latency"))
    goals: tuple[Goal, ...] = ("cpu_latency", "veer", "params", "macs")
    costs = one.goal_costs(trial(), goals)
    model = trial().model
    assert costs == {"cpu_latency": 0.75, "params": num_params(model), "macs": num_macs(model)}
    assert one.goal_costs(trial(batch_size=4), goals) == costs
    assert clock.num_ratios == 1
    assert one.goal_costs(trial(), ("veer",)) == {}


def test_cpu_latency_as_a_goal_needs_a_teacher(tmp_path: Path) -> None:
    one = checker(tmp_path)
    one.require_measurable(("veer", "params", "macs"))
    with pytest.raises(ConfigError, match=r"objective cpu_latency needs a teacher.*the goal$"):
        one.require_measurable(("veer", "cpu_latency"))


@pytest.mark.parametrize("distillation", ["cosine", "kl"])
def test_a_network_counts_only_where_trials_ask_it(
    teacher: Path, tmp_path: Path, distillation: str
) -> None:
    stored, online = (
        LimitChecker(
            Limits(max_gpu_memory=1),
            teacher=teacher,
            cache_dir=tmp_path,
            computing=ComputeSettings(targets=TargetsConfig(mode=mode)),
        ).costs(trial(distillation=distillation))["max_gpu_memory"]
        for mode in ("stored", "online")
    )
    assert online.value - stored.value > 4 * num_params(load_speaker_model(teacher).config.model)


def test_the_number_of_speakers_can_be_passed(tmp_path: Path) -> None:
    def num_bytes(num_speakers: int) -> float:
        one = LimitChecker(
            Limits(max_gpu_memory=1),
            teacher=None,
            cache_dir=tmp_path,
            num_speakers=num_speakers,
        )
        return one.costs(trial())["max_gpu_memory"].value

    # At least centres, gradients and two moments of 32 float32 each.
    assert num_bytes(10_000) - num_bytes(10) > 9_990 * 32 * 4 * 3


@pytest.mark.parametrize(
    ("limits", "loss", "message"),
    [
        (
            {"max_cpu_latency_vs_teacher": 0.5},
            {},
            "limits.max_cpu_latency_vs_teacher needs a teacher with a network: give --teacher",
        ),
        (
            {"max_gpu_memory": "1GiB"},
            {"distillation": "mse"},
            "limits.max_gpu_memory of a config that distils needs a teacher with a network",
        ),
    ],
)
def test_a_limit_that_needs_a_teacher_is_an_error_without_one(
    tmp_path: Path, limits: dict[str, object], loss: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        checker(tmp_path, **limits).violations(trial(**loss))


@pytest.mark.parametrize("name", ["embeddings.parquet", "plugin.yaml"])
def test_a_teacher_without_a_network_is_named(tmp_path: Path, name: str) -> None:
    message = rf"vs_teacher needs a teacher with a network, and .*{name} has none: give --teacher"
    with pytest.raises(ConfigError, match=message):
        checker(tmp_path, teacher=tmp_path / name, max_cpu_latency_vs_teacher=0.5)


def test_a_damaged_teacher_is_named(tmp_path: Path) -> None:
    (tmp_path / "teacher.model").write_bytes(b"PK\x03\x04half")
    with pytest.raises(CheckpointError, match=r"teacher\.model: not a readable model file"):
        checker(tmp_path, teacher=tmp_path / "teacher.model", max_cpu_latency_vs_teacher=0.5)


def test_a_teacher_of_stored_embeddings_takes_no_memory(tmp_path: Path) -> None:
    stored = checker(tmp_path, teacher=tmp_path / "t.parquet", max_gpu_memory=1)
    none = checker(tmp_path, max_gpu_memory=1)
    assert stored.violations(trial(distillation="cosine")) == none.violations(trial())
