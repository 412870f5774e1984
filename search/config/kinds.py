"""Values that a setting may have, apart from the settings: the help loads no Pydantic."""

from typing import Literal

SchedulerKind = Literal["asha", "none"]
SearchDevice = Literal["auto", "cpu", "cuda"]
