"""The starts and ends of a search in its journal, and the settings that they give."""

from collections.abc import Iterable
from typing import Any

from results.records.record import Record
from results.records.search_records import SearchEnded, SearchResumed, SearchStarted

SearchTurn = SearchStarted | SearchResumed | SearchEnded


def last_turn(records: Iterable[Record]) -> SearchTurn | None:
    """Return the last start or end of the search; None where it has not started."""
    turns = [record for record in records if isinstance(record, SearchTurn)]
    return turns[-1] if turns else None


def latest_settings(records: Iterable[Record]) -> dict[str, Any]:
    """Return the latest settings of the search; empty where the journal has none."""
    settings: dict[str, Any] = {}
    for record in records:
        if isinstance(record, SearchStarted | SearchResumed):
            # `search_resumed` may have no settings; then the earlier ones hold.
            settings = record.settings or settings
    return settings
