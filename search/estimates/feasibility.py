"""Whether a config is inside a space's limits, decided before it is trained.

Independent of Ray. Only limited quantities are measured: parameters and multiply-accumulates
are counted on PyTorch's meta device, CPU time is measured against the teacher's and cached
between runs, the memory of a training step is estimated: this process must not use a GPU, on which
trials run, and a space must admit the same configs on every machine.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch

from models import ModelConfig, SpeakerModel, build_model, count_parameters
from models.custom_config import CustomModelConfig
from models.shapes_only import META, building_on
from results.journal.goals import Goal, cost_goals
from spaces.files.digest import file_sha256
from spaces.files.errors import ConfigError
from spaces.limits import Limits, Violation
from trainable.checkpoints.loading import LoadedModel, load_speaker_model
from trainable.config.trial_config import TrialConfig
from trainable.cost.latency import LatencyCache, latency_ratio
from trainable.cost.macs import count_macs
from trainable.cost.random_input_step import TeacherOrPlaceholder, step_size_key
from trainable.cost.step_memory import ComputeSettings, StepMemory, step_memory
from trainable.cost.timing import CPU_TIMER, Timer
from trainable.teachers.any_teacher import is_network
from trainable.teachers.network import Teacher, load_teacher

# Frames of 10 ms in an utterance of 2 s, for which multiply-accumulates and CPU time are stated.
NUM_FRAMES = 200
LATENCY_FOLDER = "latency"
LATENCY = "max_cpu_latency_vs_teacher"
# The limit on the same quantity.
LIMIT_OF_GOAL: Mapping[Goal, str] = MappingProxyType(
    {"cpu_latency": LATENCY, "params": "max_params", "macs": "max_macs"}
)
CPU_GOAL = "objective cpu_latency"
DEFAULT_COMPUTING = ComputeSettings()
# Speakers in VoxCeleb1's development part; used if neither caller nor teacher gives a number.
USUAL_NUM_SPEAKERS = 1211


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCost:
    """The value of a limited quantity for a config.

    Attributes:
        value: The value, in the unit of the limit.
        is_estimated: Whether it was estimated, not counted or measured.
    """

    value: float
    is_estimated: bool = False


class LimitChecker:
    """Finds the limits that a config breaks.

    Every cost is measured once for each architecture (the memory of a step once for each set of
    values that it depends on) and cached.

    Args:
        limits: The limits; those that are not set are not checked.
        teacher: Model file or run folder; needed for `max_cpu_latency_vs_teacher`, and for
            `max_gpu_memory` where a config distils.
        cache_dir: Folder that keeps CPU times between runs.
        num_speakers: Training speakers, for the memory of the classifier; by default the
            teacher's number.
        timer: Replaces `CPU_TIMER` in tests.
        computing: How trials are computed; the memory of a step depends on it.

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
        timer: Timer = CPU_TIMER,
        computing: ComputeSettings = DEFAULT_COMPUTING,
    ) -> None:
        self._limits = limits
        self._teacher_path = teacher
        self._latencies = LatencyCache(cache_dir / LATENCY_FOLDER)
        self._num_speakers = num_speakers
        self._timer = timer
        self._computing = computing
        self._known: dict[tuple[object, ...], ModelCost] = {}
        self._loaded: tuple[LoadedModel, Teacher, str] | None = None
        # Cheapest first; violations are reported in this order.
        self._measures: dict[str, Callable[[TrialConfig], ModelCost]] = {
            "max_params": lambda config: ModelCost(value=num_params(config.model)),
            "max_macs": lambda config: ModelCost(value=num_macs(config.model)),
            LATENCY: self._latency,
            "max_gpu_memory": self._gpu_memory,
        }
        if limits.max_cpu_latency_vs_teacher is not None:
            self._teacher(f"limits.{LATENCY}")

    def violations(self, config: TrialConfig) -> tuple[Violation, ...]:
        """Return every limit that the config breaks, in the order of the limits.

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
        """Return the config's value of every limited quantity, by the name of the limit.

        Raises:
            As `violations`.
        """
        return {
            limit: self._once(limit, config)
            for limit in self._measures
            if limit in self._limits.names
        }

    def require_measurable(self, goals: Iterable[Goal]) -> None:
        """Check that every goal can be measured.

        Raises:
            ConfigError: CPU time is one of them, and there is no teacher with a network.
            CheckpointError: It is, and the teacher's file is missing or damaged.
        """
        if "cpu_latency" in goals:
            self._teacher(CPU_GOAL)

    def goal_costs(self, config: TrialConfig, goals: Iterable[Goal]) -> dict[str, float]:
        """Return the config's value of every goal that is a cost, by the name of the goal.

        Raises:
            As `require_measurable`.
        """
        return {
            goal: float(self._once(LIMIT_OF_GOAL[goal], config).value)
            for goal in cost_goals(goals)
        }

    def _once(self, limit: str, config: TrialConfig) -> ModelCost:
        step = _step_key(config) if limit == "max_gpu_memory" else ()
        # The hash of the model only: learning rate and seed change none of the costs.
        key = (limit, config.model_hash(), *step)
        if key not in self._known:
            self._known[key] = self._measures[limit](config)
        return self._known[key]

    def _latency(self, config: TrialConfig) -> ModelCost:
        loaded, _, sha256 = self._teacher(f"limits.{LATENCY}")
        model_hash = config.model_hash()
        ratio = self._latencies.get(model_hash, sha256)
        if ratio is None:
            # Untrained: the time does not depend on the values of the weights.
            student = build_network(config.model, torch.device("cpu")).eval()
            latency = latency_ratio(
                (student, _utterance(config.model)),
                (loaded.model, _utterance(loaded.config.model)),
                self._timer,
            )
            ratio = latency.ratio
            # One that a busy machine disturbed holds for this run alone.
            if latency.is_steady:
                self._latencies.put(model_hash, sha256, ratio)
        return ModelCost(value=ratio)

    def _gpu_memory(self, config: TrialConfig) -> ModelCost:
        teacher: TeacherOrPlaceholder | None = None
        num_speakers = self._num_speakers
        if self._teacher_path is not None and not is_network(self._teacher_path):
            # The embeddings come from a file; the memory of the loss term is negligible.
            config = _without_distillation(config)
        if config.loss.distill_weight > 0:
            loaded, network, _ = self._teacher(
                "limits.max_gpu_memory of a config that distils"
            )
            teacher = self._computing.loaded_teacher(network, config)
            num_speakers = num_speakers or len(loaded.speakers)
        memory: StepMemory = step_memory(
            config,
            teacher,
            num_speakers=num_speakers or USUAL_NUM_SPEAKERS,
            device=torch.device("cpu"),
            engine=self._computing.engine,
        )
        return ModelCost(value=memory.num_bytes, is_estimated=memory.is_estimated)

    def _teacher(self, needed_for: str) -> tuple[LoadedModel, Teacher, str]:
        """Return the loaded model file, the teacher made of it, and the file's hash; read once."""
        if self._teacher_path is None or not is_network(self._teacher_path):
            got = "" if self._teacher_path is None else f", and {self._teacher_path} has none"
            raise ConfigError(
                f"{needed_for} needs a teacher with a network{got}: give --teacher a model "
                f"file or folder, or remove the {'goal' if needed_for == CPU_GOAL else 'limit'}"
            )
        if self._loaded is None:
            loaded = load_speaker_model(self._teacher_path)
            teacher = load_teacher(loaded.file)
            self._loaded = (loaded, teacher, file_sha256(loaded.file))
        return self._loaded


