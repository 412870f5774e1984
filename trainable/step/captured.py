"""Captured steps: the kernels of a training step, recorded once and started again as one.

A small student on a large GPU waits for the host, which starts each kernel of a step. A CUDA graph
starts them all at once. It always works on the same memory, so batches are copied to where the
recorded one was, and all that the host decided is fixed: another learning rate or another shape
needs another recording.
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from trainable.machine.memory_share import is_out_of_memory

# Steps before a recording: they make the moments of Adam, and the libraries choose algorithms.
NUM_WARM_UP = 3
Terms = dict[str, Tensor]
_log = logging.getLogger(__name__)


class StepGraph(Protocol):
    """Work on a device that can be recorded and repeated."""

    def warm_up(self, work: Callable[[], Terms]) -> Terms:
        """Do work as it will be recorded, without recording it."""

    def record(self, work: Callable[[], Terms]) -> Terms:
        """Record work without doing it; return where its results will be."""

    def replay(self) -> None:
        """Do the recorded work."""


class CudaStepGraph:
    """Work on a GPU as a CUDA graph.

    Args:
        device: The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._graph = torch.cuda.CUDAGraph()
        self._device = device
        self._stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def warm_up(self, work: Callable[[], Terms]) -> Terms:
        """Queue the work on the stream that is recorded later, in turn with the current one."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            terms = work()
        current.wait_stream(self._stream)
        return terms

    def record(self, work: Callable[[], Terms]) -> Terms:
        """Record the work."""
        # Another thread prepares batches meanwhile: only what this thread calls is checked.
        with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
            return work()

    def replay(self) -> None:
        """Queue the recorded work on the current stream."""
        self._graph.replay()


class CapturedSteps:
    """Steps that are recorded once and then replayed; where that fails, they run as usual.

    Args:
        run: Runs a step on a batch; it must not wait for the device, and all that it needs from
            the host must follow from the batch's shape and `fixed`.
        fixed: Returns the host's numbers in a step. When they change, it is recorded again.
        undo: Resets what a recording that broke off may have changed on the host.
        device: A GPU.
    """

    def __init__(
        self,
        run: Callable[[Any], Terms],
        fixed: Callable[[], tuple[float, ...]],
        undo: Callable[[], None],
        device: torch.device,
    ) -> None:
        self._run, self._fixed, self._undo, self._device = run, fixed, undo, device
        self._is_possible = True
        self.forget()

    def forget(self) -> None:
        """Forget the recording: the step's tensors are other ones now."""
        self._graph: StepGraph | None = None
        self._num_warm, self._key = 0, tuple[Any, ...]()
        self._inputs, self._names = list[Tensor](), list[str]()
        self._terms: Tensor | None = None

    def __call__(self, batch: Any) -> Terms:
        """Run a step on a batch."""
        if not self._is_possible:
            return self._run(batch)
        if self._graph is None:
            self._graph = CudaStepGraph(self._device)
        if self._num_warm < NUM_WARM_UP:
            self._num_warm += 1
            return self._graph.warm_up(lambda: self._run(batch))
        tensors, key = _tensors_of(batch), self._key_of(batch)
        if key != self._key and not self._record(batch, key):
            return self._run(batch)
        torch._foreach_copy_(self._inputs, tensors)
        self._graph.replay()
        assert self._terms is not None  # noqa: S101 - recorded above
        # A copy, since the next replay overwrites them.
        return dict(zip(self._names, self._terms.clone().unbind(), strict=True))

    def _record(self, batch: Any, key: tuple[Any, ...]) -> bool:
        """Record a step for batches like this one; return whether it was possible."""
        if self._graph is None or self._terms is not None:
            # Before the next one: two recordings at once take the memory of two steps.
            self._terms, self._graph = None, CudaStepGraph(self._device)
        graph = self._graph
        self._inputs = [tensor.clone() for tensor in _tensors_of(batch)]
        recorded = _with_tensors(batch, self._inputs)

        def work() -> Terms:
            terms = self._run(recorded)
            self._names = list(terms)
            return {"all": torch.stack(list(terms.values()))}

        try:
            self._terms = graph.record(work)["all"]
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            _log.warning("engine.capture has no effect, this model cannot be captured: %s", error)
            self._is_possible = False
            self.forget()
            self._undo()
            return False
        self._key = key
        return True

    def _key_of(self, batch: Any) -> tuple[Any, ...]:
        leaves, structure = tree_flatten(batch)
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        shapes = [(tensor.shape, tensor.dtype) for tensor in tensors]
        # Where the student sees the whole crops, they are one tensor, which is copied once.
        first = [next(k for k, each in enumerate(tensors) if each is t) for t in tensors]
        return (*self._fixed(), str(structure), tuple(shapes), tuple(first))


def _tensors_of(batch: Any) -> list[Tensor]:
    """Return the tensors of a batch, each once."""
    leaves, _ = tree_flatten(batch)
    return list({id(leaf): leaf for leaf in leaves if isinstance(leaf, Tensor)}.values())


def _with_tensors(batch: Any, tensors: list[Tensor]) -> Any:
    """Return a batch like this one with other tensors, in the order of `_tensors_of`."""
    leaves, structure = tree_flatten(batch)
    other = {id(old): new for old, new in zip(_tensors_of(batch), tensors, strict=True)}
    return tree_unflatten([other.get(id(leaf), leaf) for leaf in leaves], structure)
