"""Models from a file of the user's: which are refused, with which message."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models import CustomModelConfig, SpeakerModel, build_model
from spaces.files.errors import ConfigError
from spaces.files.yaml_file import load_mapping
from trainable.config.trial_config import TrialConfig

# An embedding of means; each test below changes a line of it.
NET = """
import torch
from models import ModelConfig, ModelOutput, SpeakerModel

class Net(SpeakerModel):
    def __init__(self, num_mels, embedding_dim, width=8):
        super().__init__()
        self.embedding_dim = embedding_dim
        self.up = torch.nn.Linear(num_mels, width)
        self.embedding = torch.nn.Linear(width, embedding_dim)

    def encode(self, norm_BTF, *, with_stages):
        x_BTC = torch.relu(self.up(norm_BTF))
        emb_BD = self.embedding(x_BTC.mean(1))
        stages = (x_BTC,) if with_stages else ()
        return ModelOutput(emb_BD, stages, None)
"""
CONFIGURED = """
from typing import Literal
from pydantic import Field
from models import ModelConfig
from net import Net as Base

class NetConfig(ModelConfig):
    width: int = Field(8, ge=4)
    kind: Literal["a", "b"]

class Net(Base):
    Config = NetConfig

    def __init__(self, config):
        super().__init__(config.num_mels, config.embedding_dim, config.width)
        self.config = config

class Odd(Net):
    Config = dict
