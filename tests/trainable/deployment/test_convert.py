"""Models as files of every form: what they compute, what they state, what is refused."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models import CustomModelConfig, LogMel, ModelConfig, ModelOutput, SpeakerModel
from spaces.files.errors import ConfigError, ConversionError
from tests.worlds.model_cases import EMBEDDING
from tests.worlds.sounds import noise, write_sound
from tests.worlds.untrained_models import FAMILIES, model_trial, untrained_model
from trainable.audio.reading import load_wave
from trainable.checkpoints.loading import LoadedModel
from trainable.deployment.convert import convert_model
from trainable.deployment.int8 import MAX_CALIBRATION, calibration_files, dynamic_int8, static_int8
from trainable.deployment.metadata import file_metadata
from trainable.deployment.onnx_graph import onnx_model
from trainable.deployment.request import Form, FormRequest, GraphInput
from trainable.deployment.running import compared, onnx_runner, script_runner

REPORT = {"epoch": 1, "veer_pct": 12.5, "veer_low_pct": 10.25, "veer_high_pct": 15.0}


def loaded(config: ModelConfig, model: SpeakerModel | None = None) -> LoadedModel:
    return LoadedModel(
        model=model or untrained_model(config), centres_KD=None, config=model_trial(config),
        epoch=1, history=(REPORT,), speakers=(), file=Path("model000000001.model"),
    )  # fmt: skip


def request(
    family: str, form: Form = "onnx", graph_input: GraphInput = "waveform", **more: object
) -> FormRequest:
    return FormRequest(
        loaded=loaded(FAMILIES[family]), form=form, graph_input=graph_input, **more
    )  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("audio")
    files = [folder / f"{number}.wav" for number in range(3)]
    for number, file in enumerate(files):
        write_sound(file, noise(24_000, number))
    return files


@pytest.fixture(scope="module")
def lstm_graph():
    """A graph of an LSTM from log-mels, for several tests."""
    asked = request("lstm", graph_input="log_mel")
    return asked, onnx_model(asked, file_metadata(asked))


@pytest.fixture(scope="module")
def mixer_graph():
    """A graph of a Mixer from waveforms, for several tests."""
    asked = request("mixer")
    return asked, onnx_model(asked, file_metadata(asked))


def test_a_mixer_takes_waveforms_of_any_length_and_number(mixer_graph) -> None:
    asked, model = mixer_graph
    run = onnx_runner(model.SerializeToString(), num_threads=2)
    for batch, samples in ((1, 257), (4, 6_400), (2, 33_333)):
        wave_BS = torch.from_numpy(noise(batch * samples).reshape(batch, samples))
        with torch.no_grad():
            wanted = asked.loaded.model.embed(LogMel()(wave_BS))
        torch.testing.assert_close(run(wave_BS), wanted, rtol=1e-3, atol=1e-3)


def test_an_lstm_is_one_operator_a_layer(lstm_graph) -> None:
    asked, model = lstm_graph
    assert [node.op_type for node in model.graph.node].count("LSTM") == 2
    assert compared(asked, onnx_runner(model.SerializeToString())) > 0.99999


def test_a_graph_states_its_model(mixer_graph, lstm_graph) -> None:
    asked, model = mixer_graph
    entries = {each.key: each.value for each in model.metadata_props}
    assert entries == file_metadata(asked)
    assert entries["veer.config_hash"] == asked.loaded.config.config_hash()
    assert (entries["veer.family"], entries["veer.embedding_dim"]) == ("mlp_mixer", "24")
    assert [entries[f"veer.veer{end}_pct"] for end in ("", "_low", "_high")] == [
        "12.5", "10.25", "15.0"
    ]  # fmt: skip
    assert json.loads(entries["veer.front_end"])["num_mels"] == 80
    assert "framework" not in entries
    # What sherpa-onnx requires of a file.
    entries = {each.key: each.value for each in lstm_graph[1].metadata_props}
    assert entries["framework"] in ("wespeaker", "3d-speaker")
    assert (entries["sample_rate"], entries["output_dim"]) == ("16000", "24")
    assert (entries["normalize_samples"], entries["language"]) == ("1", "unknown")
    assert entries["feature_normalize_type"] == "global-mean"


def test_no_path_of_this_machine_is_in_a_graph(mixer_graph) -> None:
    content = mixer_graph[1].SerializeToString()
    assert str(Path(__file__).parents[3]).encode() not in content


def test_the_documented_program_prints_the_cosine_of_two_files(
    mixer_graph, audio: list[Path], tmp_path: Path
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "deployment.md").read_text()
    (tmp_path / "compare.py").write_text(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0])
    asked, model = mixer_graph
    (tmp_path / "student.onnx").write_bytes(model.SerializeToString())
    words = [sys.executable, "compare.py", "student.onnx", *map(str, audio[:2])]
    shown = subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    with torch.no_grad():
        first, second = (
            asked.loaded.model.embed(LogMel()(torch.from_numpy(load_wave(file))[None]))
            for file in audio[:2]
        )
    cosine = torch.cosine_similarity(first, second).item()
    assert float(shown.removeprefix("cosine ")) == pytest.approx(cosine, abs=2e-4)


def operators(model: object) -> dict[str, set[str]]:
    """Names of the nodes by operator."""
    found: dict[str, set[str]] = {}
    for node in model.graph.node:  # type: ignore[attr-defined]
        found.setdefault(node.op_type, set()).add(node.name)
    return found


def test_dynamic_int8_has_integer_products_and_a_front_end_in_float(mixer_graph) -> None:
    asked, model = mixer_graph
    quantised = dynamic_int8(model)
    found = operators(quantised)
    assert len(found["MatMulInteger"]) >= 5
    # The spectrum, and the projection of the network, which is a convolution too.
    assert found["Conv"] == operators(model)["Conv"]
    entries = {each.key: each.value for each in quantised.metadata_props}
    assert entries == file_metadata(asked)
    asked = request("mixer", form="onnx-int8")
    assert 0.9 < compared(asked, onnx_runner(quantised.SerializeToString())) < 1


def test_static_int8_is_calibrated_on_audio(mixer_graph, audio: list[Path]) -> None:
    asked = request("mixer", form="onnx-int8-static", calibration=audio)
    quantised = static_int8(mixer_graph[1], asked)
    assert len(operators(quantised)["QuantizeLinear"]) >= 5
    assert 0.9 < compared(asked, onnx_runner(quantised.SerializeToString())) < 1


def test_calibration_is_spread_over_the_list() -> None:
    files = [Path(str(number)) for number in range(10 * MAX_CALIBRATION)]
    chosen = calibration_files(files)
    assert [int(each.name) for each in chosen] == [10 * n for n in range(MAX_CALIBRATION)]
    assert calibration_files(files[:3]) == files[:3]


def test_static_int8_needs_audio() -> None:
    with pytest.raises(ConfigError, match=r"onnx-int8-static is calibrated .*--corpus corpus.y"):
        request("mixer", form="onnx-int8-static")


@pytest.mark.parametrize("family", ["mixer", "lstm", "resnet_SAP", "ecapa"])
def test_torchscript_runs_without_veer_and_states_its_model(family: str, tmp_path: Path) -> None:
    asked = request(family, form="torchscript")
    made = convert_model(asked, tmp_path / "sub" / "model.pt")
    content = made.file.read_bytes()
    assert made.num_bytes == len(content)
    assert made.cosine > 0.99999
    extra = {"veer.family": "", "veer.veer_pct": ""}
    with pytest.warns(DeprecationWarning, match="deprecated"):
        torch.jit.load(io.BytesIO(content), _extra_files=extra)  # type: ignore[no-untyped-call]
    assert extra["veer.veer_pct"] == b"12.5"
    assert script_runner(content)(torch.zeros(3, 5_000)).shape == (3, EMBEDDING)


class Own(SpeakerModel):
    """A class of a user's."""

    embedding_dim = EMBEDDING

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Linear(80, EMBEDDING)

    def encode(self, norm_BTF: Tensor, *, with_stages: bool) -> ModelOutput:
        stages = (norm_BTF,) if with_stages else ()
        return ModelOutput(self.embedding(self.pooled(norm_BTF)), stages, None)

    def pooled(self, norm_BTF: Tensor) -> Tensor:
        raise NotImplementedError


