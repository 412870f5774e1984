"""Graphs of other programs: what they take is found out, and what does not fit is named."""

import io
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from spaces.files.errors import CheckpointError, ConfigError, TrainingError
from tests.worlds.graphs import DIM, embedded, write_onnx
from trainable.foreign_models.graph import open_graph, teacher_digest
from trainable.foreign_models.graph_config import graph_kind, is_graph, read_graph
from trainable.foreign_models.graph_process import GraphError
from trainable.foreign_models.graph_worker import (
    external_files,
    load_export,
    load_torchscript,
    serve,
)


@pytest.mark.parametrize(
    ("shape", "layout", "batch", "crop_frames"),
    [
        (["b", "s"], "BS", None, None),
        (["b", 32_240], "BS", None, 200),
        (["b", 32_000], "BS", None, 200),
        (["b", "t", 80], "BTF", None, None),
        ([1, 80, 150], "BFT", 1, 150),
        ([3, "t", 80], "BTF", 3, None),
    ],
)
def test_a_signature_shows_what_a_graph_takes(
    tmp_path: Path, shape: list[int | str], layout: str, batch: int | None, crop_frames: int | None
) -> None:
    graph = open_graph(write_onnx(tmp_path / "g.onnx", shape))
    facts = graph.facts
    assert (facts.layout, facts.batch, facts.crop_frames) == (layout, batch, crop_frames)
    assert (facts.input_name, facts.output, facts.embedding_dim) == ("x", "emb", DIM)
    width = 1 if layout == "BS" else 80
    assert facts.num_params == width * DIM + 1
    # Five crops, whatever the size of the graph's batch; against NumPy.
    size = (facts.length or 500,) if width == 1 else (facts.length or 60, 80)
    crops = np.random.default_rng(0).standard_normal((5, *size), np.float32)
    with graph.process() as process:
        emb_BD = process.embed(crops.swapaxes(1, 2) if layout == "BFT" else crops)
    np.testing.assert_allclose(emb_BD, embedded(crops, width), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "more", "message"),
    [
        (["b", "t", 64], "", r"'x' must have the shape \[batch, samples\].*got \[\?, \?, 64\]"),
        (["b", 1, "t", 80], "", r"got \[\?, 1, \?, 80\]"),
        (["b", "t", 80], "input", "must have one input, of float32, got x .*, lengths"),
    ],
)
def test_a_graph_that_takes_something_else_is_refused(
    tmp_path: Path, shape: list[int | str], more: str, message: str
) -> None:
    graph = write_onnx(tmp_path / "g.onnx", shape, more=more)
    with pytest.raises(ConfigError, match=rf"teacher .*g\.onnx: .*{message}"):
        open_graph(graph)


def test_a_yaml_names_input_and_output(tmp_path: Path) -> None:
    write_onnx(tmp_path / "g.onnx", ["b", "t", 80], more="output")
    file = tmp_path / "teacher.yaml"
    file.write_text("graph: g.onnx\ninput: waveform\n")
    assert is_graph(file)
    with pytest.raises(ConfigError, match="and the setting input: waveform"):
        open_graph(file)
    file.write_text("graph: g.onnx\noutput: a\n")
    refused = r"shape \[2, 200, 80\].*'a' must have the shape \[2, embedding size\], got a \[2, 2"
    with pytest.raises(ConfigError, match=refused):
        open_graph(file)
    # Without a name it is the first with two axes, though another one comes before it.
    file.write_text("graph: g.onnx\n")
    assert open_graph(file).facts.output == "emb"
    file.write_text("graph: other.onnx\n")
    with pytest.raises(CheckpointError, match=r"other\.onnx: there is no such graph"):
        read_graph(file)


def test_an_input_of_a_wrong_length_is_named_and_the_process_goes_on(tmp_path: Path) -> None:
    graph = open_graph(write_onnx(tmp_path / "g.onnx", ["b", 60, 80]))
    with graph.process() as process:
        with pytest.raises(GraphError, match=r"g\.onnx: .* shape \[1, 50, 80\].*Expected: 60"):
            process.embed(np.ones((1, 50, 80), np.float32))
        assert process.embed(np.ones((1, 60, 80), np.float32)).shape == (1, DIM)


