"""`engine.precision` on GPUs: chosen once for a whole search, and the nodes that have it.

A trial may move between nodes, and trials are compared with each other: all compute in the same
precision, also after a resume.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from results.journal.history import latest
from results.journal.journal import Journal
from results.records.record import Record
from results.records.record_values import PrecisionName
from results.records.search_records import PrecisionChosen
from search.cluster.gpu_nodes import NodeGpus, look_at_gpus
from search.cluster.resources import Node
from search.config.search_config import SearchConfig
from spaces.files.errors import ConfigError
from trainable.machine.engine import EngineConfig, require_precision

Look = Callable[[Sequence[Node]], Sequence[NodeGpus]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingNodes:
    """How trials compute, and where.

    Attributes:
        engine: The engine of all trials; on GPUs its precision is resolved.
        nodes: The nodes that trials may use.
        avoided: Ray's identifiers of the other ones.
    """

    engine: EngineConfig
    nodes: Sequence[Node]
    avoided: tuple[str, ...] = ()


def choose_precision(
    settings: SearchConfig,
    nodes: Sequence[Node],
    journal: Journal,
    records: Sequence[Record],
    print_line: Callable[[str], None],
    look: Look = look_at_gpus,
) -> TrainingNodes:
    """Return precision and nodes of a search's trials; print which nodes are not used, and why.

    Args:
        settings: The search's settings.
        nodes: The cluster's nodes.
        journal: Receives the precision that `auto` stands for.
        records: Records of the run that is resumed: its precision is kept.
        print_line: Prints a line.
        look: Looks at the GPUs of nodes.

    Raises:
        ConfigError: PyTorch can use no node's GPUs, or none has the precision.
    """
    if settings.device == "cpu" or settings.resources.gpu == 0:
        return TrainingNodes(engine=settings.engine, nodes=nodes)
    seen = look([node for node in nodes if node.num_gpus > 0])
    usable = [each for each in seen if each.fault is None]
    if seen and not usable:
        faults = "; ".join(f"{each.node.address}: {each.fault}" for each in seen)
        raise ConfigError(f"no GPU can be used ({faults}); or set device to cpu")
    precision = settings.engine.precision
    if precision == "auto":
        precision = _kept_or_chosen(usable, journal, records, print_line)
    if not seen and settings.engine.precision == "auto" and precision == "float16":
        raise ConfigError(
            "this search computes in float16, as the GPUs that it began on do, and Ray has no GPU "
            "now; resume it where there is one, or begin another search (--run)"
        )
    if not seen:
        require_precision(precision, "a cluster without a GPU")
    lacking = [each for each in usable if precision == "bfloat16" and not each.has_bfloat16]
    if lacking and len(lacking) == len(usable):
        raise ConfigError(
            f"this search computes in bfloat16, which no GPU here has in hardware "
            f"({_names(usable)}); add a node that has it, or begin a search with "
            "engine.precision float16"
        )
    why = {each.node.node_id: each.fault for each in seen if each.fault is not None}
    why |= {each.node.node_id: f"no bfloat16 in {_names([each])}" for each in lacking}
    for node in nodes:
        if node.node_id in why:
            print_line(f"the GPUs of {node.address} are not used: {why[node.node_id]}")
    return TrainingNodes(
        engine=settings.engine.model_copy(update={"precision": precision}),
        nodes=[node for node in nodes if node.node_id not in why],
        avoided=tuple(why),
    )


def recorded_engine(engine: EngineConfig, records: Sequence[Record]) -> EngineConfig:
    """Return the engine of a search's settings, with its journal's precision for `auto`."""
    known = latest(records, PrecisionChosen)
    if engine.precision != "auto" or known is None:
        return engine
    return engine.model_copy(update={"precision": known.precision})


def _kept_or_chosen(
    usable: Sequence[NodeGpus],
    journal: Journal,
    records: Sequence[Record],
    print_line: Callable[[str], None],
) -> PrecisionName:
    """Return what `auto` stands for; all GPUs have float16, so with it every node is used."""
    chosen = latest(records, PrecisionChosen)
    if chosen is None:
        on_gpus: PrecisionName = "float16"
        if all(each.has_bfloat16 for each in usable):
            on_gpus = "bfloat16"
        names = sorted({name for each in usable for name in each.names})
        precision = on_gpus if usable else "float32"
        chosen = journal.append(PrecisionChosen(precision=precision, gpus=names))
    where = ", ".join(chosen.gpus) or "CPUs"
    print_line(f"engine.precision=auto: {chosen.precision}, for {where}")
    return chosen.precision


def _names(seen: Sequence[NodeGpus]) -> str:
    return ", ".join(sorted({name for each in seen for name in each.names}))
