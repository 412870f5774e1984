"""What is measured on a GPU before the trials: which it is, and a training step's memory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.user_code import allow_code, code_root
from search.cluster.gpu_task import run_on_gpu
from search.cluster.resources import Node
from search.estimates.largest_step import StepCosts
from spaces.files.errors import ConfigError
from trainable.config.trial_config import TrialConfig
from trainable.cost.step_memory import ComputeSettings
from trainable.machine.gpus import why_none


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedStep:
    """The memory of one training step on one GPU.

    Attributes:
        num_bytes: Peak memory of the step's tensors.
        is_estimated: Whether `num_bytes` was computed: a whole GPU could not hold the step.
        validation_bytes: Peak memory of the tensors in a pass of validation.
        context_bytes: Memory in use outside PyTorch's allocator: context, kernels, other programs.
        total_bytes: The GPU's memory.
        gpu: The GPU's name.
    """

    num_bytes: int
    is_estimated: bool
    validation_bytes: int
    context_bytes: int
    total_bytes: int
    gpu: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuTasks:
    """What a node is asked about its GPU, in a process that has one to itself.

    Attributes:
        teacher: Model file or file of embeddings, None without a teacher.
        num_speakers: Training speakers.
        computing: How trials are computed.
    """

    teacher: Path | None
    num_speakers: int
    computing: ComputeSettings

    def identify(self, node: Node) -> tuple[str, int] | None:
        """Return name and memory in bytes of the node's GPU; None where PyTorch cannot use it."""
        found: tuple[str, int] | None = run_on_gpu(
            identify_gpu, what="resources.gpu=auto: looking at the GPU", node=node
        )
        return found

    def measure(self, node: Node, config: TrialConfig) -> ProbedStep:
        """Measure one training step on the node.

        Raises:
            ConfigError: It failed, or no GPU became free there.
        """
        step = (config.model_dump(mode="json"), self.teacher, self.num_speakers, self.computing)
        try:
            found = run_on_gpu(probe_step, *step, code_root(), what="the probe", node=node)
        except ConfigError as error:
            raise ConfigError(
                f"resources.gpu=auto: {error}; or give resources.gpu a number"
            ) from error
        if isinstance(found, str):
            raise ConfigError(
                f"resources.gpu=auto: Ray has {node.num_gpus:g} GPUs on {node.address}, but "
                f"{found}; or set resources.gpu to 0 to train on CPUs"
            )
        return ProbedStep(**found)


def identify_gpu() -> tuple[str, int] | None:
    """Return name and memory in bytes of this process's GPU, None where PyTorch cannot use it."""
    if not torch.cuda.is_available():
        return None
    return torch.cuda.get_device_name(), torch.cuda.mem_get_info()[1]


def probe_step(
    config: dict[str, Any],
    teacher: Path | None,
    num_speakers: int,
    computing: ComputeSettings,
    own_code: Path | None,
) -> dict[str, Any] | str:
    """Measure one training step in this process, which has a GPU to itself.

    Args:
        config: A `TrialConfig` as JSON has it.
        teacher: Model file or file of embeddings, None without a teacher.
        num_speakers: Training speakers.
        computing: How trials will be computed.
        own_code: Folder whose modules may be run, None where that was not allowed.

    Returns:
        The fields of a `ProbedStep`; why there is none where PyTorch cannot use CUDA.
    """
    if not torch.cuda.is_available():
        return why_none()
    if own_code is not None:
        allow_code(own_code)
    device = torch.device("cuda")
    costs = StepCosts(teacher, num_speakers, device, computing)
    memory = costs(TrialConfig.model_validate(config))
    # After the step, when CUDA has loaded its kernels: they count in the context.
    free_bytes, total_bytes = torch.cuda.mem_get_info(device)
    return {
        "num_bytes": memory.num_bytes,
        "is_estimated": memory.is_estimated,
        "validation_bytes": memory.validation_bytes,
        "context_bytes": total_bytes - free_bytes - torch.cuda.memory_reserved(device),
        "total_bytes": total_bytes,
        "gpu": torch.cuda.get_device_name(device),
    }
