"""Lines on the screen about how a search decides, as its journal records them."""

from collections.abc import Callable

from results.analysis.grace import change_in_words
from results.journal.decision import FIGURE_NAMES, NEED_DPRIME, DecisionKind
from results.records.record import Record
from results.records.search_records import GraceChanged
from results.records.trial_records import EpochEnded


class DecisionNotices:
    """Prints every change of the grace epochs, and once that the VEER decides for want of a d'.

    Args:
        decide_by: The figure by which trials are compared.
        print_line: Prints one line to the user.
    """

    def __init__(self, decide_by: DecisionKind, print_line: Callable[[str], None]) -> None:
        self._decide_by: DecisionKind = decide_by
        self._print_line = print_line
        self._has_lacked = False

    def take(self, record: Record) -> None:
        """Print what a record means, if anything."""
        match record:
            case GraceChanged():
                self._print_line(f"grace_epochs {change_in_words(record)}")
            case EpochEnded(dprime=None, veer_pct=float()):
                self._note_lack(record)

    def _note_lack(self, record: EpochEnded) -> None:
        if self._has_lacked or self._decide_by not in NEED_DPRIME:
            return
        self._has_lacked = True
        self._print_line(
            f"trial {record.trial} has no d' in epoch {record.epoch}: there its VEER takes the "
            f"place of its {FIGURE_NAMES[self._decide_by]}"
        )
