"""The precision of a search on GPUs: chosen once, kept, and the nodes that are not used for it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from results.journal.journal import Journal, read_journal
from results.records.search_records import PrecisionChosen
from search.cluster.gpu_nodes import NodeGpus
from search.cluster.resources import Node
from search.estimates.precision import TrainingNodes, choose_precision, recorded_engine
from spaces.files.errors import ConfigError
from trainable.machine.engine import EngineConfig

TWO_T4 = Node(address="10.0.0.1", num_cpus=16, num_gpus=2, node_id="t4")
H200 = Node(address="10.0.0.2", num_cpus=64, num_gpus=1, node_id="h200")
OLD = Node(address="10.0.0.3", num_cpus=8, num_gpus=1, node_id="old")
CPUS = Node(address="10.0.0.4", num_cpus=8, num_gpus=0, node_id="cpus")
FOUND = {
    "t4": {"names": ("Tesla T4",), "has_bfloat16": False},
    "h200": {"names": ("NVIDIA H200",), "has_bfloat16": True},
    "old": {"fault": "its driver is too old"},
}
Choose = Callable[..., TrainingNodes]


def look(nodes: Sequence[Node]) -> list[NodeGpus]:
    return [NodeGpus(node=node, **FOUND[node.node_id]) for node in nodes]


@pytest.fixture
def choose(make_settings: Callable[..., Any], tmp_path: Path) -> Choose:
    """Choose for nodes and a precision, in one run that may be resumed; lines go to `printed`."""
    path = tmp_path / "journal.jsonl"

    def choose(
        nodes: Sequence[Node],
        precision: str = "auto",
        printed: list[str] | None = None,
        **more: Any,
    ) -> TrainingNodes:
        lines = [] if printed is None else printed
        settings = make_settings(
            **({"resources__gpu": 0.5, "engine__precision": precision} | more)
        )
        records = read_journal(path) if path.exists() else ()
        with Journal(path) as journal:
            return choose_precision(settings, nodes, journal, records, lines.append, look)

    return choose


@pytest.mark.parametrize(
    ("nodes", "precision"),
    [([H200, CPUS], "bfloat16"), ([TWO_T4], "float16"), ([TWO_T4, H200], "float16")],
)
def test_auto_is_what_all_gpus_have_in_hardware(
    choose: Choose, nodes: list[Node], precision: str
) -> None:
    chosen = choose(nodes)
    assert (chosen.engine.precision, chosen.nodes, chosen.avoided) == (precision, nodes, ())


def test_the_first_choice_holds_for_the_whole_search_and_is_in_its_journal(
    choose: Choose, tmp_path: Path
) -> None:
    choose([H200])
    printed: list[str] = []
    # A node with T4s joins, and the search is resumed: it is not used.
    again = choose([TWO_T4, H200], printed=printed)
    assert again.engine.precision == "bfloat16"
    assert (again.nodes, again.avoided) == ([H200], ("t4",))
    assert "engine.precision=auto: bfloat16, for NVIDIA H200" in printed
    assert "the GPUs of 10.0.0.1 are not used: no bfloat16 in Tesla T4" in printed
    records = read_journal(tmp_path / "journal.jsonl")
    assert [record.event for record in records] == ["precision"]
    assert recorded_engine(EngineConfig(), records).precision == "bfloat16"
    assert recorded_engine(EngineConfig(precision="float32"), records).precision == "float32"
    assert recorded_engine(EngineConfig(), ()).precision == "auto"
    with pytest.raises(ConfigError, match=r"bfloat16, which no GPU .* \(Tesla T4\); add a"):
        choose([TWO_T4])


def test_a_precision_that_the_user_sets_is_not_recorded_and_decides_the_nodes(
    choose: Choose, tmp_path: Path
) -> None:
    assert choose([TWO_T4, H200], "bfloat16").avoided == ("t4",)
    assert choose([TWO_T4, H200], "float32").avoided == ()
    assert read_journal(tmp_path / "journal.jsonl") == ()


def test_gpus_that_cannot_be_used_are_named_and_no_search_runs_with_none(choose: Choose) -> None:
    printed: list[str] = []
    chosen = choose([OLD, TWO_T4], printed=printed)
    assert (chosen.engine.precision, chosen.avoided) == ("float16", ("old",))
    assert "the GPUs of 10.0.0.3 are not used: its driver is too old" in printed
    with pytest.raises(ConfigError, match=r"no GPU can be used \(10.0.0.3: its driver is too old"):
        choose([OLD, CPUS])


def test_without_a_gpu_trials_compute_in_float32_and_float16_is_refused(choose: Choose) -> None:
    with pytest.raises(ConfigError, match="got float16 on a cluster without a GPU"):
        choose([CPUS], "float16", resources__gpu="auto")
    assert choose([CPUS], resources__gpu="auto").engine.precision == "float32"
    # A GPU that comes later changes nothing.
    assert choose([H200], resources__gpu="auto").engine.precision == "float32"


@pytest.mark.parametrize("settings", [{"device": "cpu"}, {"resources__gpu": 0}])
def test_a_search_on_cpus_looks_at_no_gpu_and_records_nothing(
    choose: Choose, tmp_path: Path, settings: dict[str, Any]
) -> None:
    chosen = choose([Node(address="a", num_cpus=1, num_gpus=1, node_id="unknown")], **settings)
    assert (chosen.engine, chosen.avoided) == (EngineConfig(), ())
    assert read_journal(tmp_path / "journal.jsonl") == ()


def test_a_precision_that_is_none_is_refused_in_a_journal() -> None:
    with pytest.raises(ValueError, match=r"precision must be one of .*, got 'auto'"):
        PrecisionChosen(precision="auto", gpus=[])
