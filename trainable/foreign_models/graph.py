"""What a graph of another program takes and returns, found by its signature and by running it.

Shapes: B batch, S samples, T frames, F mel bins, D embedding.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from models.frontend import NUM_MELS
from spaces.files.digest import file_sha256
from spaces.files.errors import CheckpointError, ConfigError, TrainingError
from trainable.foreign_models.graph_config import (
    GraphConfig,
    GraphFacts,
    InputKind,
    Layout,
    graph_digest,
    is_graph,
    read_graph,
)
from trainable.foreign_models.graph_process import GraphError, GraphProcess, laid_out
from trainable.verification.scoring import voxceleb_trainer_crop_samples

# Of a graph that takes any length: frames of the crops that it is tried on.
_TRIED_FRAMES = 200
_LAYOUTS: tuple[Layout, ...] = ("BS", "B1S", "BTF", "BFT")
# Of the axes of a channel and of mel bins.
_SIZES = {"1": 1, "F": NUM_MELS}
_FLOATS = ("tensor(float)", "torch.float32", "Tensor", "Optional[Tensor]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A graph whose input and output are known.

    Attributes:
        config: Its settings.
        facts: What was found out about it.
    """

    config: GraphConfig
    facts: GraphFacts

    @property
    def settings(self) -> dict[str, Any]:
        """What its embeddings depend on, beside the crops."""
        facts = self.facts
        return {
            "teacher_sha256": facts.sha256,
            "teacher_input": facts.layout,
            "teacher_output": facts.output,
        }

    def require_unchanged(self) -> None:
        """Check that the files of the graph are those that its facts are of.

        Raises:
            CheckpointError: They are not.
        """
        now, then = graph_digest(self.config.graph, self.facts.weights), self.facts.sha256
        if now != then:
            raise CheckpointError(
                f"{self.config.graph}: the teacher has changed (SHA-256 {now[:12]}, at the start "
                f"{then[:12]}); restore it, or begin another run"
            )

    def process(self, num_threads: int = 1) -> GraphProcess:
        """Return its process, not started."""
        process = GraphProcess(self.config, num_threads)
        process.asked = {"output": self.facts.output, "batch": self.facts.batch}
        return process


def open_graph(teacher: Path) -> Graph:
    """Return the graph of a teacher's file; it is run once if its facts are not known.

    Raises:
        ConfigError: What it takes is in doubt, it takes something else, or it may not be run.
        CheckpointError: It is missing, or has changed since its facts were written.
        TrainingError: It cannot be loaded.
    """
    config = read_graph(teacher)
    if config.found is None:
        facts = _found_out(config, config.graph.stat().st_mtime_ns)
        # Not from the cache, whose key does not have the files of the weights.
        now = graph_digest(config.graph, facts.weights)
        return Graph(config=config, facts=facts.model_copy(update={"sha256": now}))
    graph = Graph(config=config, facts=config.found)
    graph.require_unchanged()
    return graph


def teacher_digest(teacher: Path) -> str:
    """Return the hash that identifies a teacher: of its file; of a graph, with its weights.

    Which files hold weights of a graph is known from a run's YAML, or found out by opening it.

    Raises:
        VeerError: The graph cannot be opened; see `open_graph`.
    """
    if not is_graph(teacher):
        return file_sha256(teacher)
    config = read_graph(teacher)
    if config.found is None:
        return open_graph(teacher).facts.sha256
    return graph_digest(config.graph, config.found.weights)


@lru_cache(maxsize=4)
def _found_out(config: GraphConfig, changed_ns: int) -> GraphFacts:  # noqa: ARG001 - part of the key
    with ExitStack() as stack:
        trials = _Trials(config, stack)
        facts = _decided(config, trials.given, trials.found())
        weights = tuple(trials.ready["weights"])
        num_params = int(trials.ready["num_params"])
    return facts.model_copy(update={"weights": weights, "num_params": num_params})


