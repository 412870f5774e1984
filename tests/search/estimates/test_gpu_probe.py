"""`gpu: auto`: what is measured where, decided, written down and printed; with made-up GPUs."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

from results.journal.journal import Journal, read_journal
from search.cluster.connection import connected
from search.cluster.resources import Node, cluster_nodes
from search.estimates import gpu_probe as module
from search.estimates.gpu_probe import GpuShareProbe
from search.estimates.gpu_tasks import ProbedStep, probe_step
from search.estimates.largest_step import LargestStep, largest_step
from search.loop.shares import USUAL_CONTEXT_BYTES, ResourceShare
from spaces.files.errors import ConfigError
from spaces.limits import Limits
from spaces.space import Space
from trainable.config.reading import read_trial_space
from trainable.config.trial_config import TrialConfig
from trainable.cost.step_memory import ComputeSettings

MIB = 2**20
BIG = Node(address="10.0.0.1", num_cpus=64, num_gpus=1, node_id="big")
SMALL = Node(address="10.0.0.2", num_cpus=64, num_gpus=1, node_id="small")
CPU_NODE = Node(address="10.0.0.3", num_cpus=128, num_gpus=0)
GPU_MIB = {"big": 80_000, "small": 8_000}
STEP_MIB, CONTEXT_MIB = 1200, 500


class Seen:
    """Tasks on GPUs that remember what they were asked."""

    def __init__(self, validation_mib: int = 400) -> None:
        self.asked: list[tuple[str, TrialConfig]] = []
        self.validation_mib = validation_mib

    def identify(self, node: Node) -> tuple[str, int] | None:
        # As another driver counts it.
        return f"GPU {node.node_id}", GPU_MIB[node.node_id] * MIB * 101 // 100

    def measure(self, node: Node, config: TrialConfig) -> ProbedStep:
        self.asked.append((node.address, config))
        return ProbedStep(
            num_bytes=STEP_MIB * MIB,
            is_estimated=False,
            validation_bytes=self.validation_mib * MIB,
            context_bytes=CONTEXT_MIB * MIB,
            total_bytes=GPU_MIB[node.node_id] * MIB,
            gpu=f"GPU {node.node_id}",
        )


@pytest.fixture(scope="module")
def walks() -> dict[Limits, LargestStep | None]:
    """The largest steps of the tiny space that were looked for, by limits: it takes seconds."""
    return {}


class Never(Seen):
    """Tasks that must not measure."""

    def measure(self, node: Node, config: TrialConfig) -> ProbedStep:
        raise AssertionError(f"probed {config.config_hash()} on {node.address}")


@pytest.fixture
def make_gpu_probe(
    make_settings: Callable[..., Any],
    walks: dict[Limits, LargestStep | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., tuple[GpuShareProbe, list[str]]]]:
    """A function that returns a probe with a journal, and the lines that it prints."""

    journals = ExitStack()

    def walk_once(space: Space, *rest: Any) -> LargestStep | None:
        if space.limits not in walks:
            walks[space.limits] = largest_step(space, *rest)
        return walks[space.limits]

    monkeypatch.setattr(module, "largest_step", walk_once)

    def make(
        max_gpu_memory: int | None = None, **settings: Any
    ) -> tuple[GpuShareProbe, list[str]]:
        many = {"num_trials": 99, "max_concurrent": None}
        resolved = make_settings(**(many | {"resources__gpu": "auto"} | settings))
        space = read_trial_space(resolved.space)
        if max_gpu_memory is not None:
            object.__setattr__(space, "limits", Limits(max_gpu_memory=max_gpu_memory))
        path, printed = tmp_path / "j", []
        records = read_journal(path) if path.exists() else ()
        gpu_probe = GpuShareProbe(
            settings=resolved,
            space=space,
            teacher=resolved.teacher / "model" / "model000000002.model",
            num_speakers=6,
            journal=journals.enter_context(Journal(path)),
            records=records,
            print_line=printed.append,
        )
        return gpu_probe, printed

    with journals:
        yield make


def test_share_is_what_the_smallest_gpu_asks_for(make_gpu_probe, tmp_path) -> None:
    gpu_probe, printed = make_gpu_probe()
    probe = Seen()
    allocator = gpu_probe.make_allocator([BIG, CPU_NODE, SMALL], probe)
    # 1200 x 1.25 + 500 = 2000 MiB: 4 in 8,000 and 40 in 80,000.
    assert allocator.base == ResourceShare(num_cpus=1, num_gpus=0.25)
    assert allocator.num_gpus == 2
    assert allocator.context_bytes == CONTEXT_MIB * MIB
    assert allocator.step_bytes == 1500 * MIB
    assert allocator.max_cpus == 128
    assert [address for address, _ in probe.asked] == ["10.0.0.1", "10.0.0.2"]
    [event] = read_journal(tmp_path / "j")
    assert (event.event, event.share, event.gpu) == ("gpu_share", 0.25, "GPU small")
    assert event.num_bytes == STEP_MIB * MIB
    assert TrialConfig.model_validate(event.config) == probe.asked[0][1]
    assert printed[-1].startswith("resources.gpu=auto: a step of the largest configuration (")
    assert "needs 1200 MiB; with a margin of 25%" in printed[-1]
    assert "4 trials fit a GPU (GPU small, 8000 MiB)" in printed[-1]


def test_share_holds_a_validation_that_needs_more_than_a_step(make_gpu_probe) -> None:
    gpu_probe, printed = make_gpu_probe(max_gpu_memory=400 * MIB)
    allocator = gpu_probe.make_allocator([SMALL], Seen(validation_mib=2800))
    # 2800 x 1.25 + 500 = 4000 MiB; the limit is one of steps.
    assert allocator.base.num_gpus == 0.5
    assert allocator.step_bytes == 3500 * MIB
    assert "needs 1200 MiB, and validation 2800 MiB; with a margin" in printed[-1]


def test_the_config_that_is_probed_is_the_largest(make_gpu_probe) -> None:
    gpu_probe, _ = make_gpu_probe()
    probe = Seen()
    gpu_probe.make_allocator([BIG], probe)
    [(_, config)] = probe.asked
    assert config.model.hidden_dim == 16  # of 8 and 16
    assert config.loss.distillation != "none"  # the teacher takes memory


@pytest.mark.parametrize(
    ("num_cpus", "num_gpus", "cpu", "share"),
    [
        (8, 1, 1, 1 / 8),  # 40 fit the GPU, 8 the CPUs
        (8, 1, 4, 1 / 2),
        (9, 2, 1, 1 / 5),  # nine at once: five on one GPU and four on the other
        (1, 1, 1, 1),
        (256, 1, 1, 1 / 40),
    ],
)
def test_no_more_trials_share_a_gpu_than_its_cpus_carry(
    make_gpu_probe, num_cpus, num_gpus, cpu, share
) -> None:
    node = Node(address="a", num_cpus=num_cpus, num_gpus=num_gpus, node_id="big")
    gpu_probe, printed = make_gpu_probe(resources__cpu=cpu)
    assert gpu_probe.make_allocator([node], Seen()).base.num_gpus == pytest.approx(share, abs=1e-4)
    assert ("more than 0.025, as at most" in printed[-1]) is (share > 1 / 40)


@pytest.mark.parametrize(
    ("settings", "num_gpus", "share"),
    [
        ({"cpu": 4, "gpu": 0.25}, 2, 0.5),
        ({"cpu": 1, "gpu": 0.25, "max_concurrent": 4}, 2, 0.5),
        ({"cpu": 1, "gpu": "auto", "max_concurrent": 4}, 2, 0.5),
        ({"cpu": 1, "gpu": "auto", "num_trials": 2}, 2, 1),
        ({"cpu": 1, "gpu": 0.25, "num_trials": 3, "repeat": 1, "finalists": 2}, 2, 0.5),
        # The rest of a single GPU may be meant for somebody else.
        ({"cpu": 4, "gpu": 0.125}, 1, 0.125),
        ({"cpu": 4, "gpu": "auto"}, 1, 0.25),
        ({"cpu": 1, "gpu": 0.125}, 2, 0.125),
        ({"cpu": 1, "gpu": 0}, 2, 0),
    ],
)
def test_share_is_raised_so_that_no_gpu_idles(make_gpu_probe, settings, num_gpus, share) -> None:
    node = Node(address="a", num_cpus=16, num_gpus=num_gpus, node_id="big")
    given = {f"resources__{name}": settings.pop(name) for name in ("cpu", "gpu")}
    gpu_probe, printed = make_gpu_probe(**(settings | given))
    allocator = gpu_probe.make_allocator([node], Seen())
    assert allocator.base.num_gpus == share
    assert allocator.num_gpus == (2 if num_gpus == 2 and 0 < share < 1 else 0)
    if given == {"resources__cpu": 4, "resources__gpu": 0.25}:
        assert printed == [
            "resources.gpu: a trial gets 0.5 of a GPU, more than 0.25, as at most 4 run at once "
            "on 2 GPUs"
        ]


@pytest.mark.parametrize(("capture", "mib"), [(False, 400), (True, 400 + 300)])
def test_a_limit_on_memory_bounds_what_a_trial_can_need(make_gpu_probe, capture, mib) -> None:
    gpu_probe, _ = make_gpu_probe(max_gpu_memory=400 * MIB, engine={"capture": capture})
    allocator = gpu_probe.make_allocator([SMALL], Seen(validation_mib=300))
    # (400 x 1.25 + 500) / 8000 MiB; a recorded step keeps its memory during validation.
    assert allocator.step_bytes == mib * 1.25 * MIB
    assert capture or allocator.base.num_gpus == 0.125


def test_resumed_search_keeps_its_share_where_such_a_gpu_is_left(make_gpu_probe, tmp_path) -> None:
    first, _ = make_gpu_probe()
    allocator = first.make_allocator([SMALL], Seen())
    again, printed = make_gpu_probe()
    assert again.make_allocator([SMALL], Never()) == allocator
    assert "4 trials fit a GPU (GPU small, 8000 MiB)" in printed[-1]
    # One of several is enough: a cluster's smallest GPU decided.
    wider, _ = make_gpu_probe(address="10.0.0.1:6379")
    assert wider.make_allocator([BIG, SMALL], Never()).base == allocator.base
    assert len(read_journal(tmp_path / "j")) == 1


@pytest.mark.parametrize(
    ("identified", "is_another"),
    [
        (("GPU small", 8_000 * MIB), False),
        (("GPU small", 16_000 * MIB), True),
        (("GPU big", 8_000 * MIB), True),
        (None, True),  # PyTorch cannot use it: the probe has the message
    ],
)
def test_resumed_search_probes_again_on_another_gpu(
    make_gpu_probe, tmp_path, monkeypatch, identified, is_another
) -> None:
    first, _ = make_gpu_probe()
    first.make_allocator([SMALL], Seen())
    monkeypatch.setattr(Seen, "identify", lambda *_: identified)
    again, _ = make_gpu_probe()
    tasks = Seen()
    again.make_allocator([BIG], tasks)
    assert len(tasks.asked) == is_another
    assert len(read_journal(tmp_path / "j")) == 1 + is_another


@pytest.mark.parametrize(
    ("settings", "nodes", "why"),
    [
        ({}, [CPU_NODE], "Ray has no GPU"),
        ({"device": "cpu"}, [BIG], "device is cpu"),
    ],
)
def test_without_a_gpu_trials_train_on_cpus_and_that_is_printed(
    make_gpu_probe, tmp_path, settings, nodes, why
) -> None:
    gpu_probe, printed = make_gpu_probe(**settings)
    assert gpu_probe.make_allocator(nodes, Never()).base == ResourceShare(num_cpus=1, num_gpus=0)
    assert printed == [f"resources.gpu=auto: {why}, so trials train on CPUs"]
    assert read_journal(tmp_path / "j") == ()


def test_float16_is_refused_at_once_where_trials_train_on_cpus(make_gpu_probe) -> None:
    gpu_probe, _ = make_gpu_probe(engine__precision="float16")
    message = r"precision must be .* without a GPU, got float16 on the CPU \(Ray has no GPU\)"
    with pytest.raises(ConfigError, match=message):
        gpu_probe.make_allocator([CPU_NODE], Never())


def test_a_gpu_that_was_asked_for_and_is_not_there_is_an_error(make_gpu_probe) -> None:
    gpu_probe, _ = make_gpu_probe(device="cuda")
    with pytest.raises(ConfigError, match=r"device cuda with resources.gpu=auto .* has none"):
        gpu_probe.make_allocator([CPU_NODE], Never())


def test_a_share_that_the_user_gives_is_not_probed(make_gpu_probe) -> None:
    gpu_probe, printed = make_gpu_probe(resources__gpu=0.5)
    allocator = gpu_probe.make_allocator([BIG], Never())
    assert allocator.base == ResourceShare(num_cpus=1, num_gpus=0.5)
    assert (allocator.context_bytes, allocator.step_bytes) == (USUAL_CONTEXT_BYTES, 0)
    assert printed == []


@pytest.mark.cluster
@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a GPU that is only declared")
@pytest.mark.usefixtures("ray_here")
def test_a_declared_gpu_that_torch_cannot_use_is_an_error(make_gpu_probe) -> None:
    """The probe runs as a task of Ray that holds a whole GPU."""
    gpu_probe, _ = make_gpu_probe()
    message = r"Ray has 1 GPUs on .*, but torch .* sees none: .* set resources"
    with connected(None), pytest.raises(ConfigError, match=message):
        gpu_probe.make_allocator(cluster_nodes())


@pytest.mark.gpu
def test_a_step_is_measured_on_a_real_gpu() -> None:
    config = TrialConfig.model_validate({"loss": {"distillation": "none"}})
    found = probe_step(config.model_dump(mode="json"), None, 1211, ComputeSettings(), None)
    assert found is not None
    probed = ProbedStep(**found)
    assert not probed.is_estimated
    # The weights of 2.66M parameters, their gradients and two moments at least.
    assert probed.num_bytes > 4 * 4 * 2_660_000
    assert 50 * MIB < probed.context_bytes < probed.total_bytes
