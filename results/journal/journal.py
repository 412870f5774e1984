"""The journal: the events of a run, one JSON object a line, append-only.

All other files about the search can be rebuilt from it. Every record has `event` and `time_s`
(seconds since 1970, UTC). Only one process writes. Each line also has a `check` that chains it to
the previous line (see `results.journal.hash_chain`); readers of records do not see it.

search_started   settings, provenance, space (content of the space's file)
search_resumed
search_ended     reason: finished | target_met | exhausted | epochs_spent | interrupted |
                 time_limit | failing (too many trials fail) | disk_full
corpus           what the trials learn from: lists (by role train | val: file, sha256, counts),
                 stores (keys by name: train, copy 1, val, targets of 200 frames, copy 0),
                 warnings (about the lists; may be absent)
teacher          path, veer_pct and num_params (null where unknown), sha256
eval_crops       eval_crops and wanted (crops of a validation utterance), expected_share
start_points     points, each with source, params (null where it did not fit) and remarks
infeasible       a suggestion outside the limits: params, violations (limit, value, allowed, text)
repeated         a suggestion whose config was run before: params, config_hash, same_as (trial)
trial_started    trial, params (sampled values by dotted name), config, config_hash, seed; of a
                 follow-up, which the search runs after its own trials, also follow_up
                 (repeat | control) and follows (the trial whose params it has)
placed           where a trial was started or restarted: trial, epoch (last one finished), host,
                 pid, device, num_threads, hardware; config_hash and model_hash of what was
                 built there; had_s, for how long the worker already had its share at its first
                 report, when this is written (the last three are absent in older journals)
epoch            trial, epoch, and what the trial reported
gpu_share        the part of a GPU that a trial gets (gpu: auto): share, config (the largest), its
                 params, num_bytes (of a training step), is_estimated, context_bytes, total_bytes,
                 gpu
infrastructure   a fault that does not depend on the trial's config: trial, kind (see FAULT_KINDS),
                 epoch (the last finished), message; of kind out_of_memory also resource
                 (gpu | cpu) and share (how much of it the trial has from then on)
trial_ended      trial, state: complete | stopped_early | failed | diverged, reason
benchmark        hardware, rows
test_opened      a test list was opened for a trial's model: opening (its id in the ledger, see
                 `trainable.corpus.test_list_ledger`), trial, epoch, path, list_sha256 (of its
                 content), num_pairs, model_sha256
"""

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self, get_args

from results.journal.hash_chain import START, chained, follows, split_check
from results.journal.records import END_STATES, RecordOrder, record_error
from spaces.files.atomic import WholeAppends
from spaces.files.disk import translate_disk_full
from spaces.files.errors import RunError
from spaces.files.locks import open_no_follow

Record = dict[str, Any]
EndState = Literal["complete", "stopped_early", "failed", "diverged"]
HaltReason = Literal["interrupted", "time_limit", "failing", "disk_full"]
EndReason = Literal["finished", "target_met", "exhausted", "epochs_spent"] | HaltReason

FIELDS: dict[str, frozenset[str]] = {
    "search_started": frozenset({"settings", "provenance"}),
    "search_resumed": frozenset(),
    "search_ended": frozenset({"reason"}),
    "corpus": frozenset({"lists", "stores"}),
    "teacher": frozenset({"path", "veer_pct", "num_params", "sha256"}),
    "eval_crops": frozenset({"eval_crops", "wanted", "expected_share"}),
    "start_points": frozenset({"points"}),
    "infeasible": frozenset({"params", "violations"}),
    "repeated": frozenset({"params", "config_hash", "same_as"}),
    "trial_started": frozenset({"trial", "params", "config", "config_hash", "seed"}),
    "placed": frozenset({"trial", "epoch", "host", "pid", "device", "num_threads", "hardware"}),
    "epoch": frozenset({"trial", "epoch", "veer_pct"}),
    "gpu_share": frozenset({"share", "num_bytes", "context_bytes", "total_bytes", "config"}),
    "infrastructure": frozenset({"kind", "trial", "epoch", "message"}),
    "trial_ended": frozenset({"trial", "state", "reason"}),
    "benchmark": frozenset({"hardware", "rows"}),
    "test_opened": frozenset(
        {"opening", "trial", "epoch", "path", "list_sha256", "num_pairs", "model_sha256"}
    ),
}
FAULT_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "out_of_memory": "its share of the memory was too small; it is run again with more",
        "worker_lost": "its process died",
        "node_lost": "the node that it ran on died",
        "hung": "no epoch ended in many times the usual time; its process was killed",
        "device_error": "the GPU or its driver failed",
        "error": "an unknown error",
        "checkpoint_damaged": "a checkpoint could not be used; an earlier one was used, or none",
    }
)
# Reasons after which a search has nothing left to do; after the others it can be resumed.
ENDINGS: frozenset[str] = frozenset({"finished", "target_met", "exhausted", "epochs_spent"})
END_REASONS: frozenset[str] = ENDINGS | frozenset(get_args(HaltReason))


