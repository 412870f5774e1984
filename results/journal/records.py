"""What a record of the journal must hold for its readers, and in which order records come.

A journal that keeps these rules can be replayed and put into tables; one that does not, since it
was altered or put together by hand, is refused before anything is computed from it.
"""

from collections.abc import Mapping
from typing import Any

from results.journal.values import (
    COUNT,
    HARDWARE,
    LISTS,
    MAPPING,
    NUMBER,
    NUMBER_OR_NULL,
    NUMBERS_OR_NULL,
    POINTS,
    PROVENANCE,
    ROWS,
    SETTINGS,
    STORES,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    THREADS,
    VIOLATIONS,
    WHOLE,
    Rule,
    is_number,
    is_whole,
)

Record = dict[str, Any]

END_STATES: frozenset[str] = frozenset({"complete", "stopped_early", "failed", "diverged"})

RULES: Mapping[str, Rule] = {
    "time_s": ("a number of seconds since 1970", lambda v: is_number(v) and 0 <= v < 1e11),
    "trial": COUNT,
    "same_as": COUNT,
    "epoch": COUNT,
    "veer_pct": NUMBER_OR_NULL,
    "seed": WHOLE,
    "params": MAPPING,
    "config": MAPPING,
    "config_hash": TEXT,
    "follow_up": ("repeat or control", lambda value: value in ("repeat", "control")),
    "follows": COUNT,
    "settings": SETTINGS,
    "provenance": PROVENANCE,
    "space": MAPPING,
    "path": TEXT,
    "sha256": TEXT,
    "num_params": NUMBER_OR_NULL,
    "kind": TEXT,
    "message": TEXT,
    "resource": ("gpu or cpu", lambda value: value in ("gpu", "cpu")),
    "share": NUMBER,
    "host": TEXT,
    "pid": WHOLE,
    "device": TEXT,
    "num_threads": THREADS,
    "num_bytes": NUMBER,
    "context_bytes": NUMBER,
    "total_bytes": NUMBER,
    "hardware": HARDWARE,
    "rows": ROWS,
    "lists": LISTS,
    "stores": STORES,
    "eval_crops": WHOLE,
    "wanted": WHOLE,
    "expected_share": NUMBER_OR_NULL,
    "points": POINTS,
    "violations": VIOLATIONS,
    "warnings": TEXTS,
    "opening": TEXT,
    "list_sha256": TEXT,
    "model_sha256": TEXT,
    "num_pairs": COUNT,
    "had_s": NUMBER,
}
# Where an event has a rule of its own for a field.
OWN_RULES: Mapping[tuple[str, str], Rule] = {
    ("epoch", "epoch"): ("a whole number of at least 1", lambda v: is_whole(v) and v >= 1),
    ("epoch", "loss_stages"): NUMBERS_OR_NULL,
    ("epoch", "stage_shares"): NUMBERS_OR_NULL,
    ("trial_ended", "state"): (f"one of {sorted(END_STATES)}", lambda v: v in list(END_STATES)),
    ("trial_ended", "reason"): TEXT_OR_NULL,
    ("search_ended", "reason"): TEXT,
}
# Numbers of an epoch that the tables add up or show.
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
# A trial that follows another one has both.
FOLLOW_UP = frozenset({"follow_up", "follows"})
NEEDED_OF_KIND: Mapping[str, frozenset[str]] = {"out_of_memory": frozenset({"resource", "share"})}


def fault_of(record: Record, needed: Mapping[str, frozenset[str]]) -> str | None:
    """What is wrong with one record by itself; None where nothing is.

    Args:
        record: As JSON has it.
        needed: The fields that a record must have, by event.
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
            rule = NUMBER_OR_NULL
        if rule is not None and not rule[1](value):
            return f"{key} of {event} must be {rule[0]}, got {str(value)[:60]!r}"
    return None


class RecordOrder:
    """Follows records from the first on, and says which cannot come where it comes."""

    def __init__(self) -> None:
        self._epochs: list[int] = []  # the last of each trial
        self._ended: set[int] = set()
        self._follows: dict[int, tuple[str, int] | None] = {}  # None of a search's own trials

    def fault_of(self, record: Record) -> str | None:
        """What is wrong with the next record, itself without fault; None where nothing is."""
        event = record["event"]
        if event == "trial_started":
            return self._start(record["trial"]) or self._follow(record)
        key = "same_as" if event == "repeated" else "trial"
        if key not in record:
            return None
        trial = record[key]
        if trial >= len(self._epochs):
            return f"{event} of trial {trial}, and not its start"
        if event == "trial_ended":
            if trial in self._ended:
                return f"trial {trial} ends, and has ended before"
            self._ended.add(trial)
        if event == "epoch":
            return self._epoch(trial, record["epoch"])
        return None

    def _start(self, trial: int) -> str | None:
        if trial > len(self._epochs):
            return f"trial {trial} starts, and trial {len(self._epochs)} has not"
        if trial == len(self._epochs):
            self._epochs.append(0)
        self._ended.discard(trial)
        return None

    def _follow(self, record: Record) -> str | None:
        trial = record["trial"]
        said = (record["follow_up"], record["follows"]) if "follows" in record else None
        if self._follows.setdefault(trial, said) != said:
            return f"trial {trial} is begun again, and follows another trial than before"
        if said is not None and (said[1] >= trial or self._follows[said[1]] is not None):
            return f"trial {trial} must follow an earlier one that follows none, got {said[1]}"
        return None

    def _epoch(self, trial: int, epoch: int) -> str | None:
        last = self._epochs[trial]
        if trial in self._ended:
            return f"epoch {epoch} of trial {trial}, which has ended before"
        if epoch > last + 1:
            return f"epoch {epoch} of trial {trial}, and epoch {last + 1} is not there"
        self._epochs[trial] = max(last, epoch)
        return None
