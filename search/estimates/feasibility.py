"""Whether a config stays inside a space's limits, found out before it is trained.

Knows no Ray. What is limited is measured, and nothing else: parameters and multiply-accumulates
are counted on PyTorch's meta device, CPU time is measured against the teacher's and remembered
from run to run, the memory of a training step is measured on a GPU or estimated without one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from models import ModelConfig, SpeakerModel, build_model, count_parameters
from models.custom_config import CustomModelConfig
from spaces.files.digest import file_sha256
from spaces.files.errors import ConfigError
from spaces.limits import Limits, Violation
from trainable.checkpoints.loading import LoadedModel, load_speaker_model
from trainable.config.trial_config import TrialConfig
from trainable.cost.latency import LatencyCache, Timer, latency_ratio, time_interleaved
from trainable.cost.macs import count_macs
from trainable.cost.random_input_step import TeacherOrPlaceholder
from trainable.cost.step_memory import ComputeSettings, StepMemory, step_memory
from trainable.teachers.any_teacher import is_plugin, is_stored
from trainable.teachers.network import Teacher, load_teacher

# An utterance of 2 s, 10 ms a frame: what multiply-accumulates and CPU time are stated for.
NUM_FRAMES = 200
LATENCY_FOLDER = "latency"
USUAL = ComputeSettings()
# VoxCeleb1's development part; stands in where neither caller nor teacher tells the number.
USUAL_NUM_SPEAKERS = 1211


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCost:
    """What a config has of something that is limited.

    Attributes:
        value: In the limit's unit.
        is_estimated: Whether it was estimated, and not counted or measured.
    """

    value: float
    is_estimated: bool = False


class LimitChecker:
    """Says which limits a config breaks.

    Every cost is measured once an architecture (the memory of a step once for all that it depends
    on) and kept.

    Args:
        limits: Those that are set are checked.
        teacher: Model file or run folder; needed for `max_cpu_latency_vs_teacher`, and for
            `max_gpu_memory` where a config distils.
        cache_dir: Where CPU times are remembered from run to run.
        num_speakers: Training speakers, for the memory of the classifier; the teacher's number
            where it is not given.
        timer: Stands in for `time_interleaved` in tests.
        computing: How trials will be computed, which the memory of a step depends on.

    Raises:
        ConfigError: CPU time is limited, and there is no teacher or none with a network.
        CheckpointError: CPU time is limited, and the teacher's file is missing or damaged.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        teacher: Path | None,
        cache_dir: Path,
        num_speakers: int | None = None,
        timer: Timer = time_interleaved,
        computing: ComputeSettings = USUAL,
    ) -> None:
        self._limits = limits
        self._teacher_path = teacher
        self._latencies = LatencyCache(cache_dir / LATENCY_FOLDER)
        self._num_speakers = num_speakers
        self._timer = timer
        self._computing = computing
        self._known: dict[tuple[object, ...], ModelCost] = {}
        self._loaded: tuple[LoadedModel, Teacher, str] | None = None
        # Cheapest first.
        self._measures: dict[str, Callable[[TrialConfig], ModelCost]] = {
            "max_params": lambda config: ModelCost(value=num_params(config.model)),
            "max_macs": lambda config: ModelCost(value=num_macs(config.model)),
            "max_cpu_latency_vs_teacher": self._latency,
            "max_gpu_memory": self._gpu_memory,
        }
        if limits.max_cpu_latency_vs_teacher is not None:
            self._teacher("max_cpu_latency_vs_teacher")

    def violations(self, config: TrialConfig) -> tuple[Violation, ...]:
        """Return every limit that the config breaks, in the order of the limits; none if it is feasible.

        Raises:
            ConfigError: The config distils, memory is limited, and there is no teacher.
            CheckpointError: The teacher's file is damaged.
            TrainingError: The config cannot be trained with this teacher.
        """
        return tuple(
            Violation(
                limit=limit, value=cost.value, allowed=allowed, is_estimated=cost.is_estimated
            )
            for limit, cost in self.costs(config).items()
            if cost.value > (allowed := float(getattr(self._limits, limit)))
        )

    def costs(self, config: TrialConfig) -> dict[str, ModelCost]:
        """Return what the config has of everything that is limited, by the limit's name.

        Raises:
            As `violations`.
        """
        return {
            limit: self._once(limit, config)
            for limit in self._measures
            if limit in self._limits.names
        }

    def _once(self, limit: str, config: TrialConfig) -> ModelCost:
        step = _step_key(config) if limit == "max_gpu_memory" else ()
        key = (limit, config.model_hash(), *step)
        if key not in self._known:
            self._known[key] = self._measures[limit](config)
        return self._known[key]

    def _latency(self, config: TrialConfig) -> ModelCost:
        loaded, _, sha256 = self._teacher("max_cpu_latency_vs_teacher")
        model_hash = config.model_hash()
        ratio = self._latencies.get(model_hash, sha256)
        if ratio is None:
            student = build_network(config.model, torch.device("cpu")).eval()
            ratio = latency_ratio(
                (student, _utterance(config.model)),
                (loaded.model, _utterance(loaded.config.model)),
                self._timer,
            )
            self._latencies.keep(model_hash, sha256, ratio)
        return ModelCost(value=ratio)

    def _gpu_memory(self, config: TrialConfig) -> ModelCost:
        teacher: AskedTeacher | None = None
        num_speakers = self._num_speakers
        if self._teacher_path is not None and _has_no_network(self._teacher_path):
            # Its embeddings come from a file; what the term of the loss takes is next to nothing.
            config = _without_distillation(config)
        if config.loss.distill_weight > 0:
            loaded, network, _ = self._teacher("max_gpu_memory of a config that distils")
            teacher = self._computing.loaded_teacher(network, config)
            num_speakers = num_speakers or len(loaded.speakers)
        memory: StepMemory = step_memory(
            config,
            teacher,
            num_speakers=num_speakers or USUAL_NUM_SPEAKERS,
            device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
            engine=self._computing.engine,
        )
        return ModelCost(value=memory.num_bytes, is_estimated=memory.is_estimated)

    def _teacher(self, what: str) -> tuple[LoadedModel, Teacher, str]:
        """Return the teacher as file, as teacher, and its hash; read once."""
        if self._teacher_path is None or _has_no_network(self._teacher_path):
            got = "" if self._teacher_path is None else f", and {self._teacher_path} has none"
            raise ConfigError(
                f"limits.{what} needs a teacher with a network{got}: give --teacher a model file "
                "or folder, or remove the limit"
            )
        if self._loaded is None:
            loaded = load_speaker_model(self._teacher_path)
            teacher = load_teacher(loaded.file)
            self._loaded = (loaded, teacher, file_sha256(loaded.file))
        return self._loaded


