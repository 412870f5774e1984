"""Records of a journal for tests: made from what a test cares about, and written with checks."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from results.journal.hash_chain import START, chained
from results.records.record import Record
from results.records.records import EVENTS

R = TypeVar("R", bound=Record)
# Values of required fields for tests that do not care about them.
PLAIN: dict[str, Any] = {
    "time_s": 0.0, "settings": {}, "provenance": {}, "params": {}, "config": {},
    "config_hash": "", "seed": 0, "epoch": 1, "kind": "worker_lost", "state": "complete",
    "host": "h", "pid": 1, "device": "cpu", "num_threads": 1, "hardware": {}, "had_s": 0.0,
    "message": "", "reason": None, "path": "t", "sha256": "",
    "veer_pct": None, "num_params": None, "rows": [], "lists": {}, "stores": {},
}  # fmt: skip
PLAIN_ROW: dict[str, Any] = {
    "num_params": 1, "macs": 1, "batch_size": 1, "num_threads": 1, "latency_median_ms": 1.0,
    "latency_p95_ms": 1.0, "samples_per_s": 1.0, "real_time_factor": 1.0, "speed_ratio": None,
}  # fmt: skip


def made_record(event: str, **fields: Any) -> Record:
    """Return a record of an event; required fields that are not given have plain values."""
    kind = EVENTS[event]
    needed = {name for name, field in kind.model_fields.items() if field.is_required()}
    plain = {name: value for name, value in PLAIN.items() if name in needed | {"time_s"}}
    if "rows" in fields:
        fields["rows"] = [PLAIN_ROW | row for row in fields["rows"]]
    return kind(**plain | fields)


def made_records(*given: Mapping[str, Any]) -> list[Record]:
    """Return records from dicts with `event` and some of its fields, see `made_record`."""
    return [made_record(**each) for each in given]


def journal_lines(given: Iterable[Mapping[str, Any] | Record]) -> list[bytes]:
    """Return the lines of a journal, chained by their checks, without line ends.

    Args:
        given: Records, also ones that break a rule.
    """
    lines, check = [], START
    for each in given:
        fields = each.as_dict() if isinstance(each, Record) else each
        line, check = chained(json.dumps(fields).encode(), check)
        lines.append(line)
    return lines


def write_journal(path: Path, given: Iterable[Mapping[str, Any] | Record]) -> Path:
    """Write a journal of these records, also ones that break a rule."""
    path.write_bytes(b"".join(line + b"\n" for line in journal_lines(given)))
    return path


def changed(record: R, **fields: Any) -> R:
    """Return a record with other values in some fields."""
    return type(record)(**record.as_dict() | fields)
