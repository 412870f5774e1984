"""The keys of a space file that are not the config's: limits, starts, settings, presets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spaces.files.complaints import Complaint, Keys, complaints, did_you_mean, short_repr
from spaces.limits import Limits

Trees = Mapping[str, Mapping[str, Any]]


class Header(BaseModel):
    """The keys of a space file that are not the config's; `search` is checked by the search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limits: Limits = Field(default_factory=Limits)
    start_from: tuple[str, ...] = ()
    search: dict[str, Any] = Field(default_factory=dict)
    presets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class HeaderAndRest:
    """A space file split into its header and the config's keys.

    Attributes:
        header: The keys that are not the config's; the defaults where the header has faults.
        presets: The config trees of the presets that the header names.
        rest: The mapping without the header's keys.
        faults: Faults of the header.
    """

    header: Header
    presets: Trees
    rest: dict[str, Any]
    faults: list[Complaint]


def split_header(data: Mapping[str, Any], known: Trees) -> HeaderAndRest:
    """Split a file's mapping into its header and the config's keys.

    Args:
        data: The mapping of the file.
        known: Config trees by preset name, from which the file may choose.
    """
    own = {key: data[key] for key in Header.model_fields if key in data}
    rest = {key: value for key, value in data.items() if key not in own}
    faults = _preset_faults(own.get("presets"), known)
    try:
        header = Header.model_validate(own)
    except ValidationError as error:
        # Defaults, so that the rest of the file is still checked in the same pass.
        header = Header()
        faults += complaints(Header, error, own)
    presets = {name: known[name] for name in header.presets if name in known}
    return HeaderAndRest(header=header, presets=presets, rest=rest, faults=faults)


def _preset_faults(names: object, known: Trees) -> list[Complaint]:
    faults: list[Complaint] = []
    listed = names if isinstance(names, list) else []
    for position, name in enumerate(listed):
        if not isinstance(name, str):
            continue  # reported by the validation of the header
        keys: Keys = ("presets", position)
        if name not in known:
            hint = did_you_mean(name, known)
            faults.append(Complaint(keys=keys, text=f"no bundled config {short_repr(name)}{hint}"))
        elif name in listed[:position]:
            faults.append(Complaint(keys=keys, text=f"presets must differ, got {name!r} twice"))
    return faults