class Branching(Own):
    def pooled(self, norm_BTF: Tensor) -> Tensor:
        return norm_BTF.mean(1) if norm_BTF.square().sum() > 0 else norm_BTF.sum(1)


class Remembering(Own):
    """To a trace, a length in Python is a constant."""

    def pooled(self, norm_BTF: Tensor) -> Tensor:
        return norm_BTF[:, :10].mean(1) * float(norm_BTF.shape[1] - 150)


def own_request(model: SpeakerModel, form: Form) -> FormRequest:
    config = CustomModelConfig(family="mine.net:Own", embedding_dim=EMBEDDING)
    return FormRequest(loaded=loaded(config, model.eval()), form=form)


def test_what_cannot_be_exported_leaves_no_file_and_names_the_reason(tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    wanted = r"mine.net:Own cannot be converted to onnx: .*; its encode\(\) must .* decide nothing"
    with pytest.raises(ConversionError, match=wanted):
        convert_model(own_request(Branching(), "onnx"), out)
    assert list(tmp_path.iterdir()) == []


def test_a_form_that_computes_something_else_keeps_the_earlier_file(tmp_path: Path) -> None:
    out = tmp_path / "model.pt"
    out.write_text("earlier")
    wanted = r"torchscript gives other embeddings than the network: cosine -?\d\.\d+ for input"
    with pytest.raises(ConversionError, match=wanted):
        convert_model(own_request(Remembering(), "torchscript"), out)
    assert out.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [out]


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    wanted = r"\(onnxruntime is missing\): pip install veer\[onnx\]"
    with pytest.raises(ConfigError, match=wanted):
        convert_model(request("mixer"), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
