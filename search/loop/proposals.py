"""Trials from the sampler's suggestions, without those outside the limits or already known.

A suggestion that breaks a limit, or whose config was run before, does not become a trial: it is
written to the journal, its known result is passed to the study, and the next one is drawn.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from results.journal.decision import BY_VEER, DecisionKind
from results.journal.journal import Journal
from results.records.record import Record
from results.records.record_values import BrokenLimit, EndState
from results.records.search_records import InfeasibleSuggestion, RepeatedSuggestion
from results.records.trial_records import TrialStarted
from search.loop.appraisal import Appraisal
from search.loop.trial_course import TrialCourse
from search.suggest.suggestions import Suggestion, Suggestions
from spaces.files.complaints import complaints
from spaces.files.errors import RunError
from spaces.limits import BROKEN_RULE, Violation
from trainable.config.trial_config import TrialConfig

# A sampler that has converged suggests one config again and again: after so many rejections in a
# row suggestions are drawn at random, which finds another.
RANDOM_AFTER = 10
# Rejections in a row after which the search ends: a space may have no config inside its limits.
MAX_IN_A_ROW = 200
# Number given to a grid's point that is known not to become a trial.
NO_TRIAL = -1

MakeConfig = Callable[[Suggestion], TrialConfig]
NO_LIMITS = Appraisal()


class Proposals:
    """Proposes the next trial; rejects suggestions outside the limits or already known.

    Args:
        suggestions: New and unused; records of an earlier run are restored into them.
        journal: Receives rejected suggestions before the study does.
        make_config: Turns a suggestion into a trial's checked config.
        appraisal: Finds out which limits a config breaks, and its costs.
        repetitions: How often a config may be run, each time with another seed.
        decide_by: The figure that the sampler gets, and by which trials are compared.

    Attributes:
        exhausted: Why no other trial can be proposed, None while one may be.
    """

    def __init__(
        self,
        suggestions: Suggestions,
        journal: Journal,
        *,
        make_config: MakeConfig,
        appraisal: Appraisal = NO_LIMITS,
        repetitions: int = 1,
        decide_by: DecisionKind = BY_VEER,
    ) -> None:
        self.exhausted: str | None = None
        self._suggestions = suggestions
        self._journal = journal
        self._make_config = make_config
        self._appraisal = appraisal
        self._repetitions = repetitions
        self._decide_by: DecisionKind = decide_by
        self._runs: dict[str, list[TrialCourse]] = {}
        self._repeats_of: dict[int, list[int]] = {}
        self._in_a_row = 0
        self._last_rejection = ""

    def propose(self, trial: int) -> TrialCourse | None:
        """Return the next trial, None if there is none; then `exhausted` is set.

        Args:
            trial: The number of the new trial.
        """
        while self.exhausted is None:
            # A grid is finite and visited to its end, however many of its points are rejected.
            if self._in_a_row >= MAX_IN_A_ROW and self._suggestions.upcoming() is None:
                self.exhausted = (
                    f"{MAX_IN_A_ROW} suggestions in a row broke a limit or had been run before "
                    f"(the last: {self._last_rejection}); `veer space check` prints how much of "
                    "the space lies inside its limits"
                )
                break
            suggestion = self._suggestions.suggest(at_random=self._in_a_row >= RANDOM_AFTER)
            if suggestion is None:
                self.exhausted = "every config of the grid has been tried"
                break
            course = self._admit(trial, suggestion)
            if course is not None:
                return course
        return None

    def record_repeats(self) -> None:
        """Record the next points of a grid up to the first one that needs a run.

        Without this, a search that has all its trials would leave the last points unrecorded.
        """
        # `upcoming` only looks; `suggest` would make a trial of a point that needs a run.
        while (upcoming := self._suggestions.upcoming()) is not None:
            if self._needs_a_run(upcoming):
                return
            if (suggestion := self._suggestions.suggest()) is not None:
                self._admit(NO_TRIAL, suggestion)

    def restore(self, record: TrialStarted) -> TrialCourse:
        """Restore a trial from a `trial_started` record of an earlier run.

        Raises:
            RunError: The record's parameters do not fit the space.
        """
        with _naming_record(record):
            suggestion = self._suggestions.restore(record.params, record.drawn_by)
            # Not measured again: a resumed search must compare trials by the same costs.
            costs = record.costs or {}
            return self._accept(record.trial, suggestion, self._make_config(suggestion), costs)

    def restore_rejected(
        self,
        record: InfeasibleSuggestion | RepeatedSuggestion,
        courses: Sequence[TrialCourse],
    ) -> None:
        """Restore a rejected suggestion of an earlier run.

        Raises:
            RunError: The record's parameters do not fit the space.
        """
        with _naming_record(record):
            suggestion = self._suggestions.restore(record.params)
        self._in_a_row += 1
        if isinstance(record, InfeasibleSuggestion):
            violations = [Violation(**each.model_dump()) for each in record.violations]
            self._suggestions.reject(suggestion.number, _excesses(violations))
            self._last_rejection = "; ".join(map(str, violations))
        else:
            earlier = courses[record.same_as]
            self._last_rejection = _repeat_in_words(earlier)
            self._pass_on_result(suggestion, earlier)

    def report(self, course: TrialCourse, epoch: int) -> None:
        """Pass the figure that decides of an epoch to the study; each epoch once."""
        self._suggestions.report(course.suggestion.number, epoch, course.decisions[epoch])

    def end(self, course: TrialCourse, state: EndState) -> None:
        """Pass the end of a trial to the study, also for the suggestions that repeat it."""
        self._suggestions.end(course.suggestion.number, state, *course.outcome)
        for number in self._repeats_of.pop(course.trial, ()):
            self._end_repeat(number, course, state)

    def _admit(self, trial: int, suggestion: Suggestion) -> TrialCourse | None:
        """Return the suggestion as a trial, None if it is rejected."""
        try:
            config = self._make_config(suggestion)
        except ValidationError as error:
            self._reject(suggestion, [_broken_rule(error, suggestion.tree)])
            return None
        # Before the look-up of earlier runs: a config outside the limits was never run.
        if broken := self._appraisal.check(config):
            self._reject(suggestion, broken)
            return None
        earlier = self._earlier_run(config)
        if earlier is None:
            costs = self._appraisal.measure(config)
            return self._accept(trial, suggestion, config, costs)
        self._repeat(suggestion, earlier)
        return None

    def _needs_a_run(self, suggestion: Suggestion) -> bool:
        try:
            config = self._make_config(suggestion)
        except ValidationError:
            return False
        return not self._appraisal.check(config) and self._earlier_run(config) is None

    def _accept(
        self,
        trial: int,
        suggestion: Suggestion,
        config: TrialConfig,
        costs: Mapping[str, float],
    ) -> TrialCourse:
        course = TrialCourse(
            trial=trial,
            suggestion=suggestion,
            config=config,
            decide_by=self._decide_by,
            costs=dict(costs),
        )
        self._runs.setdefault(config.recipe_hash(), []).append(course)
        self._in_a_row = 0
        return course

    def _earlier_run(self, config: TrialConfig) -> TrialCourse | None:
        """Return the trial whose result makes another run unnecessary, None if there is none.

        That is the run of the same config with the same seed; or, once a config has been run
        `repetitions` times, its first run. Failed runs have no result and do not count.
        """
        runs = [
            course
            for course in self._runs.get(config.recipe_hash(), ())
            if course.state != "failed"
        ]
        same = next((course for course in runs if course.config.seed == config.seed), None)
        return runs[0] if same is None and len(runs) >= self._repetitions else same

    def _reject(self, suggestion: Suggestion, violations: Sequence[Violation]) -> None:
        # The study learns of it only after the record: a crash between the two leaves a journal
        # from which the same study can be rebuilt.
        self._in_a_row += 1
        self._last_rejection = "; ".join(map(str, violations))
        recorded = [BrokenLimit(**asdict(violation)) for violation in violations]
        self._journal.append(InfeasibleSuggestion(params=suggestion.params, violations=recorded))
        self._suggestions.reject(suggestion.number, _excesses(violations))

    def _repeat(self, suggestion: Suggestion, course: TrialCourse) -> None:
        self._in_a_row += 1
        self._last_rejection = _repeat_in_words(course)
        self._journal.append(
            RepeatedSuggestion(
                params=suggestion.params,
                config_hash=course.config.config_hash(),
                same_as=course.trial,
            )
        )
        self._pass_on_result(suggestion, course)

    def _pass_on_result(self, suggestion: Suggestion, course: TrialCourse) -> None:
        """Pass the result of the same config to the study, once it is known."""
        if course.state is None:
            self._repeats_of.setdefault(course.trial, []).append(suggestion.number)
        else:
            self._end_repeat(suggestion.number, course, course.state)

    def _end_repeat(self, number: int, course: TrialCourse, state: EndState) -> None:
        for epoch, figure_pct in course.decisions.items():
            self._suggestions.report(number, epoch, figure_pct)
        self._suggestions.end(number, state, *course.outcome)


@contextmanager
def _naming_record(record: Record) -> Iterator[None]:
    """Turn a ValueError of the block into a RunError that names the record.

    Raises:
        RunError: The record's parameters do not fit the space.
    """
    try:
        yield
    except ValueError as error:
        raise RunError(
            f"the journal's {record.event} does not fit the run's space: {error}; restore the "
            "run folder from a copy"
        ) from error


def _excesses(violations: Sequence[Violation]) -> dict[str, float]:
    """Return by how much each limit is exceeded, as a fraction of the limit."""
    return {violation.limit: violation.excess for violation in violations}


def _repeat_in_words(course: TrialCourse) -> str:
    return f"the config of trial {course.trial} again"


def _broken_rule(error: ValidationError, tree: Mapping[str, Any]) -> Violation:
    """Return the violation of a config rule that a combination of valid values breaks."""
    text = "; ".join(str(each) for each in complaints(TrialConfig, error, tree))
    # A rule has no quantity: with a text the excess is 1, whatever the values are.
    return Violation(limit=BROKEN_RULE, value=1.0, allowed=0.0, text=text)