class Journal:
    """Writer of a journal file; each record is on disk when `append` returns.

    Not thread-safe; it must be the only writer of its file. A last line that a crash left
    incomplete is removed, so that the next record starts on a new line. A journal of an older
    version, without checks, is continued without checks.

    Raises:
        RunError: The file is a link to another one.
        DiskFullError: There is no room for the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with translate_disk_full(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open_no_follow(path, os.O_RDWR | os.O_APPEND)
        # Unbuffered, as `WholeAppends` needs it.
        self._file = os.fdopen(file, "a+b", buffering=0)
        self._appends = WholeAppends(self._file, path)
        self._followers: list[Callable[[Record], None]] = []
        try:
            # The check of the last line; None in a journal without checks.
            self._check: bytes | None = _last_check(self._mend_last_line())
        except BaseException:
            self._file.close()
            raise

    def _mend_last_line(self) -> bytes:
        """Terminate a complete last line, and remove an incomplete one.

        An incomplete record never took effect: `append` had not returned.

        Returns:
            The last line that is left, empty where there is none.
        """
        self._file.seek(0)
        before, _, last = self._file.read().rpartition(b"\n")
        if last and _is_json(last):
            self._appends.append(b"\n")
            return last
        if last:
            self._file.truncate(len(before) + 1 if before else 0)
        return before.rpartition(b"\n")[2]

    def append(self, event: str, **fields: Any) -> Record:
        """Write one record and return it as a reader will see it.

        Numbers that are not finite are written as null, because JSON has none.

        Raises:
            DiskFullError: There is no room; no part of the record is in the file.
            ValueError: The event is unknown, or lacks a required field.
        """
        _require_valid(event, fields)
        record = _plain({"event": event, "time_s": time.time(), **fields})
        line = json.dumps(record, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        content, check = line.encode(), self._check
        if check is not None:
            content, check = chained(content, check)
        self._appends.append(content + b"\n")
        # Only after the write: a failed append must not move the chain.
        self._check = check
        # Followers get what readers get, not the caller's own objects.
        written = dict(json.loads(line))
        for follower in self._followers:
            follower(written)
        return written

    def follow(self, follower: Callable[[Record], None]) -> None:
        """Call a function with every further record, once the record is on disk.

        Args:
            follower: Must not raise and must not change the record: `append` returns the same
                object.
        """
        self._followers.append(follower)

    def close(self) -> None:
        """Close the file; a second call has no effect."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_journal(path: Path) -> tuple[Record, ...]:
    """Return all records, oldest first, without an incomplete last line that a crash left.

    Raises:
        RunError: There is no such file; or a line before the last is damaged, altered, removed or
            inserted; or a record breaks a rule of `results.journal.records`, for example because
            only a later version knows its event.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError as error:
        raise RunError(f"{path}: no journal here") from error
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or error}") from error
    # Empty after a complete line, or the part of a line that was written before a crash.
    if not _is_json(lines[-1]):
        lines.pop()
    records, check, order = [], first_check(lines), RecordOrder()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found = record_of(line, check, order)
            if isinstance(found, str):
                raise RunError(f"{path}:{number}: {found}; restore the file from a copy")
            records.append(found)
            check = split_check(line)[1]
    return tuple(records)


def record_of(line: bytes, before: bytes | None, order: RecordOrder) -> Record | str:
    """Return the record of a line, or a text about what is wrong with it.

    Args:
        line: The line without its end.
        before: The check of the previous line, None in a journal without checks.
        order: The state after the previous records; updated.
    """
    text, check = split_check(line)
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):  # also UnicodeDecodeError
        return f"damaged, a line must be a JSON object, got {line[:80]!r}"
    if not isinstance(record, dict):
        return f"a record must have an event, got {line[:80]!r}"
    if check is None or before is None:
        if check is not before:
            return "either every record or none must have a check"
    elif not follows(text, check, before):
        return "altered, or lines before it were altered, removed or inserted"
    return record_error(record, FIELDS) or order.next_error(record) or record


def as_recorded(value: Any) -> Any:
    """Return a value as a reader of the journal sees it, with JSON's types."""
    return json.loads(json.dumps(_plain(value), allow_nan=False))


def first_check(lines: Sequence[bytes]) -> bytes | None:
    """Return the check that the first line chains to, None in a journal without checks."""
    first = next((line for line in lines if line.strip()), b"")
    return _last_check(first) if split_check(first)[1] is None else START


def _last_check(line: bytes) -> bytes | None:
    """Return the check that the next line chains to; `line` is empty in a new journal."""
    return START if not line.strip() else split_check(line)[1]


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _require_valid(event: str, fields: Record) -> None:
    if event not in FIELDS:
        raise ValueError(f"event must be one of {sorted(FIELDS)}, got {event!r}")
    missing = FIELDS[event] - fields.keys()
    if missing:
        needed = sorted(FIELDS[event])
        raise ValueError(f"event {event!r} must have {needed}, lacks {sorted(missing)}")
    if event == "trial_ended" and fields["state"] not in END_STATES:
        raise ValueError(f"state must be one of {sorted(END_STATES)}, got {fields['state']!r}")
    if event == "search_ended" and fields["reason"] not in END_REASONS:
        raise ValueError(f"reason must be one of {sorted(END_REASONS)}, got {fields['reason']!r}")


def _plain(value: Any) -> Any:
    """Return a value in JSON's types: paths as text, NumPy scalars as numbers, NaN as None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    # NumPy scalars and 0-d tensors, without an import of NumPy or torch here.
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
