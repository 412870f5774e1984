"""The rules for a record of the journal: its fields, their values, and the order of records.

A journal that follows these rules can be replayed and put into tables. One that breaks them, for
example because it was edited by hand, is rejected before anything is computed from it.
"""

from collections.abc import Mapping
from typing import Any

from results.journal.values import (
    COUNT_RULE,
    HARDWARE_RULE,
    LISTS_RULE,
    MAPPING_RULE,
    NUMBER_OR_NULL_RULE,
    NUMBER_RULE,
    NUMBERS_OR_NULL_RULE,
    POINTS_RULE,
    PROVENANCE_RULE,
    ROWS_RULE,
    SETTINGS_RULE,
    STORES_RULE,
    TEXT_OR_NULL_RULE,
    TEXT_RULE,
    TEXTS_RULE,
    THREADS_RULE,
    VIOLATIONS_RULE,
    WHOLE_RULE,
    Rule,
    is_number,
    is_whole,
)

END_STATES: frozenset[str] = frozenset({"complete", "stopped_early", "failed", "diverged"})

RULES: Mapping[str, Rule] = {
    # 1e11 s is in the year 5138; `datetime` takes no year above 9999.
    "time_s": ("a number of seconds since 1970", lambda v: is_number(v) and 0 <= v < 1e11),
    "trial": COUNT_RULE,
    "same_as": COUNT_RULE,
    "epoch": COUNT_RULE,
    "veer_pct": NUMBER_OR_NULL_RULE,
    "seed": WHOLE_RULE,
    "params": MAPPING_RULE,
    "config": MAPPING_RULE,
    "config_hash": TEXT_RULE,
    "follow_up": ("repeat or control", lambda value: value in ("repeat", "control")),
    "follows": COUNT_RULE,
    "settings": SETTINGS_RULE,
    "provenance": PROVENANCE_RULE,
    "space": MAPPING_RULE,
    "path": TEXT_RULE,
    "sha256": TEXT_RULE,
    "num_params": NUMBER_OR_NULL_RULE,
    "kind": TEXT_RULE,
    "message": TEXT_RULE,
    "resource": ("gpu or cpu", lambda value: value in ("gpu", "cpu")),
    "share": NUMBER_RULE,
    "host": TEXT_RULE,
    "pid": WHOLE_RULE,
    "device": TEXT_RULE,
    "num_threads": THREADS_RULE,
    "num_bytes": NUMBER_RULE,
    "context_bytes": NUMBER_RULE,
    "total_bytes": NUMBER_RULE,
    "hardware": HARDWARE_RULE,
    "rows": ROWS_RULE,
    "lists": LISTS_RULE,
    "stores": STORES_RULE,
    "eval_crops": WHOLE_RULE,
    "wanted": WHOLE_RULE,
    "expected_share": NUMBER_OR_NULL_RULE,
    "points": POINTS_RULE,
    "violations": VIOLATIONS_RULE,
    "warnings": TEXTS_RULE,
    "opening": TEXT_RULE,
    "list_sha256": TEXT_RULE,
    "model_sha256": TEXT_RULE,
    "num_pairs": COUNT_RULE,
    "had_s": NUMBER_RULE,
}
# Rules for a field of one event, which replace the rule of `RULES`.
OWN_RULES: Mapping[tuple[str, str], Rule] = {
    ("epoch", "epoch"): ("a whole number of at least 1", lambda v: is_whole(v) and v >= 1),
    ("epoch", "loss_stages"): NUMBERS_OR_NULL_RULE,
    ("epoch", "stage_shares"): NUMBERS_OR_NULL_RULE,
    ("trial_ended", "state"): (f"one of {sorted(END_STATES)}", lambda v: v in list(END_STATES)),
    ("trial_ended", "reason"): TEXT_OR_NULL_RULE,
    ("search_ended", "reason"): TEXT_RULE,
}
# Fields of an epoch that the tables sum or show; null where unknown.
EPOCH_NUMBERS = frozenset(
    {
        "loss_total",
        "loss_classification",
        "loss_distillation",
        "loss_reconstruction",
        "classification_share",
        "distill_share",
        "reconstruction_share",
        "teacher_cosine",
        "train_accuracy_pct",
        "veer_low_pct",
        "veer_high_pct",
        "lr",
        "samples_per_s",
        "train_s",
        "eval_s",
        "peak_memory_mib",
        "overhead_share",
    }
)
# A follow-up trial has both fields, any other trial neither.
FOLLOW_UP = frozenset({"follow_up", "follows"})
NEEDED_OF_KIND: Mapping[str, frozenset[str]] = {"out_of_memory": frozenset({"resource", "share"})}


