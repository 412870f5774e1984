"""The base class of settings that are read from files or the command line."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of frozen settings; unknown keys are errors, so that a misspelt one is not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")
