"""The same search by Ray's own OptunaSearch and by Veer, each driven report by report."""

from types import SimpleNamespace

import optuna
from optuna.samplers import RandomSampler
from optuna.storages import JournalStorage
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search.optuna import OptunaSearch

from results.analysis.rungs import asha_rungs
from results.journal.journal import Journal, read_journal
from search.loop.coordinator import Coordinator
from search.loop.early_stopping import SuccessiveHalving
from search.loop.proposals import Proposals
from search.loop.trial_course import Budget
from search.suggest.suggestions import Suggestions
from spaces.dimensions import Choice, Float
from spaces.space import Space
from trainable.config.trial_config import TrialConfig

MAX_EPOCHS = 9
SPACE = Space(
    name="s",
    fixed={},
    dimensions=(
        Choice(name="loss.distillation", choices=("mse", "cosine")),
        Float(name="loss.temperature", low=1.0, high=8.0, when={"loss.distillation": "mse"}),
        Float(name="training.lr", low=1e-4, high=1e-2, log=True),
    ),
)


def define_by_run(trial: optuna.Trial) -> None:
    if trial.suggest_categorical("loss.distillation", ["mse", "cosine"]) == "mse":
        trial.suggest_float("loss.temperature", 1.0, 8.0)
    trial.suggest_float("training.lr", 1e-4, 1e-2, log=True)


class RaysSide:
    """OptunaSearch and AsyncHyperBandScheduler, called as the TuneController calls them."""

    def __init__(self, *, grace_epochs: int, storage: JournalStorage | None = None) -> None:
        self.searcher = OptunaSearch(
            define_by_run, metric="veer_pct", mode="min", sampler=RandomSampler(0), storage=storage
        )
        self.scheduler = AsyncHyperBandScheduler(
            time_attr="training_iteration", metric="veer_pct", mode="min",
            max_t=MAX_EPOCHS, grace_period=grace_epochs, reduction_factor=3,
        )  # fmt: skip

    @property
    def trials(self) -> list[optuna.trial.FrozenTrial]:
        return self.searcher._ot_study.trials

    def start(self, trial_id: str) -> dict:
        params = self.searcher.suggest(trial_id)
        self.scheduler.on_trial_add(None, SimpleNamespace(trial_id=trial_id))
        return params

    def report(self, trial_id: str, epoch: int, veer_pct: float) -> bool:
        """Return whether the trial goes on."""
        result = {"training_iteration": epoch, "veer_pct": veer_pct}
        trial = SimpleNamespace(trial_id=trial_id)
        if self.scheduler.on_trial_result(None, trial, result) == "STOP":
            self.scheduler.on_trial_complete(None, trial, result)
            self.searcher.on_trial_complete(trial_id, result=result)
            return False
        self.searcher.on_trial_result(trial_id, result)
        return True


class VeersSide:
    """Veer's coordinator on a journal."""

    def __init__(self, journal: Journal, *, grace_epochs: int) -> None:
        self.suggestions = Suggestions(SPACE, kind="tpe", seed=0)
        self.coordinator = Coordinator(
            Proposals(
                self.suggestions,
                journal,
                make_config=lambda s: TrialConfig.model_validate({"seed": s.seed} | s.tree),
            ),
            SuccessiveHalving(asha_rungs(grace_epochs, 3, MAX_EPOCHS), 3),
            journal,
            budget=Budget(num_trials=40, max_epochs=MAX_EPOCHS),
        )
        self.coordinator.replay(read_journal(journal.path))

    @property
    def trials(self) -> list[optuna.trial.FrozenTrial]:
        return self.suggestions.study.trials

    def start(self) -> int:
        course = self.coordinator.next_trial()
        assert course is not None
        return course.trial

    def report(self, trial: int, epoch: int, veer_pct: float) -> bool:
        return self.coordinator.report(trial, epoch, veer_pct, {})
