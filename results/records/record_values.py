"""The values of a journal's records: their types, each with its rule as text.

The text of a rule is what the refusal of a value says; Pydantic checks the type beside it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema

from results.records.limits import INT64_MAX, MOST_THREADS

EndState = Literal["complete", "stopped_early", "failed", "diverged"]
HaltReason = Literal["interrupted", "time_limit", "failing", "disk_full", "inverted"]
FollowUpKind = Literal["repeat", "control"]
DrawnBy = Literal["tpe", "local", "random", "start"]
PrecisionName = Literal["float32", "bfloat16", "float16"]
FinalReason = Literal["finished", "target_met", "exhausted", "epochs_spent"]
EndReason = FinalReason | HaltReason

PROVENANCE_TEXTS = ("command", "folder", "python", "code_sha256")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must be, in words; metadata of its type."""

    text: str


class _NeverNull:
    """Metadata of an optional field that is absent or has a value; null is refused."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        return schema["schema"] if schema["type"] == "nullable" else schema


NEVER_NULL = _NeverNull()
T = TypeVar("T")
# The type of a field that may be absent, which is None to readers.
MayLack = Annotated[T | None, NEVER_NULL]


def _obeys(test: Callable[[Any], bool]) -> AfterValidator:
    def check(value: Any) -> Any:
        if not test(value):
            raise ValueError("breaks its rule")
        return value

    return AfterValidator(check)


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= INT64_MAX


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_settings(value: Any) -> bool:
    success, resources = value.get("success") or {}, value.get("resources") or {}
    return (
        isinstance(success, dict)
        and all(each is None or _is_number(each) for each in success.values())
        and isinstance(resources, dict)
        and all(each == "auto" or _is_number(each) for each in resources.values())
    )


def _is_params(value: Any) -> bool:
    return all(isinstance(each, str | bool | None) or _is_number(each) for each in value.values())


def _is_hardware(value: Any) -> bool:
    """Return whether a value is one of `describe_hardware`; unknown fields may be absent."""
    return (
        isinstance(value, dict)
        and all(isinstance(each, str | None) or _is_whole(each) for each in value.values())
        and isinstance(value.get("python"), str | None)
    )


def _is_provenance(value: Any) -> bool:
    """Return whether a value is a provenance; what is not known is null or absent."""
    git, cuda = value.get("git"), value.get("cuda")
    return (
        all(isinstance(value.get(name), str | None) for name in PROVENANCE_TEXTS)
        and all(_is_texts(value.get(name) or {}) for name in ("versions", "environment"))
        and (value.get("packages") is None or _is_list_of_text(value["packages"]))
        and (value.get("hardware") is None or _is_hardware(value["hardware"]))
        and (git is None or (isinstance(git, dict) and isinstance(git.get("commit"), str | None)))
        and isinstance(cuda, dict | None)
    )


Whole = Annotated[int, Field(ge=-INT64_MAX, le=INT64_MAX), Rule("a whole number")]
WholeOrNull = Annotated[Whole | None, Rule("a whole number or null")]
Count = Annotated[int, Field(ge=0, le=INT64_MAX), Rule("a whole number of at least 0")]
EpochNumber = Annotated[int, Field(ge=1, le=INT64_MAX), Rule("a whole number of at least 1")]
EpochNumbers = Annotated[list[EpochNumber], Rule("a list of whole numbers of at least 1")]
Number = Annotated[float, Rule("a number")]
NumberOrNull = Annotated[float | None, Rule("a number or null")]
# 1e11 s is in the year 5138; `datetime` takes no year above 9999.
UnixTime = Annotated[float, Field(ge=0, lt=1e11), Rule("a number of seconds since 1970")]
Text = Annotated[str, Rule("text")]
TextOrNull = Annotated[str | None, Rule("text or null")]
Texts = Annotated[list[str], Rule("a list of text")]
Tree = Annotated[dict[str, Any], Rule("a mapping")]
Precision = Annotated[PrecisionName, Rule(f"one of {sorted(get_args(PrecisionName))}")]
State = Annotated[EndState, Rule(f"one of {sorted(get_args(EndState))}")]
Threads = Annotated[
    int, Field(ge=1, le=MOST_THREADS), Rule(f"a whole number from 1 to {MOST_THREADS}")
]
Hardware = Annotated[
    dict[str, Any],
    _obeys(_is_hardware),
    Rule("a mapping of text and whole numbers, its python text"),
]
Provenance = Annotated[
    dict[str, Any],
    _obeys(_is_provenance),
    Rule(
        "a mapping with versions and environment of text, packages a list of text, hardware, git "
        "and cuda mappings"
    ),
]
Settings = Annotated[
    dict[str, Any],
    _obeys(_is_settings),
    Rule("a mapping, its success one of numbers, its resources one of numbers and auto"),
]
Params = Annotated[
    dict[str, Any], _obeys(_is_params), Rule("a mapping of text, numbers, true and false")
]
Costs = Annotated[
    dict[str, Annotated[float, Field(gt=0)]], Rule("a mapping of numbers above 0 by goal")
]
StoreKeys = Annotated[dict[str, str], Rule("a mapping of keys, which are text, by name")]


class RecordValue(BaseModel):
    """A value of a record that has fields of its own."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", allow_inf_nan=False)


class StartPoint(RecordValue):
    """A config that the search was to start from.

    Attributes:
        source: Where it comes from.
        params: Sampled values by dotted name; None where it did not fit the space.
        remarks: What had to be changed so that it fits.
    """

    source: str
    params: dict[str, Any] | None
    remarks: list[str]


class BrokenLimit(RecordValue):
    """A `spaces.limits.Violation` as recorded, with the same fields."""

    model_config = ConfigDict(extra="forbid")

    limit: str
    value: float
    allowed: float
    is_estimated: bool = False
    text: str | None = None

    @model_validator(mode="after")
    def _can_be_exceeded(self) -> Self:
        # `Violation.excess` divides by the limit.
        if self.text is None and self.allowed == 0:
            raise ValueError("allowed must not be 0")
        return self


class DataList(RecordValue):
    """A list of the corpus.

    Attributes:
        file: Its path, where known.
        sha256: Hash of its content.
        num_utterances: Utterances in it, where known.
        num_speakers: Their speakers, where known.
        num_trial_pairs: Pairs of a list of trial pairs.
    """

    file: str | None = None
    sha256: str
    num_utterances: MayLack[Count] = None
    num_speakers: MayLack[Count] = None
    num_trial_pairs: MayLack[Count] = None


DataLists = Annotated[
    dict[str, DataList], Rule("a mapping of lists by role, each with sha256")
]
StartPoints = Annotated[
    list[StartPoint], Rule("a list of mappings with source, params and remarks")
]
BrokenLimits = Annotated[
    list[BrokenLimit], Rule("a list of mappings with limit, value and allowed")
]
