"""Faults that are not caused by a config: recorded, reported, counted against limits.

Independent of Ray. Faults of a trial count since its last new epoch, so that a node which is
preempted every hour does not fail a long trial; the count is the same when the journal is
replayed.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from results.analysis.faults import counted, reason_tallies
from results.journal.history import NO_RETRY
from results.journal.journal import Journal
from results.records.record_values import EndState
from results.records.trial_records import InfrastructureFault
from search.config.sections import FaultConfig
from search.loop.shares import RaisedShare
from search.loop.trial_course import Fault, TrialCourse
from trainable.machine.memory_share import OUT_OF_MEMORY

# Descriptions for the terminal; a kind that is not listed is described by its own message.
PHRASES: Mapping[str, str] = MappingProxyType(
    {
        OUT_OF_MEMORY: "it ran out of memory",
        "worker_lost": "its process died",
        "node_lost": "its node was lost",
        "hung": "no epoch came in many times the usual time, its process was killed",
        "checkpoint_damaged": "a checkpoint could not be used",
        "gpu_crowded": "its GPU had less free memory than its share, and it waited",
    }
)
# Out of memory has a limit of its own, the largest share; after the others a trial runs on, and is
# not restarted.
NOT_COUNTED = NO_RETRY | {OUT_OF_MEMORY}


def silent(text: str) -> None:
    """Print nothing: the default."""
    del text


class FaultLedger:
    """The faults of a search.

    Args:
        journal: Receives each fault before it counts.
        config: Limits of faults and failures, None for the defaults.
        print_line: Prints one line to the user.

    Attributes:
        kinds: Number of faults of each kind, earlier runs of a resumed search included.
    """

    def __init__(
        self,
        journal: Journal,
        config: FaultConfig | None = None,
        print_line: Callable[[str], None] = silent,
    ) -> None:
        self.kinds = Counter[str]()
        self._journal = journal
        self._config = config or FaultConfig()
        self._print_line = print_line
        self._failures = FailureLimit(self._config)

    def note(self, course: TrialCourse, fault: Fault, raised: RaisedShare | None = None) -> None:
        """Record a fault of a trial, count it, and print what follows from it.

        Args:
            course: The trial.
            fault: The fault.
            raised: The trial's share from now on, where the fault raised it.
        """
        record = self._journal.append(
            InfrastructureFault(
                kind=fault.kind,
                trial=course.trial,
                epoch=course.epoch,
                message=fault.message,
                resource=None if raised is None else raised.resource,
                share=None if raised is None else raised.share,
            )
        )
        # Counted by the same function as on a replay, so that a resumed search counts the same.
        self.restore(course, record)
        consequence = self._consequence(course, fault)
        self._print_line(f"trial {course.trial}: {_describe(fault, course.epoch)}; {consequence}")

    def restore(self, course: TrialCourse, record: InfrastructureFault) -> None:
        """Count a recorded fault."""
        fault = Fault(kind=record.kind, message=record.message)
        self.kinds[fault.kind] += 1
        if fault.kind == OUT_OF_MEMORY and record.resource and record.share is not None:
            course.raised = RaisedShare(resource=record.resource, share=record.share)
        if fault.kind not in NOT_COUNTED:
            course.faults.append(fault)

    def failure(self, course: TrialCourse) -> str | None:
        """Return why a trial has failed by its faults, None while it may be run again."""
        # `retries` counts restarts: with 2 the third fault is the end.
        if len(course.faults) <= self._config.retries:
            return None
        return failure_reason(course.faults)

    def record_end(self, trial: int, state: EndState, reason: str | None) -> str | None:
        """Count a trial that ended in this process.

        Returns:
            Why the search must stop, None if it goes on.
        """
        return self._failures.record_end(trial, state, reason)

    def _consequence(self, course: TrialCourse, fault: Fault) -> str:
        if fault.kind == OUT_OF_MEMORY and course.raised is not None:
            raised = course.raised
            return f"run again with {raised.share:g} {raised.resource.upper()}"
        if fault.kind in NOT_COUNTED:
            return fault.message
        if self.failure(course) is not None:
            return "it has failed"
        return f"run again ({len(course.faults)} of {self._config.retries})"


class FailureLimit:
    """The limit on failed trials: above it, something other than the configs is wrong.

    Only trials that end in this process count, so that a search can be resumed once the cause is
    fixed. A trial that diverged has not failed: the sampler learns from it.

    Args:
        config: The largest share of failed trials, and the least number of failures to stop at.
    """

    def __init__(self, config: FaultConfig) -> None:
        self._config = config
        self._num_ended = 0
        self._failed: dict[int, str] = {}

    def record_end(self, trial: int, state: EndState, reason: str | None) -> str | None:
        """Count an ended trial; return why the search must stop, None if it goes on."""
        self._num_ended += 1
        if state != "failed":
            return None
        self._failed[trial] = reason or "unknown"
        num_failed = len(self._failed)
        is_above = num_failed > self._config.max_failed_share * self._num_ended
        # Without `min_failed` the first trial, if it failed, would be a share of 100 %.
        if num_failed < self._config.min_failed or not is_above:
            return None
        first = f"{num_failed} of {self._num_ended} trials failed, the most frequent reason first:"
        return "\n".join([first, *reason_lines(self._failed)])


def failure_reason(faults: Sequence[Fault]) -> str:
    """Return the reason of a trial that failed by faults: number, kinds, the last message."""
    many = f"{len(faults)} faults" if len(faults) > 1 else "a fault"
    kinds = kinds_in_words(fault.kind for fault in faults)
    return f"{many} without a finished epoch in between ({kinds}), the last: {faults[-1].message}"


def kinds_in_words(kinds: Iterable[str]) -> str:
    """Return the number of faults of each kind, most frequent first: `2 worker lost, 1 hung`."""
    counts = Counter(kinds).most_common()
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counts)


def reason_lines(reasons: Mapping[int, str]) -> list[str]:
    """Return a line for each reason with its trials, the most frequent reason first.

    Args:
        reasons: Reason of each failed trial, by number; reasons that differ only in numbers are
            counted as one.
    """
    return [
        f"  {counted(each.count, 'trial')} ({each.named}): {each.what}"
        for each in reason_tallies(reasons)
    ]


def _describe(fault: Fault, epoch: int) -> str:
    when = f"after epoch {epoch}" if epoch else "in its first epoch"
    phrase = PHRASES.get(fault.kind)
    return f"{phrase} {when}" if phrase else f"{fault.message} {when}"
