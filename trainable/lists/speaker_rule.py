"""The setting that says how the speakers of a trial list's paths are found."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class SpeakerRule(BaseModel):
    """How the speaker of an utterance follows from its path; exactly one way is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: int | None = Field(
        default=None,
        description="number of the folder of the path, 1 for the first, -1 for the last",
    )
    name_until: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="the file's name up to this character, as in `spk1-002.wav`",
    )
    map: Path | None = Field(
        default=None, description="file with lines 'PATH SPEAKER', as utt2spk, or 'SPEAKER PATH'"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, value: object) -> object:
        """Take a number as the folder, and a text as the map."""
        if isinstance(value, str | Path):
            return {"map": value}
        return {"folder": value} if isinstance(value, int) else value

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        given = [name for name, value in self if value is not None]
        if len(given) != 1:
            raise ValueError(
                f"must give one of folder, name_until and map, got {', '.join(given) or 'none'}"
            )
        if self.folder == 0:
            raise ValueError("folder must be 1 for the first or -1 for the last, got 0")
        return self

    def resolved_against(self, folder: Path) -> Self:
        """Return the same rule with an absolute path; a relative one starts from the folder."""
        if self.map is None:
            return self
        return self.model_copy(update={"map": (folder / self.map).resolve()})

    @property
    def in_words(self) -> str:
        """The rule, for messages: `folder 2 of the path`."""
        if self.map is not None:
            return f"{self.map}"
        if self.name_until is not None:
            return f"the file's name up to {self.name_until!r}"
        number = self.folder or 0
        if number > 0:
            return f"folder {number} of the path"
        return f"folder {-number} of the path, counted from the file"