def _only_input(config: GraphConfig, inputs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if len(inputs) != 1 or inputs[0]["type"] not in _FLOATS:
        got = ", ".join(f"{each['name']} {each['shape']} {each['type']}" for each in inputs)
        raise ConfigError(
            f"teacher {config.graph}: the graph must have one input, of float32, got "
            f"{got or 'none'}; export it with the others as constants"
        )
    return inputs[0]


class _Trials:
    """Runs a graph on crops of each layout that its signature allows.

    Attributes:
        ready: What its process reports.
        given: Name, shape and type of its input.
    """

    def __init__(self, config: GraphConfig, stack: ExitStack) -> None:
        self._config, self._stack = config, stack
        self._rng = np.random.default_rng(0)
        self._process = stack.enter_context(GraphProcess(config))
        self.ready = self._process.ready
        self.given = _only_input(config, self.ready["inputs"])

    def found(self) -> list[GraphFacts]:
        """Return the facts for each layout that the graph takes.

        Raises:
            ConfigError: It takes none; with the reasons.
        """
        shape, wanted = self.given["shape"], self._config.input
        layouts = [each for each in _allowed(shape) if wanted in (None, _kind(each))]
        if not layouts:
            raise ConfigError(
                f"teacher {self._config.graph}: the input {self.given['name']!r} must have the "
                f"shape [batch, samples] (a waveform) or [batch, frames, {NUM_MELS}] or "
                f"[batch, {NUM_MELS}, frames] (log-mels), got {_sizes(shape)}"
                + (f", and the setting input: {wanted}" if wanted else "")
            )
        tried = [self._tried(layout, shape) for layout in layouts]
        if found := [each for each in tried if isinstance(each, GraphFacts)]:
            return found
        raise ConfigError("\n".join(f"teacher {each}" for each in tried))

    def _tried(self, layout: Layout, shape: Sequence[int | None] | None) -> GraphFacts | str:
        """Return the facts if the graph takes a layout, else why it does not."""
        length = None if shape is None else shape[layout.index("S" if "S" in layout else "T")]
        fixed, refusal = None if shape is None else shape[0], ""
        for batch in (fixed,) if fixed else (None, 1):
            self._process.asked["batch"] = batch
            try:
                emb_BD = self._process.embed(laid_out(self._crops(layout, length), layout))
            except GraphError as error:
                refusal = refusal or f"{error} (input {self.given['name']!r})"
                continue
            except TrainingError as error:
                # Foreign code may crash on what it does not take: the next layout needs another.
                self._process = self._stack.enter_context(GraphProcess(self._config))
                return f"{error} (input {self.given['name']!r}, as {_kind(layout)})"
            return GraphFacts(
                sha256="",
                input_name=self.given["name"],
                layout=layout,
                output=self._process.answered,
                embedding_dim=emb_BD.shape[1],
                batch=batch,
                length=length,
            )
        return refusal

    def _crops(self, layout: Layout, length: int | None) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return two crops of noise."""
        if "S" in layout:
            size: tuple[int, ...] = (2, length or voxceleb_trainer_crop_samples(_TRIED_FRAMES))
        else:
            size = (2, length or _TRIED_FRAMES, NUM_MELS)
        return 0.1 * self._rng.standard_normal(size, np.float32)


def _allowed(shape: Sequence[int | None] | None) -> list[Layout]:
    """Return the layouts that a shape allows; an axis of a known size decides."""
    if shape is None:
        return list(_LAYOUTS)
    own = {
        layout: [size for size, axis in zip(shape, layout, strict=True) if axis in _SIZES]
        for layout in _LAYOUTS
        if len(layout) == len(shape)
    }
    wanted = {layout: [_SIZES[axis] for axis in layout if axis in _SIZES] for layout in own}
    certain = [layout for layout in own if own[layout] == wanted[layout]]
    # Otherwise a fixed size is that of something else.
    return certain or (list(own) if set(shape[1:]) == {None} else [])


def _sizes(shape: Sequence[int | None] | None) -> str:
    return "any" if shape is None else f"[{', '.join(str(each or '?') for each in shape)}]"


def _kind(layout: Layout) -> InputKind:
    return "waveform" if "S" in layout else "log_mel"


def _decided(
    config: GraphConfig, given: dict[str, Any], found: Sequence[GraphFacts]
) -> GraphFacts:
    if len({_kind(each.layout) for each in found}) > 1:
        raise ConfigError(
            f"teacher {config.graph}: the input {given['name']!r}, of the shape "
            f"{_sizes(given['shape'])}, takes waveforms and log-mels: name one, in a YAML file "
            "with the lines "
            f"`graph: {config.graph.name}` and `input: waveform` or `input: log_mel`, and give "
            "that file as the teacher"
        )
    return found[0]
