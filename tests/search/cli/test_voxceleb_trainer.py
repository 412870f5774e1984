"""`veer export --for voxceleb_trainer` and `veer import`, run as a user would."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from models import LogMel
from models.catalogue import BUILDERS
from search.cli.import_model import FAMILIES
from spaces.files.errors import ConfigError, RunError
from spaces.files.yaml_file import read_yaml, write_yaml
from tests.search.commands import done, veer
from trainable.checkpoints.loading import load_speaker_model
from trainable.foreign_models.plugin import PluginProcess, read_plugin

FOR = ("--for", "voxceleb_trainer")
SIZES = ("--family", "mlp_mixer", *(
    word for each in ("hidden_dim=16", "num_blocks=1", "num_frames=40", "embedding_dim=24")
    for word in ("--set", f"model.{each}")
))  # fmt: skip


def config(folder: Path, name: str) -> dict[str, Any]:
    return dict(read_yaml(folder / "configs" / f"{name}.yaml").data)


def test_the_best_trial_of_a_search_is_exported_with_its_distillation(
    world: Path, tmp_path: Path
) -> None:
    shown = done("export", world / "trained", *FOR, tmp_path / "out")
    assert f"VeerMLPMixer is in {tmp_path / 'out'}; copy its content into" in shown
    plain = config(tmp_path / "out", "VeerMLPMixer")
    fork = config(tmp_path / "out", "VeerMLPMixer_distillation")
    assert plain["test_list"] == str(world / "corpus" / "veri_val.txt")
    assert plain["nClasses"] == 6
    assert plain.items() <= fork.items()
    assert {key: value for key, value in fork.items() if key not in plain} == {
        "teacher_model": "VeerLSTMAutoencoder",
        "teacher_checkpoint": "weights/VeerLSTMAutoencoder.model",
        "distillation_alpha": 0.7,
        "distillation_type": "cosine",
        "hidden_dim": 16,
        "num_blocks": 1,
        "expansion_factor": 3,
        "groups": 4,
    }
    # Averaged weights are what Veer evaluates, and the trainer has none.
    head = (tmp_path / "out" / "configs" / "VeerMLPMixer.yaml").read_text()
    assert "# Not in voxceleb_trainer: training.ema_epochs 0.5\n" in head
    assert "# Not in voxceleb_trainer: loss.distillation cosine\n" in head


def test_a_training_run_and_a_model_file_are_exported_too(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done("export", world / "teacher", *FOR, out, "--name", "Teacher")
    (file,) = (world / "teacher" / "model").glob("*.model")
    before = {each.name: each.read_bytes() for each in out.rglob("*") if each.is_file()}
    assert set(before) == {"Teacher.py", "Teacher.model", "Teacher.yaml", "Teacher.md"}
    done("export", file, *FOR, out, "--name", "Teacher")
    assert {each.name: each.read_bytes() for each in out.rglob("*") if each.is_file()} == before


def test_a_plugin_is_a_teacher_of_veer_too(world: Path, tmp_path: Path) -> None:
    done("export", world / "teacher", *FOR, tmp_path / "trainer")
    name = "VeerLSTMAutoencoder"
    plugin = {"trainer": "trainer", "model": name, "weights": f"trainer/weights/{name}.model"}
    write_yaml(tmp_path / "plugin.yaml", plugin | {"device": "cpu"})
    wave_BS = torch.randn(2, 6_000) * 0.1
    with PluginProcess(read_plugin(tmp_path / "plugin.yaml"), "plugin.yaml") as process:
        found = process.receive(process.send(wave_BS.numpy()))
    own = load_speaker_model(world / "teacher").model
    with torch.no_grad():
        expected = own.embed(LogMel()(wave_BS))
    torch.testing.assert_close(torch.from_numpy(found.copy()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (FOR, r"a FOLDER must be given together, got --for voxceleb_trainer alone: veer export"),
        (("OUT",), r"given together, got a folder: veer export \S+ --for voxceleb_trainer FOLDER"),
        (("--name", "A"), r"must be given together, got --name"),
        ((*FOR, "OUT", "--epochs", "3"), r"--for takes neither --out nor --epochs"),
    ],
)
def test_what_belongs_together_is_given_together(
    words: tuple[str, ...], message: str, world: Path, tmp_path: Path
) -> None:
    given = [word.replace("OUT", str(tmp_path / "out")) for word in words]
    with pytest.raises(ConfigError, match=message):
        veer("export", world / "trained", *given)
    assert not (tmp_path / "out").exists()


def test_a_trainers_folder_is_never_replaced(world: Path, tmp_path: Path) -> None:
    """Not even once the content of an export was copied into it."""
    trainer = tmp_path / "voxceleb_trainer"
    (trainer / "models").mkdir(parents=True)
    (trainer / "models" / "ResNetSE34L.py").write_text("theirs")
    done("export", world / "trained", *FOR, tmp_path / "out")
    shutil.copytree(tmp_path / "out", trainer, dirs_exist_ok=True)
    with pytest.raises(RunError, match=r"got models/ResNetSE34L.py; choose another folder"):
        veer("export", world / "trained", *FOR, trainer)
    assert (trainer / "models" / "ResNetSE34L.py").read_text() == "theirs"


def test_the_help_of_import_names_every_family() -> None:
    assert FAMILIES.split(", ") == list(BUILDERS)


def test_weights_come_back_and_are_evaluated(world: Path, tmp_path: Path) -> None:
    """As the trainer saves them after a training: with its prefix and its loss."""
    done("export", world / "trained", *FOR, tmp_path / "out")
    weights = torch.load(tmp_path / "out" / "weights" / "VeerMLPMixer.model")["model"]
    state = {f"__S__.{name}": each for name, each in weights.items()} | {
        "__L__.weight": torch.ones(6, 24)
    }
    torch.save({"model_state_dict": state, "epoch": 10}, tmp_path / "model000000010.model")
    back = tmp_path / "back.model"
    shown = done("import", tmp_path / "model000000010.model", *SIZES, "--out", back)
    assert "names began with __S__." in shown
    assert "left out, of other parts: __L__.weight" in shown
    (tmp_path.parent / "config.yaml").write_text("of: another program\n")
    done("export", back, *FOR, tmp_path / "again")
    (tmp_path.parent / "config.yaml").unlink()
    own = load_speaker_model(world / "trained" / "trials" / "0000").model.state_dict()
    found = load_speaker_model(back).model.state_dict()
    assert all(torch.equal(found[name], each) for name, each in own.items())
    pairs = ("--pairs", world / "corpus" / "veri_val.txt", "--root", world / "corpus" / "val")
    scores = [
        done("evaluate", model, *pairs, "--eval-frames", "60").partition("voxceleb_trainer")[2]
        for model in (back, world / "trained")
    ]
    assert scores[0] == scores[1]
