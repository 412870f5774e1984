"""The config of augmented copies of the training utterances."""

from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

Range = tuple[float, float]


CopyKind = Literal["noise", "music", "speech", "reverberation", "level"]
"""What is done to an utterance; each copy has one kind."""

KINDS: tuple[CopyKind, ...] = get_args(CopyKind)
MUSAN_KINDS: tuple[CopyKind, ...] = ("noise", "music", "speech")
# Noise can be generated, music and speech cannot.
NEEDS_MUSAN: tuple[CopyKind, ...] = ("music", "speech")

LIMITS: dict[str, Range] = {
    "noise_snr_db": (-30, 60),
    "music_snr_db": (-30, 60),
    "speech_snr_db": (-30, 60),
    "num_voices": (1, 20),
    "level_db": (-40, 20),
    "rt60_s": (0.05, 5),
    "direct_to_reverberant_db": (-20, 40),
}
"""Lowest and highest value allowed in each range."""


class AugmentationConfig(BaseModel):
    """Settings of the augmented copies of the training utterances.

    The default signal-to-noise ratios and numbers of voices are those of voxceleb_trainer
    (`AugmentWAV` in its `DatasetLoader.py`), whose users have the folders already. As there, a
    ratio is that of the utterance to each added sound: a babble of five voices, each 16 dB below
    the utterance, is 9 dB below it as a whole.

    A level copy changes less than its gain suggests: the front end normalises every mel bin, which
    removes the gain from all but the quiet parts, where the offset of the logarithm matters.

    The direct path of a generated room is -6 to 12 dB above its tail by default. This corresponds
    to a distance of about 1 to 0.25 m in a room of 60 m³, by the critical distance
    0.057 sqrt(volume / RT60) (Kuttruff, "Room Acoustics").
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    copies: int = Field(0, ge=0, le=100, description="Augmented copies of every utterance.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the copies.")
    kinds: tuple[CopyKind, ...] | None = Field(
        None,
        min_length=1,
        description="Kinds of copies, equally likely; by default all that the folders allow.",
    )
    musan_dir: Path | None = Field(
        None,
        description="Folder of WAV or FLAC files at any depth. Those below a folder `music` or "
        "`speech` are of that kind, all others are noise. Without it, noise is generated.",
    )
    rir_dir: Path | None = Field(
        None,
        description="Folder of impulse responses of rooms, WAV or FLAC at any depth. Without it, "
        "they are generated.",
    )
    noise_snr_db: Range = Field(
        (0, 15), description="Utterance over noise, lowest to highest, dB."
    )
    music_snr_db: Range = Field(
        (5, 15), description="Utterance over music, lowest to highest, dB."
    )
    speech_snr_db: Range = Field(
        (13, 20), description="Utterance over each voice of a babble, lowest to highest, dB."
    )
    num_voices: tuple[int, int] = Field(
        (3, 7), description="Voices of a babble, fewest to most; each from another file."
    )
    level_db: Range = Field(
        (-10, 0),
        description="Gain of a level copy, lowest to highest, dB; less where it would clip.",
    )
    rt60_s: Range = Field(
        (0.2, 0.8),
        description="Time in which a generated room's reverberation falls by 60 dB, shortest to "
        "longest, seconds.",
    )
    direct_to_reverberant_db: Range = Field(
        (-6, 12),
        description="Direct path over reverberation in a generated room, lowest to highest, dB.",
    )

    @field_validator(
        "noise_snr_db",
        "music_snr_db",
        "speech_snr_db",
        "num_voices",
        "level_db",
        "rt60_s",
        "direct_to_reverberant_db",
    )
    @classmethod
    def _is_ordered(cls, value: Range, info: ValidationInfo) -> Range:
        lowest, highest = LIMITS[info.field_name or ""]
        low, high = value
        if not lowest <= low <= high <= highest:
            raise ValueError(
                f"{lowest:g} <= low <= high <= {highest:g} must hold, "
                f"got low={low:g}, high={high:g}"
            )
        return value

    @field_validator("kinds")
    @classmethod
    def _are_distinct(cls, value: tuple[CopyKind, ...] | None) -> tuple[CopyKind, ...] | None:
        if value and len(set(value)) < len(value):
            raise ValueError(f"must name each kind once, got {', '.join(value)}")
        return value

    @model_validator(mode="after")
    def _folder_is_there(self) -> Self:
        for kind in self.kinds or ():
            if kind in NEEDS_MUSAN and self.musan_dir is None:
                raise ValueError(
                    f"kinds: {kind} needs musan_dir, got none; "
                    f"name the folder, or leave {kind} out of kinds"
                )
        return self

    def resolved_against(self, folder: Path) -> Self:
        """Return the same config with absolute paths; relative ones start from the folder."""
        paths = {name: value for name, value in self if isinstance(value, Path)}
        return self.model_copy(update={name: (folder / p).resolve() for name, p in paths.items()})
