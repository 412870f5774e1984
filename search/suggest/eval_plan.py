"""Which epochs the trials of a search evaluate, where evaluating all would take too long.

With a short training list and a long validation list most of an epoch would be validation. Then
early epochs are evaluated less often; each evaluation has all its crops.
"""

import math
from collections.abc import Callable, Sequence

from results.journal.history import LAST_EPOCHS, latest
from results.journal.journal import Journal
from results.records.record import Record
from results.records.search_records import EvalPlanChosen
from results.records.trial_records import TrialStarted
from search.suggest.eval_crops import EVAL_CROPS, expected_eval_share
from trainable.config.eval_plan import EVERY_EPOCH, EvalPlan
from trainable.features.training_data import TrainingData

# Validation may take this share of an epoch's time.
MAX_EVAL_SHARE = 1 / 5


def eval_plan(share: float, rungs: Sequence[float], max_epochs: int) -> EvalPlan:
    """Return the epochs to evaluate so that validation takes about `MAX_EVAL_SHARE` of the time.

    The epochs at which trials are compared and the last ones, whose median is the end VEER, are
    always evaluated.

    Args:
        share: Share of validation in the time of an epoch that is evaluated, 0 to 1.
        rungs: Where early stopping compares trials, epochs.
        max_epochs: Epochs of a trial that is not stopped.
    """
    all_from = max(1, max_epochs - LAST_EPOCHS + 1)
    # With v the price of an evaluation in epochs of training: v / n / (1 + v / n) is the most.
    price = share / (1 - share) / (MAX_EVAL_SHARE / (1 - MAX_EVAL_SHARE))
    # Without the rounding of floats, which could make 3.0000000000000004 a 4.
    every_epochs = max(1, math.ceil(round(price, 9)))
    anyway = sorted({math.ceil(rung) for rung in rungs if rung < all_from})
    plan = EvalPlan(every_epochs=every_epochs, anyway=tuple(anyway), all_from=all_from)
    return EVERY_EPOCH if all(map(plan.is_due, range(1, all_from))) else plan


def recorded_eval_plan(records: Sequence[Record]) -> EvalPlan:
    """Return the plan of a run by its journal; every epoch where it records none."""
    found = latest(records, EvalPlanChosen)
    if found is None:
        return EVERY_EPOCH
    return EvalPlan(
        every_epochs=found.every_epochs, anyway=tuple(found.anyway), all_from=found.all_from
    )


def choose_eval_plan(
    data: TrainingData,
    num_crops: int,
    geometry: tuple[Sequence[float], int],
    journal: Journal,
    records: Sequence[Record],
    print_line: Callable[[str], None],
) -> EvalPlan:
    """Choose which epochs of all trials are evaluated, and record it where it is not all.

    Args:
        data: The corpus.
        num_crops: Crops of a validation utterance.
        geometry: Rungs and number of epochs; see `eval_plan`.
        journal: Receives the choice.
        records: An earlier run's records; its choice is kept. One with trials and without a
            choice, as earlier versions made, evaluates every epoch.
        print_line: Prints one line; called if validation takes more than `MAX_EVAL_SHARE`.
    """
    # A run may have been interrupted before this choice, but not begun trials before it.
    if any(isinstance(each, EvalPlanChosen | TrialStarted) for each in records):
        return recorded_eval_plan(records)
    num_train, num_val = len(data.train_row), len(data.val_row)
    share = expected_eval_share(num_train, num_val, num_crops)
    plan = eval_plan(share, *geometry)
    if plan != EVERY_EPOCH:
        journal.append(EvalPlanChosen(**plan.model_dump(mode="json")))
    if share > MAX_EVAL_SHARE:
        print_line(
            f"validation will likely take about {share:.0%} of an epoch's time: {num_val:,} "
            f"utterances of {num_crops} crops ({EVAL_CROPS}) to embed and {num_train:,} to train "
            f"on; {_cure(plan)}"
        )
    return plan


def _cure(plan: EvalPlan) -> str:
    shorter = "a shorter validation list is the cure"
    if plan == EVERY_EPOCH:
        return f"every epoch is evaluated, since all are among the last or at a rung; {shorter}"
    epochs = ", ".join(map(str, plan.anyway))
    rungs = f", and where trials are compared (epoch {epochs})" if epochs else ""
    return (
        f"so before epoch {plan.all_from} a trial is evaluated only every {plan.every_epochs} "
        f"epochs{rungs}; {shorter}"
    )
