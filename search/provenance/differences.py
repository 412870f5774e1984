"""Differences between two provenances: versions, code, hardware, environment."""

from collections.abc import Mapping, Sequence
from typing import Any

from results.records.record import Record
from results.records.search_records import SearchStarted
from search.provenance.provenance import AUTH_MODE, CODE_DIGITS

UNKNOWN = "not recorded"
UNSET = "not set"
# An upgrade of the environment changes dozens of packages; the journal names all of them.
MAX_NAMES = 6
HARDWARE = {
    "cpu": "CPU",
    "torch_cpu_capability": "CPU capability",
    "num_cores": "CPU cores",
    "machine": "machine",
    "system": "system",
    "torch": "torch build",
}


def changes_since_start(records: Sequence[Record], now: Mapping[str, Any]) -> list[str]:
    """Return the differences between now and the start of a run, a sentence each.

    Args:
        records: The run's journal; without a start there are no differences.
        now: The provenance of this process, from `search.provenance.provenance.provenance`.
    """
    started = next((each for each in records if isinstance(each, SearchStarted)), None)
    if started is None or not started.provenance:
        return []
    return [f"since this run began: {text}" for text in changes(started.provenance, now)]


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the differences of two provenances, each as in `torch 2.10.0 then, 2.11.0 now`.

    Args:
        then: The earlier provenance; fields that it does not have are not compared.
        now: The later provenance.
    """
    one, two = _facts(then), _facts(now)
    named = [
        describe_change(name, value, two.get(name, UNKNOWN))
        for name, value in one.items()
        if value != two.get(name)
    ]
    return [*named, *_other_packages(then, now), *changed_variables(then, now)]


def describe_change(name: str, then: object, now: object) -> str:
    """Return one difference in words, as in `torch 2.10.0 then, 2.11.0 now`."""
    return f"{name} {then} then, {now} now"


def _facts(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return the values that are compared by name, as text."""
    hardware, git = provenance.get("hardware") or {}, provenance.get("git") or {}
    cuda = provenance.get("cuda") or {}
    # A value that one side lacks is left out: as where the folder is no git repository.
    facts = {
        "python": provenance.get("python"),
        **(provenance.get("versions") or {}),
        "git commit": (git.get("commit") or "")[:CODE_DIGITS] or None,
        "Veer's code": (provenance.get("code_sha256") or "")[:CODE_DIGITS] or None,
        **{word: hardware.get(name) for name, word in HARDWARE.items()},
        "GPUs": cuda.get("num_gpus"),
        "GPU driver": cuda.get("driver"),
    }
    return {name: str(value) for name, value in facts.items() if value is not None}


def _other_packages(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return one sentence on the packages that are not in `versions`, naming the first few."""
    if not (then.get("packages") and now.get("packages")):
        return []
    named = {*(then.get("versions") or {}), *(now.get("versions") or {})}
    # Pairs of name and version: an upgraded package appears twice.
    pairs = set(then["packages"]) ^ set(now["packages"])
    names = sorted({pair.partition("==")[0] for pair in pairs} - named, key=str.lower)
    if not names:
        return []
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return [f"other packages with another version: {', '.join(names[:MAX_NAMES])}{more}"]


def changed_variables(
    then: Mapping[str, Any], now: Mapping[str, Any], prefixes: tuple[str, ...] = ("",)
) -> list[str]:
    """Return the environment variables that were changed, set or unset, a sentence each.

    The mode of Ray's authentication is left out: a connected search sets it itself.

    Args:
        then: The earlier provenance; without an environment no variable counts as set.
        now: The later provenance.
        prefixes: Only variables whose names begin with one of these are compared.
    """
    one, two = (
        {
            name: value
            for name, value in (provenance.get("environment") or {}).items()
            if name.startswith(prefixes) and name != AUTH_MODE
        }
        for provenance in (then, now)
    )
    return [
        describe_change(name, one.get(name, UNSET), two.get(name, UNSET))
        for name in sorted({*one, *two})
        if one.get(name) != two.get(name)
    ]
