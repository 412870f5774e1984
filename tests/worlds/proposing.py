"""Searches without Ray whose VEER follows from the config, for tests of what is proposed."""

from pathlib import Path

from results.journal.journal import Journal, read_journal
from search.guided.prior import Prior
from search.loop.appraisal import Appraisal, Check, no_limits
from search.loop.coordinator import Coordinator
from search.loop.early_stopping import SuccessiveHalving
from search.loop.proposals import Proposals
from search.loop.trial_course import Budget
from search.suggest.suggestions import Suggestion, Suggestions
from spaces.dimensions import Choice, Float, Integer
from spaces.limits import Violation
from spaces.space import Space
from trainable.config.trial_config import TrialConfig

NINE = Space(
    name="nine",
    fixed={"model": {"family": "mlp_mixer"}},
    dimensions=(
        Choice(name="model.hidden_dim", choices=(16, 32, 64)),
        Integer(name="model.num_blocks", low=1, high=3),
    ),
)
WIDE = Space(
    name="wide",
    fixed={"model": {"family": "mlp_mixer", "num_blocks": 1}},
    dimensions=(
        Integer(name="model.hidden_dim", low=8, high=256, step=8),
        Float(name="training.lr", low=1e-4, high=1e-2, log=True),
    ),
)
BOTH_WEIGHTS = Space(
    name="weights",
    fixed={"model": {"family": "mlp_mixer_autoencoder"}},
    dimensions=(
        Float(name="loss.alpha", low=0.1, high=0.9),
        Float(name="loss.beta", low=0.05, high=0.8),
    ),
)


def at_most_64_wide(config: TrialConfig) -> list[Violation]:
    width = config.model.hidden_dim
    return [Violation(limit="max_width", value=width, allowed=64)] if width > 64 else []


def never(config: TrialConfig) -> list[Violation]:
    del config
    return [Violation(limit="max_params", value=2, allowed=1)]


class Search:
    """A coordinator on a journal, and its parts."""

    def __init__(self, space: Space, journal: Journal, *, kind="random", num_trials=9, **options):
        repetitions = options.pop("repetitions", 1)
        check: Check = options.pop("check", no_limits)
        prior = Prior(first=options.pop("first", ()), earlier=options.pop("earlier", ()))
        self.suggestions = Suggestions(
            space, kind=kind, seed=0, passes=repetitions, prior=prior
        )
        proposals = Proposals(
            self.suggestions, journal, make_config=make_config, appraisal=Appraisal(check=check),
            repetitions=repetitions, decide_by=options.pop("decide_by", "veer"),
        )  # fmt: skip
        budget = Budget(num_trials=num_trials, max_epochs=3, **options)
        self.coordinator = Coordinator(proposals, SuccessiveHalving([], 3), journal, budget=budget)
        self.coordinator.replay(read_journal(journal.path))

    def run(self, most: int | None = None) -> None:
        """Run one trial after the other; each VEER follows from the config."""
        while (most is None or most > 0) and (course := self.coordinator.next_trial()) is not None:
            most = None if most is None else most - 1
            for epoch in (1, 2, 3):
                self.coordinator.report(course.trial, epoch, veer_pct(course.config) - epoch, {})


def make_config(suggestion: Suggestion) -> TrialConfig:
    return TrialConfig.model_validate({"seed": suggestion.seed} | suggestion.tree)


def veer_pct(config: TrialConfig) -> float:
    return 30.0 - config.model.hidden_dim / 16 - config.model.num_blocks


def events(path: Path, event: str | None = None) -> list[dict]:
    records = [{k: v for k, v in r.as_dict().items() if k != "time_s"} for r in read_journal(path)]
    return [record for record in records if event in (None, record["event"])]
