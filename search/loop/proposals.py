"""From suggestions to trials worth running.

A suggestion that breaks a limit, or whose config was run before, takes no trial's place: it is
written to the journal, the study is told what is known, and the next one is drawn.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from results.journal.journal import EndState, Journal, Record
from search.loop.trial_course import TrialCourse
from search.suggest.suggestions import Suggestion, Suggestions
from spaces.files.complaints import complaints
from spaces.files.errors import RunError
from spaces.limits import BROKEN_RULE, Violation
from trainable.config.trial_config import TrialConfig

# A sampler that has settled proposes one config again and again: chance then finds another.
RANDOM_AFTER = 10
MAX_IN_A_ROW = 200
NO_TRIAL = -1

MakeConfig = Callable[[Suggestion], TrialConfig]
Check = Callable[[TrialConfig], Sequence[Violation]]


def no_limits(config: TrialConfig) -> Sequence[Violation]:
    """Every config may be tried."""
    del config
    return ()


class Proposals:
    """Suggestions without those that need not or must not be run.

    Args:
        suggestions: Fresh; what an earlier run wrote is restored into them.
        journal: Where rejected suggestions are written before the study is told.
        make_config: Turns a suggestion into a trial's checked config.
        check: The limits that a config breaks.
        repetitions: How often a config may be run, each time with another seed.

    Attributes:
        exhausted: Why there is nothing more to propose, None while there may be.
    """

    def __init__(
        self,
        suggestions: Suggestions,
        journal: Journal,
        *,
        make_config: MakeConfig,
        check: Check = no_limits,
        repetitions: int = 1,
    ) -> None:
        self.exhausted: str | None = None
        self._suggestions = suggestions
        self._journal = journal
        self._make_config = make_config
        self._check = check
        self._repetitions = repetitions
        self._runs: dict[str, list[TrialCourse]] = {}
        self._echoes: dict[int, list[int]] = {}
        self._in_a_row = 0
        self._last = ""

    def propose(self, trial: int) -> TrialCourse | None:
        """The next trial, None when there is nothing more to try.

        Args:
            trial: The number that it will have.
        """
        while self.exhausted is None:
            # Of a grid the end is known: it is walked to there.
            if self._in_a_row >= MAX_IN_A_ROW and self._suggestions.upcoming() is None:
                self.exhausted = (
                    f"{MAX_IN_A_ROW} suggestions in a row broke a limit or had been run before "
                    f"(the last: {self._last}); `veer space check` says how much of the space "
                    "lies inside its limits"
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
        """Notes the next points of a grid for as long as none of them needs a run."""
        while (upcoming := self._suggestions.upcoming()) is not None:
            if self._needs_a_run(upcoming):
                return
            if (suggestion := self._suggestions.suggest()) is not None:
                self._admit(NO_TRIAL, suggestion)

    def restore(self, record: Record, trial: int) -> TrialCourse:
        """Takes over a `trial_started` record of an earlier run.

        Raises:
            RunError: The values are not those that the space asks for.
        """
        with _fitting(record):
            suggestion = self._suggestions.restore(record["params"])
            return self._accept(trial, suggestion, self._make_config(suggestion))

    def restore_rejected(self, record: Record, courses: Sequence[TrialCourse]) -> None:
        """Takes over an `infeasible` or `repeated` record of an earlier run.

        Raises:
            RunError: As `restore`.
        """
        with _fitting(record):
            suggestion = self._suggestions.restore(record["params"])
        self._in_a_row += 1
        if record["event"] == "infeasible":
            self._suggestions.reject(suggestion.number, _excesses(_read(record)))
            self._last = "; ".join(map(str, _read(record)))
        else:
            twin = courses[record["same_as"]]
            self._last = _again(twin)
            self._echo(suggestion, twin)

    def report(self, course: TrialCourse, epoch: int, veer_pct: float) -> None:
        """Tells the study an intermediate VEER, percent; each epoch once."""
        self._suggestions.report(course.suggestion.number, epoch, veer_pct)

    def end(self, course: TrialCourse, state: EndState) -> None:
        """Tells the study how a trial ended, and all suggestions that were the same."""
        self._suggestions.end(course.suggestion.number, state, course.best_veer_pct)
        for number in self._echoes.pop(course.trial, ()):
            self._tell_echo(number, course, state)

    def _admit(self, trial: int, suggestion: Suggestion) -> TrialCourse | None:
        """The trial, or None where it is rejected."""
        try:
            config = self._make_config(suggestion)
        except ValidationError as error:
            self._reject(suggestion, [_broken_rule(error, suggestion.tree)])
            return None
        if broken := self._check(config):
            self._reject(suggestion, broken)
            return None
        twin = self._twin(config)
        if twin is None:
            return self._accept(trial, suggestion, config)
        self._repeat(suggestion, twin)
        return None

    def _needs_a_run(self, suggestion: Suggestion) -> bool:
        try:
            config = self._make_config(suggestion)
        except ValidationError:
            return False
        return not self._check(config) and self._twin(config) is None

    def _accept(self, trial: int, suggestion: Suggestion, config: TrialConfig) -> TrialCourse:
        course = TrialCourse(trial=trial, suggestion=suggestion, config=config)
        self._runs.setdefault(config.recipe_hash(), []).append(course)
        self._in_a_row = 0
        return course

    def _twin(self, config: TrialConfig) -> TrialCourse | None:
        """The trial that makes another run needless, None where there is none.

        The run of the very same config, seed included; else, where a config has been run as often
        as may be, its first run. A failed run says nothing.
        """
        runs = [
            course
            for course in self._runs.get(config.recipe_hash(), ())
            if course.state != "failed"
        ]
        same = next((course for course in runs if course.config.seed == config.seed), None)
        return runs[0] if same is None and len(runs) >= self._repetitions else same

    def _reject(self, suggestion: Suggestion, violations: Sequence[Violation]) -> None:
        self._in_a_row += 1
        self._last = "; ".join(map(str, violations))
        told = [asdict(violation) for violation in violations]
        self._journal.append("infeasible", params=suggestion.params, violations=told)
        self._suggestions.reject(suggestion.number, _excesses(violations))

    def _repeat(self, suggestion: Suggestion, course: TrialCourse) -> None:
        self._in_a_row += 1
        self._last = _again(course)
        self._journal.append(
            "repeated",
            params=suggestion.params,
            config_hash=course.config.config_hash(),
            same_as=course.trial,
        )
        self._echo(suggestion, course)

    def _echo(self, suggestion: Suggestion, course: TrialCourse) -> None:
        """Tells the study what the same config gave, once that is known."""
        if course.state is None:
            self._echoes.setdefault(course.trial, []).append(suggestion.number)
        else:
            self._tell_echo(suggestion.number, course, course.state)

    def _tell_echo(self, number: int, course: TrialCourse, state: EndState) -> None:
        for epoch, veer_pct in course.measured.items():
            self._suggestions.report(number, epoch, veer_pct)
        self._suggestions.end(number, state, course.best_veer_pct)


@contextmanager
def _fitting(record: Record) -> Iterator[None]:
    """Says of which record it is that its values are not those of the space."""
    try:
        yield
    except ValueError as error:
        raise RunError(
            f"the journal's {record['event']} does not fit the run's space: {error}; restore the "
            "run folder from a copy"
        ) from error


def _excesses(violations: Sequence[Violation]) -> dict[str, float]:
    """How far each limit is exceeded, as a part of it."""
    return {violation.limit: violation.excess for violation in violations}


def _read(record: Record) -> list[Violation]:
    """The violations of an `infeasible` record."""
    return [Violation(**violation) for violation in record["violations"]]


def _again(course: TrialCourse) -> str:
    return f"the config of trial {course.trial} again"


def _broken_rule(error: ValidationError, tree: Mapping[str, Any]) -> Violation:
    """A rule of the config that single ranges keep and their combination breaks."""
    text = "; ".join(str(each) for each in complaints(TrialConfig, error, tree))
    return Violation(limit=BROKEN_RULE, value=1.0, allowed=0.0, text=text)
