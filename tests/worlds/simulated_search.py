"""A search without Ray: a space, a clock that a test sets, and simulated workers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from results.analysis.rungs import asha_rungs
from results.journal.decision import DecisionKind
from results.journal.journal import Journal, read_journal
from search.config.sections import FaultConfig
from search.loop.appraisal import Appraisal, Check, Measure, no_costs, no_limits
from search.loop.coordinator import Coordinator
from search.loop.early_stopping import SuccessiveHalving
from search.loop.fault_ledger import FaultLedger, silent
from search.loop.proposals import Proposals
from search.loop.trial_course import Budget
from search.suggest.samplers import SamplerKind
from search.suggest.suggestions import Suggestions
from spaces.dimensions import Choice, Float
from spaces.space import Space
from trainable.config.eval_plan import EVERY_EPOCH, EvalPlan
from trainable.config.trial_config import TrialConfig

MAX_EPOCHS = 9
NO_DPRIME_EVERY = 5
SPACE = Space(
    name="s",
    fixed={},
    dimensions=(
        Choice(name="loss.distillation", choices=("mse", "cosine")),
        Float(
            name="loss.temperature", low=1.0, high=8.0, log=True, when={"loss.distillation": "mse"}
        ),
        Float(name="training.lr", low=1e-4, high=1e-2, log=True),
    ),
)


class Clock:
    """A clock that a test sets: `now_s` in seconds."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Killed(Exception):  # noqa: N818 - not an error
    pass


def veer_pct(config: TrialConfig, epoch: int) -> float:
    """Return a point of a learning curve, in percent; the same config gives the same curve."""
    rng = np.random.default_rng([int(config.config_hash(), 16), epoch])
    return 5 + abs(np.log10(config.training.lr / 2e-3)) * 8 + 20 / epoch + rng.normal(scale=0.3)


def dprime(config: TrialConfig, epoch: int) -> float | None:
    """Return the d' of an epoch: the first tells little, and some have none."""
    if epoch % NO_DPRIME_EVERY == 0:
        return None
    rng = np.random.default_rng([int(config.config_hash(), 16), epoch, 1])
    noise = rng.normal(scale=0.3 if epoch > 1 else 1.5)
    return float(3 - abs(np.log10(config.training.lr / 2e-3)) - 1 / epoch + noise)


def epoch_fields(config: TrialConfig, epoch: int) -> dict[str, float | None]:
    """Return what a trial reports of an epoch beside its VEER."""
    return {"lr": 0.1, "dprime": dprime(config, epoch)}


def make_coordinator(
    journal: Journal,
    *,
    num_trials: int = 8,
    clock: Clock | None = None,
    space: Space = SPACE,
    kind: SamplerKind = "tpe",
    check: Check = no_limits,
    measure: Measure = no_costs,
    num_goals: int = 1,
    repetitions: int = 1,
    decide_by: DecisionKind = "veer",
    has_auto_grace: bool = False,
    max_epochs: int = MAX_EPOCHS,
    faults: FaultConfig | None = None,
    print_line: Callable[[str], None] = silent,
    **budget,
) -> Coordinator:
    """Return a coordinator on a journal, with the journal's records replayed."""
    coordinator = Coordinator(
        Proposals(
            Suggestions(space, kind=kind, seed=0, passes=repetitions, num_goals=num_goals),
            journal,
            make_config=lambda s: TrialConfig.model_validate({"seed": s.seed} | s.tree),
            appraisal=Appraisal(check=check, measure=measure),
            repetitions=repetitions,
            decide_by=decide_by,
        ),
        SuccessiveHalving(asha_rungs(1, 3, max_epochs), 3, has_auto_grace=has_auto_grace),
        journal,
        budget=Budget(num_trials=num_trials, max_epochs=max_epochs, **budget),
        ledger=FaultLedger(journal, faults, print_line),
        clock=clock or Clock(),
    )
    coordinator.replay(read_journal(journal.path))
    return coordinator


def work(
    coordinator: Coordinator,
    *,
    at_once: int = 1,
    rng=None,
    epochs: int | None = None,
    plan: EvalPlan = EVERY_EPOCH,
) -> None:
    """Simulate the workers: trials finish an epoch in turn, or in random order.

    A trial that is handed out again repeats its last epoch first, as a restored one does.

    Args:
        coordinator: The search.
        at_once: Trials that run at the same time.
        rng: Draws the next trial to finish an epoch, None for the lowest number.
        epochs: Epochs after which `Killed` is raised, None to work to the end.
        plan: The epochs that have a VEER.
    """
    running = {}
    while True:
        while len(running) < at_once and (course := coordinator.next_trial()) is not None:
            running[course.trial] = (course, max(course.epoch, 1))
        if not running:
            return
        number = int(rng.choice(list(running))) if rng else min(running)
        if epochs is not None:
            if epochs == 0:
                raise Killed
            epochs -= 1
        course, epoch = running[number]
        fields, veer = epoch_fields(course.config, epoch), veer_pct(course.config, epoch)
        if not plan.is_due(epoch):
            fields, veer = {"lr": 0.1, "is_unevaluated": True}, None
        if coordinator.report(number, epoch, veer, fields):
            running[number] = (course, epoch + 1)
        else:
            del running[number]


def untimed_records(path: Path) -> list[dict]:
    """Return the journal's records without their times."""
    return [{k: v for k, v in r.as_dict().items() if k != "time_s"} for r in read_journal(path)]
