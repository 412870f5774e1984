"""`veer convert` and `veer export --form`, run as a user would."""

from pathlib import Path

import pytest

from search.cli import forms
from spaces.files.errors import CheckpointError, ConfigError
from tests.search.commands import done, veer
from trainable.deployment import request


def test_the_names_of_the_command_are_those_of_the_room() -> None:
    assert forms.FormName == request.Form
    assert forms.InputName == request.GraphInput


def test_a_trial_is_exported_in_a_form(world: Path) -> None:
    run = world / "trained"
    shown = done("export", run, "--form", "torchscript", "--input", "log_mel")
    file = run / "export" / "trial-0000.log_mel.pt"
    assert f"{file}: {file.stat().st_size / 1e6:.2f} MB; on noise" in shown
    assert "a cosine of at least 1.00000 to the model's" in shown
    done("export", run, "--form", "torchscript", "--trial", "0", "--out", world / "own.pt")
    assert (world / "own.pt").is_file()


def test_a_file_is_converted_beside_itself_and_a_training_run_inside(world: Path) -> None:
    done("convert", world / "teacher", "--form", "torchscript")
    assert (world / "teacher" / "export" / "model.pt").is_file()
    [file] = (world / "teacher" / "model").glob("*.model")
    done("convert", file, "--form", "torchscript")
    assert file.with_suffix(".pt").is_file()


@pytest.mark.slow
def test_static_int8_takes_the_audio_of_the_run(world: Path) -> None:
    done("export", world / "trained", "--form", "onnx-int8-static", "--input", "log_mel")
    assert (world / "trained" / "export" / "trial-0000.log_mel.int8-static.onnx").is_file()


@pytest.mark.parametrize("words", [("--epochs", "3"), ("--name", "Mine"),
                                   ("--for", "voxceleb_trainer")], ids=" ".join)  # fmt: skip
def test_a_form_takes_no_other_kind_of_export(world: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="--form takes none of FOLDER, --for, --name and --ep"):
        veer("export", world / "trained", "--form", "onnx", *words)


def test_an_exported_folder_is_converted_inside_itself(world: Path) -> None:
    done("export", world / "trained", "--out", world / "exported")
    done("convert", world / "exported", "--form", "torchscript")
    assert (world / "exported" / "model.pt").is_file()
    with pytest.raises(ConfigError, match=r"model\.pt: a graph has no network to use here: give"):
        veer("convert", world / "exported" / "model.pt", "--form", "onnx")
    with pytest.raises(ConfigError, match=r"model\.pt: a graph has no network .* take an \.onnx"):
        veer("verify", __file__, __file__, "--model", world / "exported" / "model.pt")
    with pytest.raises(CheckpointError, match=r"nothing: there is no such file or folder"):
        veer("convert", world / "nothing", "--form", "onnx")
