"""Which epochs a search evaluates: chosen once, by what validation takes."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from results.journal.journal import Journal, read_journal
from results.records.search_records import EvalCropsChosen
from search.suggest.eval_plan import choose_eval_plan, eval_plan
from tests.worlds.journals import made_record
from trainable.config.eval_plan import EVERY_EPOCH, EvalPlan


def evaluated(plan: EvalPlan, max_epochs: int) -> list[int]:
    return [epoch for epoch in range(1, max_epochs + 1) if plan.is_due(epoch)]


@pytest.mark.parametrize(
    ("share", "rungs", "max_epochs", "epochs"),
    [
        # Up to a fifth all are evaluated.
        (0.2, [], 12, list(range(1, 13))),
        # A third: an evaluation takes half an epoch of training, 2 times what is allowed.
        (1 / 3, [], 12, [2, 4, 6, 8, 9, 10, 11, 12]),
        (1 / 3, [3], 12, [2, 3, 4, 6, 8, 9, 10, 11, 12]),
        # Two thirds: it takes two epochs, so every eighth; rungs that are no whole epochs too.
        (2 / 3, [1, 3, 9.5], 20, [1, 3, 8, 10, 16, 17, 18, 19, 20]),
        (0.99, [], 9, [5, 6, 7, 8, 9]),
        # The last five are all there is.
        (0.99, [1, 3], 5, [1, 2, 3, 4, 5]),
        (0.99, [], 1, [1]),
    ],
)
def test_early_epochs_are_evaluated_as_often_as_a_fifth_of_the_time_allows(
    share: float, rungs: list[float], max_epochs: int, epochs: list[int]
) -> None:
    assert evaluated(eval_plan(share, rungs, max_epochs), max_epochs) == epochs


@pytest.mark.parametrize("share", [0.25, 0.4, 0.5, 0.75, 0.9])
def test_between_the_rungs_validation_takes_at_most_a_fifth(share: float) -> None:
    plan = eval_plan(share, [], 1000)
    price = share / (1 - share)  # in epochs of training
    taken = price * sum(map(plan.is_due, range(1, 996)))
    assert taken / (995 + taken) <= 0.2
    often = price * 995 / (plan.every_epochs - 1)
    assert often / (995 + often) > 0.2


@pytest.fixture
def choose(tmp_path: Path):
    """A function that chooses with the journal of all earlier calls; also the lines it printed."""

    def make(num_train: int, num_val: int, geometry=((3.0,), 12)) -> tuple[EvalPlan, list[str]]:
        lines: list[str] = []
        file = tmp_path / "journal.jsonl"
        records = read_journal(file) if file.exists() else ()
        data = SimpleNamespace(train_row=np.arange(num_train), val_row=np.arange(num_val))
        with Journal(file) as journal:
            plan = choose_eval_plan(data, 2, geometry, journal, records, lines.append)
        return plan, lines

    return make


def test_a_short_list_is_always_evaluated_and_nothing_is_recorded(choose, tmp_path) -> None:
    assert choose(1000, 100) == (EVERY_EPOCH, [])
    assert read_journal(tmp_path / "journal.jsonl") == ()


def test_the_choice_is_printed_with_its_price_recorded_and_kept(choose, tmp_path) -> None:
    # 9,000 utterances of two crops at a third: 6,000 against 3,000.
    plan, lines = choose(3000, 9000)
    assert plan == EvalPlan(every_epochs=8, anyway=(3,), all_from=8)
    assert lines == [
        "validation will likely take about 67% of an epoch's time: 9,000 utterances of 2 crops "
        "(training.eval_crops) to embed and 3,000 to train on; so before epoch 8 a trial is "
        "evaluated only every 8 epochs, and where trials are compared (epoch 3); a shorter "
        "validation list is the cure"
    ]
    (record,) = read_journal(tmp_path / "journal.jsonl")
    assert (record.every_epochs, record.anyway, record.all_from) == (8, [3], 8)
    assert choose(300_000, 9) == (plan, [])


def test_a_run_with_trials_and_without_a_plan_gets_none(tmp_path, choose) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(EvalCropsChosen(eval_crops=1, wanted=2, expected_share=0.1))
        journal.append(made_record("trial_started", trial=0))
    assert choose(3000, 9000) == (EVERY_EPOCH, [])


def test_a_run_that_was_interrupted_before_the_choice_gets_one(tmp_path, choose) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(EvalCropsChosen(eval_crops=2, wanted=2, expected_share=0.1))
    plan, lines = choose(3000, 9000)
    assert (plan.every_epochs, len(lines)) == (8, 1)
    assert choose(3000, 9000) == (plan, [])


def test_a_short_search_prints_the_price_alone(choose, tmp_path) -> None:
    plan, lines = choose(3000, 9000, ((), 4))
    assert plan == EVERY_EPOCH
    assert "3,000 to train on; every epoch is evaluated, since all are among the last" in lines[0]
    assert lines[0].endswith("; a shorter validation list is the cure")
    assert read_journal(tmp_path / "journal.jsonl") == ()
