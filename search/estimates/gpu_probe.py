"""`gpu: auto`: the share of a GPU that a trial needs, from one measured training step.

The step runs as a task of Ray that holds a whole GPU, on each node that has one. Where the nodes
differ, the smallest GPU decides the share.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray
import torch
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from models.user_code import allow_code, code_root
from results.journal.history import latest
from results.journal.journal import Journal
from results.records.record import Record
from results.records.search_records import GpuShareMeasured
from search.cluster.resources import Node, num_by_cpu
from search.config.search_config import SearchConfig
from search.config.sections import AUTO
from search.estimates.largest_step import LargestStep, StepCosts, largest_step
from search.loop.setup import config_of_worker
from search.loop.shares import (
    MEMORY_MARGIN,
    USUAL_CONTEXT_BYTES,
    ResourceShare,
    ShareAllocator,
    gpu_share,
)
from spaces.files.errors import ConfigError
from spaces.space import Space
from trainable.config.trial_config import TrialConfig
from trainable.cost.step_memory import ComputeSettings
from trainable.machine.cache_dir import cache_dir
from trainable.machine.memory_share import release_memory

MIB_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedStep:
    """The memory of one training step on one GPU.

    Attributes:
        num_bytes: Peak memory of the step's tensors.
        is_estimated: Whether `num_bytes` was computed: a whole GPU could not hold the step.
        context_bytes: Memory in use outside PyTorch's allocator: context, kernels, other programs.
        total_bytes: The GPU's memory.
        gpu: The GPU's name.
    """

    num_bytes: int
    is_estimated: bool
    context_bytes: int
    total_bytes: int
    gpu: str


MeasureStep = Callable[[Node, TrialConfig], ProbedStep]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuShareProbe:
    """Decides the shares of a search's trials; measures a step where `resources.gpu` is auto.

    Attributes:
        settings: The search's settings, resolved.
        space: The space that is searched.
        teacher: Model file or file of embeddings, None without a teacher.
        num_speakers: Training speakers.
        journal: Receives the probe's result.
        records: Records of the run that is resumed: its probe is not repeated.
        print_line: Prints a line.
    """

    settings: SearchConfig
    space: Space
    teacher: Path | None
    num_speakers: int
    journal: Journal
    records: Sequence[Record]
    print_line: Callable[[str], None]

    def make_allocator(
        self, nodes: Sequence[Node], measure: MeasureStep | None = None
    ) -> ShareAllocator:
        """Return the shares for trials on these nodes.

        Args:
            nodes: The cluster's nodes.
            measure: Replaces the task of Ray in tests.

        Raises:
            ConfigError: `gpu: auto` cannot be decided: PyTorch cannot use a node's GPU, or
                `device: cuda` has none.
        """
        # Measuring the teacher may have left memory of this process on the GPU: the probe, another
        # process, would count it as taken.
        release_memory()
        max_cpus = max((node.num_cpus for node in nodes), default=0.0)
        share, context_bytes, step_bytes = self.settings.resources.gpu, USUAL_CONTEXT_BYTES, 0
        if share == AUTO:
            share, context_bytes, step_bytes = self._auto(nodes, measure or self._measure_by_ray)
        return ShareAllocator(
            base=ResourceShare(num_cpus=self.settings.resources.cpu, num_gpus=float(share)),
            max_cpus=max_cpus,
            context_bytes=context_bytes,
            step_bytes=step_bytes,
        )

    def _auto(self, nodes: Sequence[Node], measure: MeasureStep) -> tuple[float, int, int]:
        """Return the share, and the bytes in it for the process and for the steps."""
        with_gpu = [node for node in nodes if node.num_gpus >= 1]
        if self.settings.device == "cpu" or not with_gpu:
            if self.settings.device == "cuda":
                raise ConfigError(
                    "device cuda with resources.gpu=auto needs a node with a GPU, and Ray has "
                    "none; set device to auto or cpu"
                )
            why = "device is cpu" if self.settings.device == "cpu" else "Ray has no GPU"
            self.print_line(f"resources.gpu=auto: {why}, so trials train on CPUs")
            return 0.0, 0, 0
        known = latest(self.records, GpuShareMeasured)
        if known is None or self._is_of_another_gpu(known):
            known = self._probed(with_gpu, measure)
        self.print_line(describe_gpu_share(known))
        step_bytes = round(self._bounded(known.num_bytes) * MEMORY_MARGIN)
        return known.share, known.context_bytes, step_bytes

    def _is_of_another_gpu(self, probed: GpuShareMeasured) -> bool:
        """Return whether this machine has GPUs, but none of that kind; False on a cluster."""
        if self.settings.address is not None or not torch.cuda.is_available():
            return False
        here = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
        return not any(
            gpu.name == probed.gpu
            # Drivers differ in whether total_memory includes what they reserve for themselves.
            and math.isclose(gpu.total_memory, probed.total_bytes, rel_tol=0.05)
            for gpu in here
        )

    def _probed(self, nodes: Sequence[Node], measure: MeasureStep) -> GpuShareMeasured:
        self.print_line("resources.gpu=auto: looking for the space's largest configuration")
        costly = self._largest()
        steps = [(node, measure(node, costly.config)) for node in nodes]
        shares = [
            gpu_share(
                step_bytes=self._bounded(step.num_bytes),
                context_bytes=step.context_bytes,
                total_bytes=step.total_bytes,
                most_trials=math.ceil(
                    num_by_cpu(self.settings.resources.cpu, node) / int(node.num_gpus)
                ),
            )
            for node, step in steps
        ]
        # One share for all nodes: a trial may be placed on any of them.
        tightest = max(range(len(steps)), key=shares.__getitem__)
        return self.journal.append(
            GpuShareMeasured(
                share=shares[tightest],
                **asdict(steps[tightest][1]),
                params=costly.params,
                config=costly.config.canonical(),
            )
        )

    def _largest(self) -> LargestStep:
        # The search is by estimates on the CPU: only the largest config is measured on a GPU.
        cpu = torch.device("cpu")
        costs = StepCosts(self.teacher, self.num_speakers, cpu, self._computing)

        make_config = partial(config_of_worker, self.settings)
        costly = largest_step(self.space, make_config, costs, cache_dir())
        if costly is None:
            raise ConfigError(
                f"resources.gpu=auto: no configuration of space {self.space.name} was found "
                "inside its limits; give resources.gpu a number, or see `veer space check`"
            )
        return costly

    @property
    def _computing(self) -> ComputeSettings:
        return ComputeSettings(engine=self.settings.engine, targets=self.settings.targets)

    def _bounded(self, num_bytes: int) -> int:
        """Return `num_bytes`, at most the limit of the space: no config of a trial exceeds it."""
        most = self.space.limits.max_gpu_memory
        return num_bytes if most is None else min(num_bytes, int(most))

    def _measure_by_ray(self, node: Node, config: TrialConfig) -> ProbedStep:
        # max_calls=1 ends the process after the call: its CUDA context would keep GPU memory.
        held = ray.remote(num_cpus=0, num_gpus=1, max_calls=1, max_retries=0)(probe_step)
        there = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        task = held.options(scheduling_strategy=there)
        wanted = config.model_dump(mode="json")
        step = (wanted, self.teacher, self.num_speakers, self._computing)
        try:
            found = ray.get(task.remote(*step, code_root()))
        except RayError as error:
            last = str(error).strip().splitlines()[-1]
            raise ConfigError(
                f"resources.gpu=auto: the probe on {node.address} failed: {last}; give "
                "resources.gpu a number"
            ) from error
        if found is None:
            raise ConfigError(
                f"resources.gpu=auto: Ray has {node.num_gpus:g} GPUs on {node.address}, but torch "
                f"{torch.__version__} cannot use CUDA there; install a torch build with CUDA, or "
                "set resources.gpu to 0 to train on CPUs"
            )
        return ProbedStep(**found)


def probe_step(
    config: dict[str, Any],
    teacher: Path | None,
    num_speakers: int,
    computing: ComputeSettings,
    own_code: Path | None,
) -> dict[str, Any] | None:
    """Measure one training step in this process, which has a GPU to itself.

    Args:
        config: A `TrialConfig` as JSON has it.
        teacher: Model file or file of embeddings, None without a teacher.
        num_speakers: Training speakers.
        computing: How trials will be computed.
        own_code: Folder whose modules may be run, None where that was not allowed.

    Returns:
        The fields of a `ProbedStep`, None where PyTorch cannot use CUDA.
    """
    if not torch.cuda.is_available():
        return None
    if own_code is not None:
        allow_code(own_code)
    device = torch.device("cuda")
    costs = StepCosts(teacher, num_speakers, device, computing)
    num_bytes, is_estimated = costs(TrialConfig.model_validate(config))
    # After the step, when CUDA has loaded its kernels: they count in the context.
    free_bytes, total_bytes = torch.cuda.mem_get_info(device)
    return {
        "num_bytes": num_bytes,
        "is_estimated": is_estimated,
        "context_bytes": total_bytes - free_bytes - torch.cuda.memory_reserved(device),
        "total_bytes": total_bytes,
        "gpu": torch.cuda.get_device_name(device),
    }


def describe_gpu_share(probed: GpuShareMeasured) -> str:
    """Return a `gpu_share` record in a line."""
    values = ", ".join(f"{name}={value}" for name, value in probed.params.items())
    how = "is estimated to need" if probed.is_estimated else "needs"
    num_mib, context_mib, total_mib = (
        num_bytes / MIB_BYTES
        for num_bytes in (probed.num_bytes, probed.context_bytes, probed.total_bytes)
    )
    return (
        f"resources.gpu=auto: a step of the largest configuration ({values or 'the only one'}) "
        f"{how} {num_mib:.0f} MiB; with a margin of {MEMORY_MARGIN - 1:.0%} and "
        f"{context_mib:.0f} MiB for each process, a trial gets {probed.share:g} of a GPU "
        f"({probed.gpu}, {total_mib:.0f} MiB)"
    )