"""

Build = Callable[..., SpeakerModel]


@pytest.fixture
def build(own_code: Callable[..., Path]) -> Build:
    """Return a function that builds `Net` with a piece of its text replaced, from given keys."""

    def of(old: str = "", new: str = "", family: str = "net:Net", **keys: Any) -> SpeakerModel:
        assert old in NET
        own_code("net", NET.replace(old, new, 1) if old else NET)
        own_code("configured", CONFIGURED)
        data = {"family": family, "embedding_dim": 16, **keys}
        return build_model(CustomModelConfig.model_validate(data))

    return of


def test_the_keys_reach_the_class(build: Build) -> None:
    model = build(width=12, embedding_dim=24)
    assert model.up.out_features == 12  # type: ignore[union-attr]
    assert model.embed(torch.randn(2, 30, 80)).shape == (2, 24)
    configured = build(family="configured:Net", width=6, kind="b")
    assert configured.config.model_dump() == {  # type: ignore[union-attr,operator]
        "family": "configured:Net",
        "num_mels": 80,
        "embedding_dim": 16,
        "width": 6,
        "kind": "b",
    }


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"widht": 8}, r"model.widht: unknown key; did you mean 'width'\? \(family net:Net\)"),
        ({"num_frames": 40}, r"model.num_frames: unknown key"),
        (
            {"family": "configured:Net", "kind": "a", "widht": 8},
            r"^model.widht: unknown key; did you mean 'width'\? \(family configured:Net\)$",
        ),
        (
            {"family": "configured:Net", "kind": "c", "width": 2},
            r"model.width: must be greater than or equal to 4, got 2 (.|\n)*"
            r"model.kind: must be 'a' or 'b', got 'c'",
        ),
        ({"family": "configured:Net"}, r"model.kind: required, but not given"),
        ({"family": "configured:Odd"}, r"its Config must inherit from .*, got <class 'dict'>"),
    ],
)
def test_keys_that_the_class_does_not_take_are_refused(
    build: Build, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**keys)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width=8", "width", r"model.width: required, but not given \(family net:Net\)$"),
        (
            "num_mels, embedding_dim, width=8",
            "embedding_dim, num_mels=80, **rest",
            r"building it failed at .*net.py:9: NameError: name 'width' is not defined$",
        ),
        (
            "embedding_dim, width=8",
            "width=8",
            r"its constructor must take num_mels and embedding_dim, and takes no embedding_dim",
        ),
        (
            "self.embedding_dim = embedding_dim",
            "",
            r"its embedding_dim must be the config's, 16, got None$",
        ),
        (
            "= embedding_dim",
            "= 99",
            r"its embedding_dim must be the config's, 16, got 99$",
        ),
        (
            "super().__init__()",
            "super().__init__(); self.num_frames = 50",
            r"its num_frames must be the config's, None, got 50$",
        ),
        (
            "return ModelOutput(emb_BD, stages, None)",
            "return emb_BD",
            r"encode\(\) must return a models.ModelOutput, got Tensor$",
        ),
        (
            "x_BTC.mean(1)",
            "x_BTC",
            r"embedding must have shape \(2, 16\), got \(2, 100, 16\) for crops .*\(2, 100, 80\)$",
        ),
        ("x_BTC.mean(1)", "x_BTC.mean(1) / 0", r"its embedding must be finite, got (nan|-?inf)"),
        (
            "(x_BTC,) if with_stages else ()",
            "(x_BTC.mean(1),) if with_stages else ()",
            r"stages must be a tuple of tensors \(2, T, C\), got \(2, 8\) for crops",
        ),
        (
            "(x_BTC,) if with_stages else ()",
            "[x_BTC] if with_stages else ()",
            r"stages must be a tuple of tensors \(2, T, C\), got \(2, 100, 8\)",
        ),
        (
            "(x_BTC,) if with_stages else ()",
            "(x_BTC,)",
            r"stages must be \(\) unless with_stages, got 1 of them$",
        ),
        (
            "x_BTC.mean(1)",
            "x_BTC[:, :50].reshape(len(x_BTC), 50, -1).mean(1)",
            r"running it for crops of shape \(2, 37, 80\) failed at .*net.py:14: RuntimeError",
        ),
    ],
)
def test_a_breach_of_the_contract_is_refused_with_rule_and_value(
    build: Build, old: str, new: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build(old, new)


def test_the_check_leaves_mode_weights_and_random_state_alone(build: Build) -> None:
    torch.manual_seed(3)
    model = build("emb_BD = ", "torch.rand(1); emb_BD = ")
    after = torch.rand(1)
    assert model.training
    torch.manual_seed(3)
    up, embedding = torch.nn.Linear(80, 8), torch.nn.Linear(8, 16)
    assert torch.equal(model.up.weight, up.weight)  # type: ignore[union-attr,arg-type]
    assert torch.equal(model.embedding.weight, embedding.weight)  # type: ignore[union-attr,arg-type]
    assert torch.equal(after, torch.rand(1))


@pytest.mark.parametrize("family", ["my_mod.Net", "my_mod:", "a/b.py:Net", "1a:Net", "a:b:Net"])
def test_a_family_that_names_no_class_is_refused_with_the_form(family: str) -> None:
    rule = "model.family: a class of your own must be named package.module:Class"
    with pytest.raises(ConfigError, match=rf"{rule}, .*, got {re.escape(repr(family))}$"):
        load_mapping(TrialConfig, {"model": {"family": family}}, "x")


def test_a_misspelt_bundled_family_is_refused_with_the_names() -> None:
    with pytest.raises(
        ConfigError,
        match=r"^x: model.family: must be one of 'mlp_mixer', .*'campplus', got 'mlp_mixr'; "
        r"did you mean 'mlp_mixer'\?$",
    ):
        load_mapping(TrialConfig, {"model": {"family": "mlp_mixr"}}, "x")


def test_the_length_and_the_crop_must_agree_without_the_file() -> None:
    data = {"model": {"family": "a.b:Net", "num_frames": 40}, "loss": {"distillation": "none"}}
    with pytest.raises(ConfigError, match=r"must equal training.crop_frames, got 40 and 200$"):
        load_mapping(TrialConfig, data, "x")


def test_the_canonical_form_keeps_the_keys_of_the_class() -> None:
    model = {"family": "a.b:Net", "width": 8, "kernels": [3, 5], "more": {"a": 1.5}}
    config = TrialConfig.model_validate({"model": model})
    assert config.canonical()["model"].items() >= model.items()
    assert TrialConfig.model_validate(config.canonical()) == config
    other = TrialConfig.model_validate({"model": model | {"width": 9}})
    assert config.model_hash() != other.model_hash()