def num_params(config: ModelConfig) -> int:
    """Return the number of trainable parameters; weights are not initialised if avoidable."""
    return count_parameters(_built_on_meta(config))


def num_macs(config: ModelConfig) -> int:
    """Return the multiply-accumulates of embedding an utterance of 2 s, without the front end."""
    shape = (1, NUM_FRAMES, config.num_mels)
    return count_macs(_built_on_meta(config).eval(), shape, "embed")


def build_network(config: ModelConfig, device: torch.device) -> SpeakerModel:
    """Build a network on a device; the state of PyTorch's global generator is kept."""
    with torch.random.fork_rng(devices=[]), building_on(device):
        return build_model(config)


def _built_on_meta(config: ModelConfig) -> SpeakerModel:
    if isinstance(config, CustomModelConfig):  # its check runs it once, which needs real tensors
        return build_network(config, torch.device("cpu"))
    try:
        return build_network(config, META)
    except (NotImplementedError, RuntimeError):  # its constructor reads or computes values
        return build_network(config, torch.device("cpu"))


def _utterance(config: ModelConfig) -> torch.Tensor:
    # Its own generator, so that the state of the global one is kept.
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, NUM_FRAMES, config.num_mels, generator=generator)


def _without_distillation(config: TrialConfig) -> TrialConfig:
    loss = config.loss.model_copy(update={"distillation": "none"})
    return config.model_copy(update={"loss": loss})


def _step_key(config: TrialConfig) -> tuple[object, ...]:
    """Return the settings that the memory of a step depends on, besides the architecture."""
    loss, training = config.loss.canonical(), config.training
    terms = (loss["distillation"], loss.get("stages"), config.loss.beta > 0)
    return (*step_size_key(training), *terms)
