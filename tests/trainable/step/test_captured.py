"""Steps that are recorded and replayed give the results of steps that are run one by one.

On the CPU a graph is imitated: its operators are written down, and run again on the same memory.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.trainable.step.test_step import make_batch, make_step, trial
from trainable.config.trial_config import TrialConfig
from trainable.machine.engine import Engine, EngineConfig, resolve_engine
from trainable.report.running_means import RunningMeans
from trainable.step import captured
from trainable.step.captured import NUM_WARM_UP
from trainable.step.step import TrainingStep

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
PLAIN = {"device": CPU}
SCALED = {"device": CPU, "dtype": torch.bfloat16, "scales_loss": True}


class ImitatedGraph(TorchDispatchMode):
    """Work on the CPU that is recorded without effect, and repeated on the same memory."""

    made: list["ImitatedGraph"]

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        del device
        self._calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self._own: set[int] = set()
        self._before: dict[int, tuple[Tensor, Tensor]] = {}
        self.num_replays = 0
        self.made.append(self)

    def warm_up(self, work: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        return work()

    def record(self, work: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        try:
            with self:
                return work()
        finally:
            # A recording does no work: what it has changed is put back.
            for tensor, content in self._before.values():
                tensor.copy_(content)

    def replay(self) -> None:
        self.num_replays += 1
        with torch.no_grad():
            for func, args, kwargs, result in self._calls:
                again = func(*args, **kwargs)
                for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                    if isinstance(old, Tensor) and old is not new:
                        old.copy_(new)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        kwargs = dict(kwargs or {})
        for place, declared in enumerate(func._schema.arguments):
            # The schema of batch normalisation keeps quiet about its statistics.
            if _is_written(declared) or declared.name in {"running_mean", "running_var"}:
                self._keep(args[place] if place < len(args) else kwargs.get(declared.name))
        result = func(*args, **kwargs)
        if func._schema.name == "aten::_local_scalar_dense":
            raise RuntimeError("operation not permitted when stream is capturing")
        returned = [each.alias_info for each in func._schema.returns]
        if not any(returned):
            leaves = (leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
            self._own |= {leaf.untyped_storage()._cdata for leaf in leaves}
        # Another view of the same memory needs no repetition.
        if all(each is None or each.is_write for each in returned):
            self._calls.append((func, args, kwargs, result))
        return result

    def _keep(self, tensors: Any) -> None:
        for tensor in tree_leaves(tensors):
            key = tensor.untyped_storage()._cdata if isinstance(tensor, Tensor) else None
            if key is not None and key not in self._own and key not in self._before:
                whole = torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())
                self._before[key] = whole, whole.clone()


def _is_written(declared: Any) -> bool:
    return declared.alias_info is not None and declared.alias_info.is_write


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[ImitatedGraph]:
    monkeypatch.setattr(ImitatedGraph, "made", [], raising=False)
    monkeypatch.setattr(captured, "CudaStepGraph", ImitatedGraph)
    return ImitatedGraph.made


def pair(options: dict[str, Any], config: TrialConfig | None = None) -> list[TrainingStep]:
    """Return a step that runs as usual, and one that is recorded."""
    return [make_step(Engine(**options, captures=each), config) for each in (False, True)]


def train(step: TrainingStep, seeds: range) -> list[dict[str, float]]:
    terms = [step.run(make_batch(seed=seed)) for seed in seeds]
    return [{name: value.item() for name, value in each.items()} for each in terms]


def same(one: TrainingStep, other: TrainingStep) -> bool:
    pairs = zip(one.all_tensors(), other.all_tensors(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("options", [PLAIN, SCALED], ids=["float32", "scaled"])
@pytest.mark.parametrize("training", [{}, {"ema_epochs": 0.2}], ids=["plain", "averaged"])
def test_terms_and_weights_are_equal_to_the_last_bit(
    options: dict[str, Any], training: dict[str, float], graphs: list[ImitatedGraph]
) -> None:
    usual, recorded = pair(options, trial(**training))
    seeds = range(NUM_WARM_UP + 4)
    # The terms of all steps are read at the end: a replay must not overwrite those before it.
    assert train(recorded, seeds) == train(usual, seeds)
    assert same(usual, recorded)
    assert recorded.num_steps == len(seeds)
    assert [graph.num_replays for graph in graphs] == [4]


def test_means_are_those_of_all_replays(graphs: list[ImitatedGraph]) -> None:
    found = []
    for step in pair(PLAIN):
        means = RunningMeans()
        for seed in range(NUM_WARM_UP + 3):
            means.add(step.run(make_batch(seed=seed)))
        found.append(means.means())
    assert found[0] == found[1]
    assert graphs[0].num_replays == 3


def test_another_learning_rate_is_recorded_again(graphs: list[ImitatedGraph]) -> None:
    steps = pair(PLAIN)
    for step in steps:
        train(step, range(NUM_WARM_UP + 2))
        step.optimizer.param_groups[0]["lr"] *= 10
        train(step, range(3))
    assert same(*steps)
    assert [graph.num_replays for graph in graphs] == [2, 3]


def test_a_loaded_state_is_not_trained_with_the_recording_of_the_old_one(
    graphs: list[ImitatedGraph],
) -> None:
    steps = pair(PLAIN)
    for step in steps:
        train(step, range(NUM_WARM_UP + 2))
        weights = {name: value.clone() for name, value in step.weights().items()}
        state = torch.utils._pytree.tree_map_only(Tensor, torch.clone, step.state())
        train(step, range(5))
        step.load_weights(weights)
        step.load_state(state)
        train(step, range(10, 12 + NUM_WARM_UP))
    assert same(*steps)
    assert graphs[-1].num_replays == 2


@pytest.mark.parametrize("options", [PLAIN, SCALED], ids=["float32", "scaled"])
def test_a_model_that_asks_the_device_runs_as_usual_and_the_log_has_the_reason(
    options: dict[str, Any], graphs: list[ImitatedGraph], caplog: pytest.LogCaptureFixture
) -> None:
    usual, recorded = pair(options)
    for step in (usual, recorded):
        step.student.register_forward_hook(
            lambda _module, _input, output: (output.embedding_BD.detach().sum().item(), output)[1]
        )
    seeds = range(NUM_WARM_UP + 3)
    with caplog.at_level(logging.WARNING):
        assert train(recorded, seeds) == train(usual, seeds)
    assert same(usual, recorded)
    assert [graph.num_replays for graph in graphs] == [0]
    (message,) = caplog.messages
    assert "engine.capture has no effect" in message
    assert "not permitted when stream is capturing" in message


def test_out_of_memory_while_recording_is_not_hidden(
    graphs: list[ImitatedGraph], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    step = pair(PLAIN)[1]
    train(step, range(NUM_WARM_UP))
    monkeypatch.setattr(ImitatedGraph, "record", fail)
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        step.run(make_batch())
    assert len(graphs) == 1


def test_a_cuda_graph_is_recorded_on_the_stream_that_was_warmed_up() -> None:
    with patch("trainable.step.captured.torch.cuda") as cuda:
        side, now = cuda.Stream.return_value, cuda.current_stream.return_value
        graph = captured.CudaStepGraph(CUDA)
        graph.warm_up(dict)
        assert side.wait_stream.call_args.args == (now,)
        assert now.wait_stream.call_args.args == (side,)
        cuda.stream.assert_called_once_with(side)
        assert graph.record(lambda: {"total": torch.ones(1)}) == {"total": torch.ones(1)}
        # Another thread queues the next batches meanwhile, which must not break the recording.
        cuda.graph.assert_called_once_with(
            cuda.CUDAGraph.return_value, stream=side, capture_error_mode="thread_local"
        )
        graph.replay()
        cuda.CUDAGraph.return_value.replay.assert_called_once_with()


def test_only_a_gpu_captures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert resolve_engine(EngineConfig(capture=True), CUDA).captures
    assert not resolve_engine(EngineConfig(), CUDA).captures
    assert not resolve_engine(EngineConfig(capture=True), CPU).captures


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "auto", "float16"])
def test_a_gpu_computes_the_same_by_a_graph(precision: str) -> None:
    losses = []
    for capture in (False, True):
        engine = resolve_engine(EngineConfig(precision=precision, capture=capture), CUDA)
        step = make_step(engine, trial(lr=3e-3))
        losses.append([step.run(make_batch(CUDA, seed)) for seed in range(12)])
    usual, recorded = ([each["total"].item() for each in run] for run in losses)
    assert recorded == pytest.approx(usual, rel=1e-3)
