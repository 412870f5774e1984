"""A config class for the tests of spaces: a union, bounds, and a rule across fields."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from spaces.files.errors import ConfigError
from spaces.reading.space_file import read_space
from spaces.space import Space
from trainable.config.trial_config import TrialConfig


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Mixer(Part):
    family: Literal["mixer"] = "mixer"
    hidden_dim: int = Field(192, ge=8)
    num_blocks: int = Field(6, ge=1, le=64)
    groups: int = 4
    grouped: bool = False

    @model_validator(mode="after")
    def _groups_divide(self) -> Self:
        if self.hidden_dim % self.groups:
            raise ValueError(
                f"hidden_dim % groups == 0 must hold, got {self.hidden_dim} and {self.groups}"
            )
        return self


class Lstm(Part):
    family: Literal["lstm"] = "lstm"
    num_layers: int = 3


class Loss(Part):
    distillation: Literal["none", "mse", "cosine"] = "cosine"
    alpha: float = Field(0.7, ge=0, le=1)
    temperature: float = Field(4.0, gt=0)
    limit: float | None = None


class Config(Part):
    model: Annotated[Mixer | Lstm, Field(discriminator="family")] = Mixer()
    loss: Loss = Loss()
    lr: float = 1e-3
    weights: dict[str, float] = {}
    seed: int = 0


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Space]:
    """Read a space file with this text."""

    def read_text(text: str) -> Space:
        (tmp_path / "a.yaml").write_text(text)
        return read_space(tmp_path / "a.yaml", Config)

    return read_text


@pytest.fixture
def read_trials(tmp_path: Path) -> Callable[..., Space]:
    """Read a space file of trial configs with this text, and with these presets."""

    def read_text(text: str, presets: Mapping[str, Mapping[str, Any]] | None = None) -> Space:
        (tmp_path / "a.yaml").write_text(text)
        return read_space(tmp_path / "a.yaml", TrialConfig, presets)

    return read_text


@pytest.fixture
def mistakes(tmp_path: Path, read: Callable[[str], Space]) -> Callable[[str], list[str]]:
    """Return the lines of the error for a space file with this text, without its path."""

    def found(text: str) -> list[str]:
        with pytest.raises(ConfigError, match=re.escape(f"{tmp_path}/a.yaml:")) as caught:
            read(text)
        lines = str(caught.value).splitlines()
        return [line.removeprefix(f"{tmp_path}/a.yaml:") for line in lines]

    return found