def test_weights_beside_the_graph_are_part_of_its_hash(tmp_path: Path) -> None:
    graph = write_onnx(tmp_path / "g.onnx", ["b", "t", 80])
    whole = open_graph(graph).facts.sha256
    model = onnx.load(str(graph))
    onnx.save(
        model, str(graph), save_as_external_data=True, location="g.data", size_threshold=0
    )
    opened = open_graph(graph)
    assert opened.facts.weights == ("g.data",)
    assert opened.facts.sha256 == teacher_digest(graph) != whole
    (tmp_path / "teacher.yaml").write_text("graph: g.onnx\n")
    assert teacher_digest(tmp_path / "teacher.yaml") == opened.facts.sha256

    # The graph's own file stays as it is.
    weights = bytearray((tmp_path / "g.data").read_bytes())
    weights[0] ^= 1
    (tmp_path / "g.data").write_bytes(weights)
    assert open_graph(graph).facts.sha256 == teacher_digest(graph) != opened.facts.sha256
    with pytest.raises(CheckpointError, match=r"g\.onnx: the teacher has changed \(SHA-256"):
        opened.require_unchanged()
    (tmp_path / "g.data").rename(tmp_path / "moved.data")
    ended = r"(?s)copy\.onnx: the teacher's process ended .*g\.data"
    with pytest.raises(TrainingError, match=ended):
        open_graph(write_copy(graph))


def test_weights_in_a_branch_are_part_of_the_hash_too(tmp_path: Path) -> None:
    values = numpy_helper.from_array(np.ones(4, np.float32), "c")
    value = helper.make_tensor_value_info("v", onnx.TensorProto.FLOAT, [4])
    node = helper.make_node("Constant", [], ["v"], value=values)
    branch = helper.make_graph([node], "branch", [], [value])
    choice = helper.make_node("If", ["b"], ["v"], then_branch=branch, else_branch=branch)
    boolean = helper.make_tensor_value_info("b", onnx.TensorProto.BOOL, [])
    model = helper.make_model(helper.make_graph([choice], "g", [boolean], [value]))
    onnx.save(
        model, str(tmp_path / "g.onnx"), save_as_external_data=True, location="g.data",
        size_threshold=0, convert_attribute=True,
    )  # fmt: skip
    found = list(external_files(onnx.load(str(tmp_path / "g.onnx"), load_external_data=False)))
    assert found == ["g.data", "g.data"]


def write_copy(graph: Path) -> Path:
    copy = graph.with_name("copy.onnx")
    copy.write_bytes(graph.read_bytes())
    return copy


class Mean(torch.nn.Module):
    def forward(self, feats: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"all": feats, "mean": feats.mean(1)}


class Writer(torch.nn.Module):
    def forward(self, feats: torch.Tensor) -> torch.Tensor:
        torch.save(feats, "written")
        return feats.mean(1)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_graphs_of_pytorch_need_permission_since_they_can_write_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.jit.script(Writer()).save("script.pt")
    program = torch.export.export(Mean(), (torch.ones(2, 30, 80),))
    torch.export.save(program, "program.pt2")
    for name, kind in (("script.pt", "torchscript"), ("program.pt2", "export")):
        assert graph_kind(tmp_path / name) == kind
        with pytest.raises(ConfigError, match=rf"{name}, a .*, runs code .*--allow-code"):
            read_graph(tmp_path / name)
    # What the permission is for: loaded in this process, the script writes.
    _, run = load_torchscript("script.pt", torch.get_num_threads())
    run(np.ones((2, 30, 80), np.float32))
    assert (tmp_path / "written").exists()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_graphs_of_pytorch_answer_requests(tmp_path: Path) -> None:
    example = torch.ones(2, 30, 80)
    torch.jit.trace(Mean(), (example,), strict=False).save(tmp_path / "script.pt")
    torch.export.save(torch.export.export(Mean(), (example,)), tmp_path / "program.pt2")
    threads = torch.get_num_threads()
    crops = np.random.default_rng(0).standard_normal((2, 30, 80), np.float32)
    asked = b'{"shape": [2, 30, 80], "output": "mean", "batch": null}\n' + crops.tobytes()
    for load, name in ((load_torchscript, "script.pt"), (load_export, "program.pt2")):
        facts, run = load(str(tmp_path / name), threads)
        answers = io.BytesIO()
        serve(run, io.BytesIO(asked), answers)
        header, _, raw = answers.getvalue().partition(b"\n")
        assert header == b'{"shape": [2, 80], "output": "mean"}'
        emb_BD = np.frombuffer(raw, np.float32).reshape(2, 80)
        np.testing.assert_allclose(emb_BD, crops.mean(1), atol=1e-6)
        shape = None if name == "script.pt" else [2, 30, 80]
        assert [(e["name"], e["shape"]) for e in facts["inputs"]] == [("feats", shape)]
