"""The share of a GPU that a trial gets: as set, or by one measured training step (`gpu: auto`).

The step runs in a process that holds a whole GPU, on each node that has one. Where the nodes
differ, the smallest GPU decides the share. A share is raised where trials would otherwise leave a
GPU idle.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from results.journal.history import latest
from results.journal.journal import Journal
from results.records.record import Record
from results.records.search_records import GpuShareMeasured
from search.cluster.resources import Node, num_trials_at_once
from search.cluster.spreading import num_spreading_gpus, spread
from search.config.search_config import SearchConfig
from search.config.sections import AUTO
from search.estimates.gpu_tasks import GpuTasks
from search.estimates.largest_step import LargestStep, StepCosts, largest_step
from search.loop.setup import config_of_worker
from search.loop.shares import (
    MEMORY_MARGIN,
    USUAL_CONTEXT_BYTES,
    ResourceShare,
    ShareAllocator,
    gpu_share,
    num_fitting,
)
from spaces.files.errors import ConfigError
from spaces.space import Space
from trainable.cost.step_memory import ComputeSettings, StepMemory
from trainable.machine.cache_dir import cache_dir
from trainable.machine.engine import require_precision

MIB_BYTES = 2**20


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
        self, nodes: Sequence[Node], tasks: GpuTasks | None = None
    ) -> ShareAllocator:
        """Return the shares for trials on these nodes.

        Args:
            nodes: The cluster's nodes.
            tasks: Replaces the tasks of Ray in tests.

        Raises:
            ConfigError: `gpu: auto` cannot be decided: PyTorch cannot use a node's GPU, or
                `device: cuda` or `precision: float16` has none.
        """
        max_cpus = max((node.num_cpus for node in nodes), default=0.0)
        share, context_bytes, step_bytes = self.settings.resources.gpu, USUAL_CONTEXT_BYTES, 0
        if share == AUTO:
            share, context_bytes, step_bytes = self._auto(nodes, tasks or self._tasks())
        least = ResourceShare(num_cpus=self.settings.resources.cpu, num_gpus=float(share))
        base = self._spread(least, nodes)
        return ShareAllocator(
            base=base,
            max_cpus=max_cpus,
            num_gpus=num_spreading_gpus(base, nodes),
            num_all_gpus=sum(int(node.num_gpus) for node in nodes),
            context_bytes=context_bytes,
            step_bytes=step_bytes,
        )

    def _spread(self, share: ResourceShare, nodes: Sequence[Node]) -> ResourceShare:
        """Return the share with which trials use all GPUs; print it where it is another one."""
        num_gpus = sum(int(node.num_gpus) for node in nodes)
        # What is left of a single GPU may be meant for somebody else.
        if num_gpus == 0 or (num_gpus == 1 and self.settings.resources.gpu != AUTO):
            return share
        settings = self.settings
        most = max(settings.num_trials or 1, settings.follow_ups.max_trials)
        wider = spread(share, nodes, min(most, settings.max_concurrent or most))
        if wider != share:
            at_once = min(most, num_trials_at_once(wider, nodes))
            gpus = "1 GPU" if num_gpus == 1 else f"{num_gpus} GPUs"
            self.print_line(
                f"resources.gpu: a trial gets {wider.num_gpus:g} of a GPU, more than "
                f"{share.num_gpus:g}, as at most {at_once} run at once on {gpus}"
            )
        return wider

    def _auto(self, nodes: Sequence[Node], tasks: GpuTasks) -> tuple[float, int, int]:
        """Return the share, and the bytes in it for the process and for the steps."""
        with_gpu = [node for node in nodes if node.num_gpus >= 1]
        if self.settings.device == "cpu" or not with_gpu:
            if self.settings.device == "cuda":
                raise ConfigError(
                    "device cuda with resources.gpu=auto needs a node with a GPU, and Ray has "
                    "none; set device to auto or cpu"
                )
            why = "device is cpu" if self.settings.device == "cpu" else "Ray has no GPU"
            # Every trial would be refused for it.
            require_precision(self.settings.engine.precision, f"the CPU ({why})")
            self.print_line(f"resources.gpu=auto: {why}, so trials train on CPUs")
            return 0.0, 0, 0
        known = latest(self.records, GpuShareMeasured)
        # A search may be resumed on another machine.
        if known is None or not any(_is_gpu_of(known, tasks.identify(node)) for node in with_gpu):
            known = self._probed(with_gpu, tasks)
        self.print_line(describe_gpu_share(known))
        needed = self._needed(known.num_bytes, known.validation_bytes or 0)
        step_bytes = round(needed * MEMORY_MARGIN)
        return known.share, known.context_bytes, step_bytes

    def _probed(self, nodes: Sequence[Node], tasks: GpuTasks) -> GpuShareMeasured:
        self.print_line("resources.gpu=auto: looking for the space's largest configuration")
        costly = self._largest()
        steps = [tasks.measure(node, costly.config) for node in nodes]
        shares = [
            gpu_share(
                step_bytes=self._needed(step.num_bytes, step.validation_bytes),
                context_bytes=step.context_bytes,
                total_bytes=step.total_bytes,
            )
            for step in steps
        ]
        # One share for all nodes: a trial may be placed on any of them.
        tightest = max(range(len(steps)), key=shares.__getitem__)
        return self.journal.append(
            GpuShareMeasured(
                share=shares[tightest],
                **asdict(steps[tightest]),
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

    def _tasks(self) -> GpuTasks:
        return GpuTasks(
            teacher=self.teacher, num_speakers=self.num_speakers, computing=self._computing
        )

    @property
    def _computing(self) -> ComputeSettings:
        return ComputeSettings(engine=self.settings.engine, targets=self.settings.targets)

    def _needed(self, step_bytes: int, validation_bytes: int) -> int:
        """Return what a trial needs of a GPU for its tensors."""
        # No step of a trial exceeds the limit of the space.
        most = self.space.limits.max_gpu_memory
        step_bytes = step_bytes if most is None else min(step_bytes, int(most))
        is_captured = self.settings.engine.capture
        return StepMemory(step_bytes, False, validation_bytes, is_captured).most_bytes


def _is_gpu_of(probed: GpuShareMeasured, found: tuple[str, int] | None) -> bool:
    """Return whether a GPU, of name and memory, is of the kind that was probed."""
    # Drivers differ in whether the memory includes what they reserve for themselves.
    return (
        found is not None
        and found[0] == probed.gpu
        and math.isclose(found[1], probed.total_bytes, rel_tol=0.05)
    )


def describe_gpu_share(probed: GpuShareMeasured) -> str:
    """Return a `gpu_share` record in a line."""
    values = ", ".join(f"{name}={value}" for name, value in probed.params.items())
    validation = ""
    if (of_validation := probed.validation_bytes or 0) > probed.num_bytes:
        validation = f", and validation {of_validation / MIB_BYTES:.0f} MiB"
    how = "is estimated to need" if probed.is_estimated else "needs"
    num_mib, context_mib, total_mib = (
        num_bytes / MIB_BYTES
        for num_bytes in (probed.num_bytes, probed.context_bytes, probed.total_bytes)
    )
    return (
        f"resources.gpu=auto: a step of the largest configuration ({values or 'the only one'}) "
        f"{how} {num_mib:.0f} MiB{validation}; with a margin of {MEMORY_MARGIN - 1:.0%} and "
        f"{context_mib:.0f} MiB for each process, {_trials_in_words(probed.share)} a GPU "
        f"({probed.gpu}, {total_mib:.0f} MiB)"
    )


def _trials_in_words(share: float) -> str:
    num_trials = num_fitting(1.0, share)
    return "1 trial fits" if num_trials == 1 else f"{num_trials} trials fit"