def record_error(record: Mapping[str, Any], needed: Mapping[str, frozenset[str]]) -> str | None:
    """Return what is wrong with one record by itself, None if nothing.

    Args:
        record: The record as parsed from JSON.
        needed: Required fields by event.
    """
    event = record.get("event")
    if not isinstance(event, str):
        return "a record must have an event"
    if event not in needed:
        return f"event must be one of {sorted(needed)}, got {event!r}"
    wanted = {"time_s"} | needed[event]
    if event == "infrastructure":
        wanted |= NEEDED_OF_KIND.get(str(record.get("kind")), frozenset())
    if event == "trial_started" and FOLLOW_UP & record.keys():
        wanted |= FOLLOW_UP
    if missing := sorted(wanted - record.keys()):
        return f"{event} must have {', '.join(missing)}"
    for key, value in record.items():
        rule = OWN_RULES.get((event, key)) or RULES.get(key)
        if event == "epoch" and key in EPOCH_NUMBERS:
            rule = NUMBER_OR_NULL_RULE
        if rule is not None and not rule[1](value):
            return f"{key} of {event} must be {rule[0]}, got {str(value)[:60]!r}"
    return None


class RecordOrder:
    """Check of the order of records, from the first one on."""

    def __init__(self) -> None:
        self._epochs: list[int] = []  # the last epoch of each trial
        self._ended: set[int] = set()
        # Kind and followed trial of each follow-up; None for the search's own trials.
        self._follows: dict[int, tuple[str, int] | None] = {}

    def next_error(self, record: Mapping[str, Any]) -> str | None:
        """Take the next record; return why it cannot come here, None if it can.

        Args:
            record: A record without an error of its own, see `record_error`.
        """
        event = record["event"]
        if event == "trial_started":
            return self._start(record["trial"]) or self._follow(record)
        key = "same_as" if event == "repeated" else "trial"
        if key not in record:
            return None
        trial = record[key]
        if trial >= len(self._epochs):
            return f"{event} of trial {trial}, which has not started"
        if event == "trial_ended":
            if trial in self._ended:
                return f"trial {trial} ends a second time"
            self._ended.add(trial)
        if event == "epoch":
            return self._epoch(trial, record["epoch"])
        return None

    def _start(self, trial: int) -> str | None:
        if trial > len(self._epochs):
            return f"trial {trial} starts before trial {len(self._epochs)}"
        if trial == len(self._epochs):
            self._epochs.append(0)
        self._ended.discard(trial)
        return None

    def _follow(self, record: Mapping[str, Any]) -> str | None:
        trial = record["trial"]
        followed = (record["follow_up"], record["follows"]) if "follows" in record else None
        if self._follows.setdefault(trial, followed) != followed:
            return f"trial {trial} starts again, but follows another trial than before"
        if followed is not None and (
            followed[1] >= trial or self._follows[followed[1]] is not None
        ):
            return f"trial {trial} must follow an earlier one that follows none, got {followed[1]}"
        return None

    def _epoch(self, trial: int, epoch: int) -> str | None:
        last = self._epochs[trial]
        if trial in self._ended:
            return f"epoch {epoch} of trial {trial}, which has ended"
        if epoch > last + 1:
            return f"epoch {epoch} of trial {trial} without epoch {last + 1}"
        # A trial that restarts from a checkpoint reports earlier epochs again.
        self._epochs[trial] = max(last, epoch)
        return None
