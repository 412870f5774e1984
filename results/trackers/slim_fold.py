"""Histories of trials without the details of their epochs, so that a long search fits."""

from results.journal.history import TrialFold
from results.journal.journal import Record

# What ranking, attributes and metrics of a trial are made of.
_KEPT = ("event", "trial", "epoch", "veer_pct", "veer_low_pct", "veer_high_pct", "num_params")


class SlimFold(TrialFold):
    """A fold that stays small in a process that follows a search to its end."""

    def take(self, record: Record) -> None:
        """Add the next record, as `TrialFold.take`."""
        if record["event"] == "epoch":
            record = {name: record.get(name) for name in _KEPT}
        super().take(record)
