"""Weights of other programs become model files: prefixes, layouts, what does not fit."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from models import LogMel
from spaces.files.errors import CheckpointError, ConfigError, CorpusError
from tests.worlds.trainers_resnet import MainModel
from tests.worlds.untrained_models import FAMILIES, model_trial, untrained_model
from trainable.checkpoints.importing import import_model, model_only_config
from trainable.checkpoints.loading import load_speaker_model
from trainable.teachers.network import load_teacher

CONFIG = FAMILIES["mixer"]
SIZES = [
    f"model.{key}={value}"
    for key, value in CONFIG.model_dump(exclude_defaults=True).items()
    if key != "family"
]
Weights = dict[str, torch.Tensor]
LOSS = torch.ones(5, 24)


def prefixed(prefix: str, weights: Weights) -> Weights:
    return {prefix + name: each for name, each in weights.items()}


def as_lightning(weights: Weights) -> dict[str, Any]:
    rest = {"loss.weight": LOSS, "teacher.project.weight": weights["project.weight"]}
    return {
        "state_dict": prefixed("net.", weights) | rest,
        "pytorch-lightning_version": "2.4.0",
        "hyper_parameters": argparse.Namespace(lr=0.1),
        "epoch": 7,
    }


def as_trainer(weights: Weights) -> dict[str, Any]:
    state = prefixed("__S__.", weights) | {"__L__.weight": LOSS}
    return {"model_state_dict": state, "optimizer_state_dict": {"state": {}}, "epoch": 3}


LAYOUTS: dict[str, tuple[Callable[[Weights], Any], str, int]] = {
    "plain": (lambda weights: weights, "", 0),
    "plain with a head": (lambda weights: weights | {"head.weight": LOSS}, "", 1),
    "data parallel": (lambda weights: prefixed("module.", weights), "module.", 0),
    "model": (lambda weights: {"model": weights}, "", 0),
    "ddp in model": (lambda weights: {"model": prefixed("module.", weights)}, "module.", 0),
    "lightning": (as_lightning, "net.", 2),
    "trainer": (as_trainer, "__S__.", 1),
    "old trainer": (lambda weights: as_trainer(weights)["model_state_dict"], "__S__.", 1),
    "trainer of several GPUs": (
        lambda weights: prefixed("module.__S__.", weights), "module.__S__.", 0
    ),
}  # fmt: skip


@pytest.fixture
def weights() -> Weights:
    return untrained_model(CONFIG).state_dict()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_of_any_layout_becomes_a_model_file(
    layout: str, weights: Weights, tmp_path: Path
) -> None:
    pack, prefix, num_left_out = LAYOUTS[layout]
    torch.save(pack(weights), tmp_path / "theirs.pt")
    done = import_model(tmp_path / "theirs.pt", model_trial(CONFIG), tmp_path / "own.model")
    assert done.fitted.prefix == prefix
    assert len(done.fitted.left_out) == num_left_out
    loaded = load_speaker_model(done.file)
    assert loaded.epoch == 0
    assert loaded.centres_KD is None
    found = loaded.model.state_dict()
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], each) for name, each in weights.items())


def test_safetensors_are_read_too(weights: Weights, tmp_path: Path) -> None:
    save_file({k: v.contiguous() for k, v in weights.items()}, tmp_path / "w.safetensors")
    done = import_model(tmp_path / "w.safetensors", model_trial(CONFIG), tmp_path / "own.model")
    assert done.fitted.weights.keys() == weights.keys()


@pytest.mark.parametrize("encoder_type", ["SAP", "ASP"])
def test_a_resnet_of_the_trainer_keeps_its_embeddings(encoder_type: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    theirs = MainModel(32, encoder_type)
    wave_BS = torch.randn(4, 16_000) * 0.1
    theirs(wave_BS)  # in training mode, so that the statistics are not those of a new model
    theirs.eval()
    state = prefixed("__S__.", theirs.state_dict()) | {"__L__.weight": LOSS}
    torch.save({"model_state_dict": state}, tmp_path / "theirs.model")
    sizes = ["model.embedding_dim=32", f"model.encoder_type={encoder_type}"]
    config = model_only_config("resnet_se34l", sizes)
    done = import_model(tmp_path / "theirs.model", config, tmp_path / "own.model")
    own = load_speaker_model(done.file).model
    with torch.no_grad():
        torch.testing.assert_close(
            own.embed(LogMel()(wave_BS)), theirs(wave_BS), rtol=1e-3, atol=1e-4
        )
    front_end = {f"__S__.torchfb.{name}" for name in theirs.torchfb.state_dict()}
    assert set(done.fitted.left_out) == front_end | {"__L__.weight"}


def test_another_front_end_is_refused(tmp_path: Path) -> None:
    state = MainModel(32, "SAP", n_mels=40).state_dict()
    torch.save(state, tmp_path / "theirs.model")
    config = model_only_config("resnet_se34l", ["model.embedding_dim=32"])
    message = r"must have 80 mel bins, as Veer's, got 40 \(torch.*; train with n_mels: 80, or"
    with pytest.raises(CheckpointError, match=message):
        import_model(tmp_path / "theirs.model", config, tmp_path / "own.model")
    older = {"torchfb.mel_scale.fb": torch.ones(257, 80)}
    torch.save(older, tmp_path / "older.model")
    with pytest.raises(CheckpointError, match="must have pre-emphasis, as Veer's, got none"):
        import_model(tmp_path / "older.model", config, tmp_path / "own.model")


def test_what_does_not_fit_is_named_with_the_nearest(weights: Weights, tmp_path: Path) -> None:
    weights["embedding.weight"] = torch.ones(48, 32)
    weights["blocks.0.id_convolution.weight"] = weights.pop("blocks.0.id_conv.weight")
    torch.save(prefixed("module.", weights), tmp_path / "theirs.pt")
    with pytest.raises(CheckpointError) as refused:
        import_model(tmp_path / "theirs.pt", model_trial(CONFIG), tmp_path / "own.model")
    text = str(refused.value)
    assert text.startswith(f"{tmp_path / 'theirs.pt'}: 3 tensors do not fit the model; give its")
    assert text.splitlines()[1:] == [
        "  embedding.weight: (48, 32) in the file, (24, 32) in the model",
        "  blocks.0.id_conv.weight (3, 16): not in the file; nearest: "
        "blocks.0.id_convolution.weight (3, 16)",
        "  blocks.0.id_convolution.weight (3, 16): not in the model; nearest: "
        "blocks.0.id_conv.weight (3, 16)",
    ]
    assert not list(tmp_path.glob("own*"))


def test_weights_that_are_not_finite_are_refused(weights: Weights, tmp_path: Path) -> None:
    weights["embedding.bias"] = torch.full_like(weights["embedding.bias"], torch.nan)
    torch.save(weights, tmp_path / "theirs.pt")
    with pytest.raises(CheckpointError, match=r"pt: embedding.bias: weights must be finite, got"):
        import_model(tmp_path / "theirs.pt", model_trial(CONFIG), tmp_path / "own.model")
    assert not list(tmp_path.glob("own*"))


def test_a_model_without_its_decoder_is_whole(tmp_path: Path) -> None:
    config = FAMILIES["lstm"]
    state = untrained_model(config).state_dict()
    plain = {name: each for name, each in state.items() if not name.startswith("decoder.")}
    torch.save({"model": plain}, tmp_path / "theirs.model")
    done = import_model(tmp_path / "theirs.model", model_trial(config), tmp_path / "own.model")
    assert len(done.fitted.not_in_file) == 4
    assert load_speaker_model(done.file).model.state_dict().keys() == state.keys()


def test_the_classifier_has_the_speakers_of_the_train_list(
    weights: Weights, tmp_path: Path
) -> None:
    centres_KD = torch.arange(72.0).reshape(3, 24)
    weights = prefixed("module.__S__.", weights) | {"module.__L__.weight": centres_KD}
    torch.save({"model_state_dict": weights}, tmp_path / "theirs.model")
    train_list = tmp_path / "train_list.txt"
    # The trainer numbers sorted names, capitals first, whatever the order of the lines.
    train_list.write_text("id2 a.wav\nId9 b.wav\nid2 c.wav\nid10 d.wav\n")
    config = model_only_config("mlp_mixer", [*SIZES, "loss.scale=32"])
    done = import_model(tmp_path / "theirs.model", config, tmp_path / "own.model", train_list)
    assert (done.num_speakers, done.fitted.left_out) == (3, ())
    centres = load_teacher(done.file).centres
    assert centres is not None
    assert (centres.speakers, centres.scale) == (("Id9", "id10", "id2"), 32)
    assert torch.equal(centres.weight_KD, centres_KD)

    train_list.write_text("id2 a.wav\nid10 d.wav\n")
    message = r"train_list.txt: must have as many speakers .*theirs.model has classes, 3, got 2;"
    with pytest.raises(CorpusError, match=message):
        import_model(tmp_path / "theirs.model", config, tmp_path / "no.model", train_list)
    weights["__L__.W"] = weights.pop("module.__L__.weight").T
    torch.save(weights, tmp_path / "am.model")
    message = r"AAM-softmax, __L__.weight .*got __L__.W \(24, 3\)"
    with pytest.raises(CheckpointError, match=message):
        import_model(tmp_path / "am.model", config, tmp_path / "no.model", train_list)
    assert not (tmp_path / "no.model").exists()


class Trap:
    def __reduce__(self) -> Any:
        return (Path("trapped").touch, ())


REFUSED = {
    "a trap": (Trap(), "cannot be read without executing what it holds .*save the state_dict"),
    "no weights": ({"epoch": 3}, "must hold weights by name, .*got the keys epoch"),
    "a tensor": (torch.ones(3), "must hold weights by name, .*got a Tensor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_without_weights_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, message = REFUSED[name]
    torch.save(content, "theirs.pt")
    with pytest.raises(CheckpointError, match=f"^theirs.pt: {message}"):
        import_model(Path("theirs.pt"), model_trial(CONFIG), Path("own.model"))
    assert not Path("trapped").exists()


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY" + bytes(64))
    with pytest.raises(CheckpointError, match=r"got a NumPy array \(.npy\)"):
        import_model(tmp_path / "a.npy", model_trial(CONFIG), tmp_path / "own.model")
    (tmp_path / "a.pt").write_bytes(b"\x80\x02 torn")
    with pytest.raises(CheckpointError, match=r"a.pt: cannot be read without executing"):
        import_model(tmp_path / "a.pt", model_trial(CONFIG), tmp_path / "own.model")
    (tmp_path / "a.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"a.pt: the file is empty$"):
        import_model(tmp_path / "a.pt", model_trial(CONFIG), tmp_path / "own.model")
    with pytest.raises(CheckpointError, match=r"gone.pt: there is no such file"):
        import_model(tmp_path / "gone.pt", model_trial(CONFIG), tmp_path / "own.model")


def test_a_model_file_is_never_replaced(weights: Weights, tmp_path: Path) -> None:
    torch.save(weights, tmp_path / "theirs.pt")
    (tmp_path / "own.model").write_text("mine")
    with pytest.raises(CheckpointError, match=r"own.model exists; choose another --out"):
        import_model(tmp_path / "theirs.pt", model_trial(CONFIG), tmp_path / "own.model")
    assert (tmp_path / "own.model").read_text() == "mine"
    with pytest.raises(ConfigError, match=r"must be a file that ends in .model, got .*own.pt"):
        import_model(tmp_path / "theirs.pt", model_trial(CONFIG), tmp_path / "own.pt")


def test_only_the_model_is_set() -> None:
    config = model_only_config("mlp_mixer", ["model.num_frames=40", "model.hidden_dim=16"])
    assert config.training.crop_frames == 40
    with pytest.raises(ConfigError, match=r"must name a setting of the model.*got 'hidden_dim=1'"):
        model_only_config("mlp_mixer", ["hidden_dim=1"])
    with pytest.raises(ConfigError, match="hiden_dim"):
        model_only_config("mlp_mixer", ["model.hiden_dim=16"])
    with pytest.raises(ConfigError, match=r"'mlp_mixr'; did you mean 'mlp_mixer'\?"):
        model_only_config("mlp_mixr", [])
    # As voxceleb_trainer names its models.
    with pytest.raises(ConfigError, match=r"'ResNetSE34L'; did you mean 'resnet_se34l'\?"):
        model_only_config("ResNetSE34L", [])
