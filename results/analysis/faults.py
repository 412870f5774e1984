"""Faults, which do not depend on a trial's config, and reasons why trials failed, in words."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from results.journal.history import TrialHistory
from results.records.trial_records import FAULT_KINDS, InfrastructureFault, TrialPlaced

# Limits that keep a remark readable in a terminal.
MOST_TRIALS_NAMED = 8
MAX_REASON_CHARS = 120
# The parts of a reason that differ between trials with the same cause: addresses, hashes, process
# ids, epochs, sizes.
NUMBERS = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{12,}\b|\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The number of occurrences of a fault or of a reason to fail.

    Attributes:
        what: The kind of fault, or the reason.
        count: Number of occurrences.
        trials: Numbers of the trials concerned, ascending, each once.
    """

    what: str
    count: int
    trials: tuple[int, ...]

    @property
    def whose(self) -> str:
        """The trials in words, such as `trials 1, 4 and 3 more`."""
        return f"trial{'s' * (len(self.trials) > 1)} {self.named}"

    @property
    def named(self) -> str:
        """The numbers of the first `MOST_TRIALS_NAMED` trials, and how many more there are."""
        named = ", ".join(map(str, self.trials[:MOST_TRIALS_NAMED]))
        more = len(self.trials) - MOST_TRIALS_NAMED
        return named + f" and {more} more" * (more > 0)


def fault_tallies(trials: Iterable[TrialHistory]) -> list[Tally]:
    """Return the faults by kind, the most frequent first."""
    return _tallies([(each.kind, t.trial) for t in trials for each in t.faults])


def failure_tallies(trials: Iterable[TrialHistory]) -> list[Tally]:
    """Return the failed trials by reason, the most frequent first; diverged ones are left out."""
    failed = (t for t in trials if t.ended is not None and t.state == "failed")
    return reason_tallies({t.trial: reason_of(t) or "no reason given" for t in failed})


def reason_tallies(reasons: Mapping[int, str]) -> list[Tally]:
    """Group trials by reason, the most frequent first.

    Reasons that differ only in numbers count as one.

    Args:
        reasons: Reason by the number of the trial.
    """
    alike: dict[str, list[str]] = {}
    for reason in reasons.values():
        alike.setdefault(NUMBERS.sub("#", reason), []).append(reason)
    # The reason of the first trial stands for all that differ only in numbers.
    named = {
        key: found[0] if len(set(found)) == 1 else f"{found[0]} (others: other numbers)"
        for key, found in alike.items()
    }
    return _tallies(
        [(named[NUMBERS.sub("#", reason)], trial) for trial, reason in reasons.items()]
    )


def reason_of(trial: TrialHistory) -> str | None:
    """Return the recorded reason for a trial's end, in one line; None where there is none."""
    reason = None if trial.ended is None else trial.ended.reason
    return " ".join(str(reason).split()) if reason else None


def fault_remarks(trials: Sequence[TrialHistory]) -> list[str]:
    """Return a line on the faults of a run and one on its failed trials, where there are any."""
    remarks = []
    if faults := fault_tallies(trials):
        kinds = ", ".join(f"{each.count} {each.what} ({each.whose})" for each in faults)
        num_faults = sum(each.count for each in faults)
        remarks.append(f"{counted(num_faults, 'fault')}: {kinds}; see veer show")
    if failures := failure_tallies(trials):
        reasons = "; ".join(
            f"{each.count} by {_cut(each.what)!r} ({each.whose})" for each in failures
        )
        num_failed = sum(each.count for each in failures)
        remarks.append(f"{counted(num_failed, 'trial')} failed: {reasons}")
    return remarks


def fault_in_words(kind: str) -> str:
    """Return what a kind of fault means, or the kind itself if this version does not know it."""
    return FAULT_KINDS.get(kind, kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A start or fault of a trial, for a list in the order of time.

    Attributes:
        time_s: Time, seconds since 1970.
        what: `started`, `restarted`, or a kind of fault.
        text: Details in words.
        is_fault: Whether it is a fault.
    """

    time_s: float
    what: str
    text: str
    is_fault: bool


def incidents(trial: TrialHistory) -> list[Incident]:
    """Return the starts and faults of a trial, oldest first."""
    placed = [
        Incident(
            time_s=each.record.time_s,
            what="restarted" if number else "started",
            text=_placed(each.record, each.epochs),
            is_fault=False,
        )
        for number, each in enumerate(trial.placements)
    ]
    faults = [
        Incident(time_s=each.time_s, what=each.kind, text=_fault(each), is_fault=True)
        for each in trial.faults
    ]
    return sorted([*placed, *faults], key=lambda incident: incident.time_s)


def utc(time_s: float) -> str:
    """Return a time in seconds since 1970 as date and time of day, UTC."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _placed(record: TrialPlaced, epochs: Sequence[int]) -> str:
    threads = counted(record.num_threads, "thread")
    match epochs:
        case []:
            ran = "no epoch finished there"
        case [only]:
            ran = f"epoch {only} ran there"
        case _:
            ran = f"epochs {epochs[0]} to {epochs[-1]} ran there"
    where = f"on {record.host}, {record.device}, {threads}, process {record.pid}"
    return f"after epoch {record.epoch}, {where}: {ran}"


def _fault(record: InfrastructureFault) -> str:
    has_share = record.share is not None
    given = f"; {record.share:g} {record.resource} from then on" if has_share else ""
    words = fault_in_words(record.kind)
    return f"after epoch {record.epoch}: {words}{given}. {record.message}"


def _tallies(found: Sequence[tuple[str, int]]) -> list[Tally]:
    by_what: dict[str, list[int]] = {}
    for what, trial in found:
        by_what.setdefault(what, []).append(trial)
    tallies = [
        Tally(what=what, count=len(trials), trials=tuple(sorted(set(trials))))
        for what, trials in by_what.items()
    ]
    return sorted(tallies, key=lambda tally: -tally.count)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 trial` or `2 trials`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_REASON_CHARS else f"{text[: MAX_REASON_CHARS - 1]}…"
