"""The root of this package's configs."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
