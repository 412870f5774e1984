"""Suggestions of a search whose config an earlier trial has, though other values were sampled."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from results.records.record import Record
from results.records.search_records import RepeatedSuggestion
from results.records.trial_records import TrialStarted


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """A suggestion with other values than an earlier trial, but the same resulting config.

    Attributes:
        same_as: Number of the trial whose run it shares.
        params: Sampled values by dotted name.
    """

    same_as: int
    params: dict[str, Any]


def repetitions(records: Iterable[Record]) -> list[Repetition]:
    """Return the repeated suggestions with new values, oldest first.

    Suggestions with the same values as the trial that they repeat, or as an earlier repetition of
    it, are left out.
    """
    known: dict[int, list[dict[str, Any]]] = {}
    found = []
    for record in records:
        match record:
            case TrialStarted():
                known.setdefault(record.trial, []).append(record.params)
            case RepeatedSuggestion(same_as=same_as) if record.params not in known[same_as]:
                known[same_as].append(record.params)
                found.append(Repetition(same_as=same_as, params=dict(record.params)))
    return found