def num_params(config: ModelConfig) -> int:
    """Return trainable parameters of a network, without drawing its weights where that can be done."""
    return count_parameters(_built_on_meta(config))


def num_macs(config: ModelConfig) -> int:
    """Multiply-accumulates of embedding an utterance of 2 s, without the front end."""
    shape = (1, NUM_FRAMES, config.num_mels)
    return count_macs(_built_on_meta(config).eval(), shape, "embed")


def build_network(config: ModelConfig, device: torch.device) -> SpeakerModel:
    """Return a network on a device; PyTorch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]), device:
        return build_model(config)


def _built_on_meta(config: ModelConfig) -> SpeakerModel:
    if isinstance(config, CustomModelConfig):  # which is tried out when it is built
        return build_network(config, torch.device("cpu"))
    try:
        return build_network(config, torch.device("meta"))
    except (NotImplementedError, RuntimeError):  # its constructor reads or computes values
        return build_network(config, torch.device("cpu"))


def _utterance(config: ModelConfig) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, NUM_FRAMES, config.num_mels, generator=generator)


def _has_no_network(teacher: Path) -> bool:
    return is_stored(teacher) or is_plugin(teacher)


def _without_distillation(config: TrialConfig) -> TrialConfig:
    loss = config.loss.model_copy(update={"distillation": "none"})
    return config.model_copy(update={"loss": loss})


def _step_key(config: TrialConfig) -> tuple[object, ...]:
    """Return what the memory of a step depends on beside the architecture."""
    loss, training = config.loss.canonical(), config.training
    terms = (loss["distillation"], loss.get("stages"), config.loss.beta > 0)
    return (training.batch_size, training.crop_frames, *terms)
