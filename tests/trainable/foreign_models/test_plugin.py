"""A voxceleb_trainer plug-in: its YAML, its own modules in a process of its own, its weights."""

import argparse
import io
import stat
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from spaces.files.errors import ConfigError, TrainingError
from tests.worlds.toy_trainer import CROP_SAMPLES, network, weights
from trainable.foreign_models.plugin import PluginProcess, read_plugin
from trainable.foreign_models.plugin_worker import (
    _namespaces_allowed,
    device_for,
    network_weights,
    serve,
)


@pytest.mark.slow
def test_an_interpreter_of_ones_own_finds_the_trainers_modules_whatever_is_installed(
    make_plugin: Callable, tmp_path: Path
) -> None:
    for name in ("models", "utils"):
        package = tmp_path / "installed" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"raise ImportError('the wrong {name}')\n")
    wrapper = tmp_path / "theirs" / "python"
    plugin = make_plugin(python="python")
    # An installed Veer is a package `models` on the path, as is the one here without -I.
    wrapper.write_text(
        f'#!/bin/sh\nshift\nPYTHONPATH="{tmp_path / "installed"}" exec "{sys.executable}" "$@"\n'
    )
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    wave_BS = torch.rand(2, CROP_SAMPLES)
    with PluginProcess(read_plugin(plugin), "plugin.yaml") as process:
        emb_BD = process.receive(process.send(wave_BS.numpy()))
    torch.testing.assert_close(torch.from_numpy(emb_BD.copy()), network()(wave_BS))


def test_leaving_ends_the_process_and_what_it_started(
    make_plugin: Callable, use_worker: Callable
) -> None:
    use_worker("0", start="subprocess.Popen(['sleep', '60'])")
    with PluginProcess(read_plugin(make_plugin()), "plugin.yaml") as process:
        group = process._process.pid
        assert len(members(group)) == 2
    deadline_s = time.monotonic() + 10
    while members(group) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert members(group) == []


def members(group: int) -> list[int]:
    """Processes of a group that still run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, pgid = (folder / "stat").read_text().rpartition(") ")[2].split()[:3]
        except OSError:
            continue
        if int(pgid) == group and state != "Z":
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"__S__.fc.bias": None}, r"got 1 missing \(fc.bias\); correct `arguments`"),
        ({"__S__.fc.more": torch.ones(1)}, r"got 1 unexpected \(fc.more\)"),
        ({"fc.more": torch.ones(1)}, r"begin with __S__. .* or __L__. .*, got fc.more"),
        ({"__S__.fc.bias": torch.ones(7)}, r"1 of another shape \(fc.bias of \(7,\) for \(24,\)"),
    ],
)
def test_weights_must_fit_strictly(changed: dict, message: str) -> None:
    given = weights()
    del given["__L__.W"]
    own = {name.removeprefix("__S__."): each for name, each in given.items()}
    assert network_weights(weights(), own).keys() == own.keys()
    given = {name: each for name, each in (weights() | changed).items() if each is not None}
    with pytest.raises(ValueError, match=message):
        network_weights(given, own)


@pytest.mark.parametrize(
    "named",
    [
        lambda name: f"module.{name}",
        lambda name: name.replace("__S__.", "__S__.module.").replace("__L__.", "__L__.module."),
        lambda name: name.removeprefix("__S__."),
        lambda name: f"module.{name.removeprefix('__S__.')}",
    ],
    ids=["of the whole", "of the network", "bare", "bare, of several GPUs"],
)
def test_prefixes_of_data_parallel_and_none_at_all_are_taken(named: Callable) -> None:
    plain = weights()
    if "__S__" not in named("__S__.fc.bias"):
        del plain["__L__.W"]
    own = {name: each for name, each in weights().items() if name.startswith("__S__.")}
    own = {name.removeprefix("__S__."): each for name, each in own.items()}
    found = network_weights({named(name): each for name, each in plain.items()}, own)
    assert found.keys() == own.keys()
    assert all(torch.equal(found[name], own[name]) for name in own)


def test_a_file_of_weights_may_hold_the_arguments_of_its_training(tmp_path: Path) -> None:
    state = {"model_state_dict": weights(), "args": argparse.Namespace(nOut=24)}
    torch.save(state, tmp_path / "w.model")
    with _namespaces_allowed():
        read = torch.load(tmp_path / "w.model", weights_only=True)
    assert read["args"].nOut == 24


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda x: x[:, 0], r"turn \(5, 7\) samples into \(5, embedding size\), got \(5,\)"),
        (lambda x: (x, x), "got tuple"),
        (lambda x: x[:4], r"got \(4, 7\)"),
    ],
)
def test_a_model_that_gives_no_embeddings_is_refused(give: Callable, message: str) -> None:
    asked = io.BytesIO(struct.pack("<II", 5, 7) + bytes(4 * 5 * 7))
    with pytest.raises(ValueError, match=message):
        serve(give, "cpu", asked, io.BytesIO())


@pytest.mark.slow
@pytest.mark.usefixtures("code_allowed")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arguments": {"nOut": 7}}, r"loading the model;.*57.model, models/Toy.py"),
        ({"arguments": {"nOut": "many"}}, r"status 1 while loading the model;.*TypeError"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_reported(
    make_plugin: Callable, settings: dict, message: str
) -> None:
    config = read_plugin(make_plugin(**settings))
    with pytest.raises(TrainingError, match=rf"(?s){message}"), PluginProcess(config, "p.yaml"):
        pass


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "Toys"}, r"plugin.yaml:2: model: must be a file of .*; did you mean 'Toy'\?"),
        ({"model": "../Toy"}, r"plugin.yaml:2: model: .* got '../Toy'"),
        ({"trainer": "trainers"}, r"plugin.yaml:1: trainer: must be a folder with models/\*.py"),
        ({"weights": "none.model"}, r"plugin.yaml:3: weights: there is no file .*none.model"),
        ({"python": "none/python"}, r"plugin.yaml:\d+: python: there is no file .*none/python"),
        ({"num_crops": 0}, r"num_crops: .* got 0"),
        ({"num_crop": 3}, r"num_crop: unknown key; did you mean 'num_crops'\?"),
    ],
)
def test_a_yaml_that_breaks_a_rule_is_refused_with_its_line(
    make_plugin: Callable, settings: dict, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_plugin(make_plugin(**settings))


def test_a_plugin_on_a_gpu_has_all_bits_of_float32_and_passes_over_no_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, cudnn = torch.backends.cudnn.allow_tf32, torch.backends.cudnn
    try:
        cudnn.allow_tf32 = True
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
        assert [device_for("auto"), device_for("cpu"), cudnn.allow_tf32] == ["cpu", "cpu", True]
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        with pytest.raises(SystemExit, match="sees a GPU that it cannot use; set device: cpu"):
            device_for("auto")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        assert [device_for("auto"), cudnn.allow_tf32] == ["cuda", False]
    finally:
        cudnn.allow_tf32 = before
