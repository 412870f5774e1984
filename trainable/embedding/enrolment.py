"""Enrolled speakers: one embedding a name, in a JSON file that belongs to one model.

Shapes: D embedding.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spaces.files.atomic import write_text_atomically
from spaces.files.complaints import did_you_mean
from spaces.files.errors import ConfigError
from trainable.embedding.embedder import CropPlan
from trainable.verification.metrics import Floats
from trainable.verification.scoring import unit_length

DEFAULT_STORE = Path("enrolled.json")


class EnrolledSpeaker(BaseModel):
    """The voice of one speaker."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    num_files: int = Field(ge=1)
    duration_s: float = Field(gt=0)
    embedding: tuple[float, ...]


class EnrolledSpeakers(BaseModel):
    """The speakers of one store."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = 1
    model: str = Field(description="path of the model, as it was given, absolute")
    weights_sha256: str = Field(description="hash of the model's weights")
    num_crops: int = Field(ge=1)
    num_frames: int = Field(ge=1)
    speakers: dict[str, EnrolledSpeaker] = Field(default_factory=dict)

    @property
    def plan(self) -> CropPlan:
        """Which crops the embeddings are of."""
        return CropPlan(num_crops=self.num_crops, num_frames=self.num_frames)

    def speaker(self, name: str, store: Path) -> EnrolledSpeaker:
        """Return a speaker.

        Raises:
            ConfigError: None has the name, and no file.
        """
        if name not in self.speakers:
            near = did_you_mean(name, list(self.speakers))
            raise ConfigError(
                f"{name!r} is neither a file nor a speaker of {store} "
                f"({len(self.speakers)} enrolled){near}: enrol with `veer enroll NAME FILES`"
            )
        return self.speakers[name]

    def require_model(self, weights_sha256: str, store: Path) -> None:
        """Refuse another model than that of the embeddings.

        Raises:
            ConfigError: The weights differ.
        """
        if self.weights_sha256 != weights_sha256:
            raise ConfigError(
                f"{store}: its speakers were enrolled with {self.model}, whose weights are others "
                f"(SHA-256 {self.weights_sha256[:12]}, this model {weights_sha256[:12]}): "
                "embeddings of two models cannot be compared; choose another file with --store"
            )


def enrolled_embedding(embeddings: Sequence[Floats]) -> Floats:
    """Return the embedding of a speaker from those of some files, (D,).

    Each file counts the same, whatever its length and the length of its embedding. The result is
    as long as they are on average, for calibrations that use the length.
    """
    emb_ND = np.stack(embeddings)
    direction_D = unit_length(unit_length(emb_ND).mean(axis=0))
    return np.asarray(direction_D * np.linalg.norm(emb_ND, axis=1).mean())


def read_enrolled(store: Path) -> EnrolledSpeakers:
    """Read a store.

    Raises:
        ConfigError: It is missing or damaged.
    """
    try:
        return EnrolledSpeakers.model_validate_json(store.read_bytes())
    except FileNotFoundError as error:
        raise ConfigError(
            f"{store}: no speaker is enrolled there: enrol with `veer enroll NAME FILES --model M "
            "--store FILE`"
        ) from error
    except OSError as error:
        raise ConfigError(f"{store}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(
            f"{store}: no store of enrolled speakers: {where}: {first['msg']}; restore it, or "
            "choose another file with --store"
        ) from error


def write_enrolled(store: Path, enrolled: EnrolledSpeakers) -> None:
    """Write a store; an earlier file is replaced.

    Raises:
        DiskFullError: There is no room.
        OSError: The folder cannot be written.
    """
    write_text_atomically(store, enrolled.model_dump_json() + "\n")
