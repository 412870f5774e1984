"""What a space file says beside the config's own keys: limits, starts, settings, presets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spaces.files.complaints import Complaint, Keys, complaints, did_you_mean, short_repr
from spaces.limits import Limits

Trees = Mapping[str, Mapping[str, Any]]


class Header(BaseModel):
    """The keys of a space file that are not the config's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limits: Limits = Field(default_factory=Limits)
    start_from: tuple[str, ...] = ()
    search: dict[str, Any] = Field(default_factory=dict)
    presets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class HeaderAndRest:
    """A space file in two parts.

    Attributes:
        header: What is not the config's.
        presets: The trees of the presets that it names.
        rest: The config's keys.
        faults: What is wrong with the header; where there are any, it is empty.
    """

    header: Header
    presets: Trees
    rest: dict[str, Any]
    faults: list[Complaint]


def split_header(data: Mapping[str, Any], known: Trees) -> HeaderAndRest:
    """Part a file's mapping.

    Args:
        data: The file's.
        known: Config trees by preset name.
    """
    own = {key: data[key] for key in Header.model_fields if key in data}
    rest = {key: value for key, value in data.items() if key not in own}
    faults = _preset_faults(own.get("presets"), known)
    try:
        header = Header.model_validate(own)
    except ValidationError as error:
        header = Header()
        faults += complaints(Header, error, own)
    presets = {name: known[name] for name in header.presets if name in known}
    return HeaderAndRest(header=header, presets=presets, rest=rest, faults=faults)


def _preset_faults(names: object, known: Trees) -> list[Complaint]:
    faults: list[Complaint] = []
    listed = names if isinstance(names, list) else []
    for place, name in enumerate(listed):
        if not isinstance(name, str):
            continue
        keys: Keys = ("presets", place)
        if name not in known:
            hint = did_you_mean(name, known)
            faults.append(Complaint(keys=keys, text=f"no bundled config {short_repr(name)}{hint}"))
        elif name in listed[:place]:
            faults.append(Complaint(keys=keys, text=f"presets must differ, got {name!r} twice"))
    return faults
