"""What goes wrong and says nothing of a config: counted, said, and when it is too much.

Knows no Ray. Faults of a trial count since its last new epoch, so that a node which is taken away
every hour does not use up a long trial; the count is the same when the journal is replayed.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from results.analysis.faults import counted, reason_tallies
from results.journal.journal import EndState, Journal, Record
from search.config.sections import FaultConfig
from search.loop.shares import RaisedShare
from search.loop.trial_course import Fault, TrialCourse
from trainable.machine.memory_share import OUT_OF_MEMORY

# What is said of a trial; a kind that is not here is said by its message.
PHRASES: Mapping[str, str] = MappingProxyType(
    {
        OUT_OF_MEMORY: "it ran out of memory",
        "worker_lost": "its process died",
        "node_lost": "its node was lost",
        "hung": "no epoch came in many times the usual time, its process was killed",
        "checkpoint_damaged": "a checkpoint could not be used",
    }
)
# These have limits of their own, or none.
NOT_COUNTED = frozenset({OUT_OF_MEMORY, "checkpoint_damaged"})


def silent(text: str) -> None:
    """Says nothing."""
    del text


class FaultLedger:
    """The faults of a search.

    Args:
        journal: Where they are written first.
        config: How much is too much.
        say: Prints a line.

    Attributes:
        kinds: How often each kind of fault came, earlier runs of a resumed search included.
    """

    def __init__(
        self,
        journal: Journal,
        config: FaultConfig | None = None,
        say: Callable[[str], None] = silent,
    ) -> None:
        self.kinds = Counter[str]()
        self._journal = journal
        self._config = config or FaultConfig()
        self._say = say
        self._failing = FailureLimit(self._config)

    def note(self, course: TrialCourse, fault: Fault, raised: RaisedShare | None = None) -> None:
        """Writes a fault of a trial, counts it, and says what is done about it.

        Args:
            course: The trial.
            fault: What happened to it.
            raised: What it is given from now on, where that is more than before.
        """
        more = {} if raised is None else {"resource": raised.resource, "share": raised.share}
        record = self._journal.append(
            "infrastructure",
            kind=fault.kind,
            trial=course.trial,
            epoch=course.epoch,
            message=fault.message,
            **more,
        )
        self.restore(course, record)
        follows = self._follows(course, fault)
        self._say(f"trial {course.trial}: {_what(fault, course.epoch)}; {follows}")

    def restore(self, course: TrialCourse, record: Record) -> None:
        """Counts a fault that the journal tells of."""
        fault = Fault(kind=record["kind"], message=record["message"])
        self.kinds[fault.kind] += 1
        if fault.kind == OUT_OF_MEMORY:
            course.raised = RaisedShare(resource=record["resource"], share=record["share"])
        if fault.kind not in NOT_COUNTED:
            course.faults.append(fault)

    def failure(self, course: TrialCourse) -> str | None:
        """Why a trial has failed, None while it may be run again."""
        if len(course.faults) <= self._config.retries:
            return None
        return failure_reason(course.faults)

    def ended(self, trial: int, state: EndState, reason: str | None) -> str | None:
        """Takes note of a trial that ended in this process.

        Returns:
            Why the search is to stop, None where it is not.
        """
        return self._failing.ended(trial, state, reason)

    def _follows(self, course: TrialCourse, fault: Fault) -> str:
        if fault.kind == OUT_OF_MEMORY and course.raised is not None:
            raised = course.raised
            return f"run again with {raised.share:g} {raised.resource.upper()}"
        if fault.kind in NOT_COUNTED:
            return fault.message
        if self.failure(course) is not None:
            return "it has failed"
        return f"run again ({len(course.faults)} of {self._config.retries})"


class FailureLimit:
    """Whether too many trials fail.

    It counts what ends in this process: a search that is resumed after its cause was mended has
    its chance. A trial that diverged has not failed: the sampler learns from it.

    Args:
        config: The share, and how many failures it takes at least.
    """

    def __init__(self, config: FaultConfig) -> None:
        self._config = config
        self._num_ended = 0
        self._failed: dict[int, str] = {}

    def ended(self, trial: int, state: EndState, reason: str | None) -> str | None:
        """Counts an ended trial; why the search is to stop, None where it is not."""
        self._num_ended += 1
        if state != "failed":
            return None
        self._failed[trial] = reason or "unknown"
        num_failed = len(self._failed)
        is_much = num_failed > self._config.max_failed_share * self._num_ended
        if num_failed < self._config.min_failed or not is_much:
            return None
        first = f"{num_failed} of {self._num_ended} trials failed, the most frequent reason first:"
        return "\n".join([first, *reason_lines(self._failed)])


def failure_reason(faults: Sequence[Fault]) -> str:
    """The reason of a trial that failed by faults: how many, which, and the last message."""
    many = f"{len(faults)} faults" if len(faults) > 1 else "a fault"
    kinds = kinds_in_words(fault.kind for fault in faults)
    return f"{many} without a finished epoch in between ({kinds}), the last: {faults[-1].message}"


def kinds_in_words(kinds: Iterable[str]) -> str:
    """Kinds of faults with their numbers, the most frequent first: `2 worker lost, 1 hung`."""
    counts = Counter(kinds).most_common()
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counts)


def reason_lines(reasons: Mapping[int, str]) -> list[str]:
    """A line for each reason, the most frequent first, with its trials.

    Args:
        reasons: Why each trial failed; those that differ in numbers only are one.
    """
    return [
        f"  {counted(each.count, 'trial')} ({each.named}): {each.what}"
        for each in reason_tallies(reasons)
    ]


def _what(fault: Fault, epoch: int) -> str:
    when = f"after epoch {epoch}" if epoch else "in its first epoch"
    phrase = PHRASES.get(fault.kind)
    return f"{phrase} {when}" if phrase else f"{fault.message} {when}"
