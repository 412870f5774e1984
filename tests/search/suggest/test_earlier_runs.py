"""Trials of earlier runs that a search learns from."""

from pathlib import Path

import pytest

from results.journal.journal import Journal, read_journal
from results.records.search_records import EarlierTrialsRead
from results.records.trial_records import EpochEnded, TrialEnded, TrialStarted
from search.suggest.earlier_runs import MOST_TRIALS, earlier_trials, record_earlier_trials
from spaces.dimensions import Choice, Float
from spaces.files.errors import ConfigError, RunError
from spaces.space import Space
from trainable.config.trial_config import TrialConfig

SPACE = Space(
    name="losses",
    fixed={},
    dimensions=(
        Choice(name="loss.distillation", choices=("none", "cosine")),
        Float(
            name="loss.alpha", low=0.2, high=0.9, when={"loss.distillation": {"not": "none"}}
        ),
    ),
)


def write_run(folder: Path, trials) -> Path:
    """Write a journal of trials: (kind of loss, VEERs by epoch, state or None, more fields)."""
    with Journal(folder / "journal.jsonl") as journal:
        for number, (kind, veers_pct, state, more) in enumerate(trials):
            alpha = {} if kind == "none" else {"alpha": (number + 1) / 1000}
            loss = {"distillation": kind} | alpha
            config = TrialConfig.model_validate({"loss": loss, "seed": number})
            journal.append(
                TrialStarted(
                    trial=number,
                    params={},
                    config=config.canonical(),
                    config_hash=config.config_hash(),
                    seed=number,
                    **more,
                )
            )
            for epoch, veer_pct in enumerate(veers_pct, start=1):
                journal.append(EpochEnded(trial=number, epoch=epoch, veer_pct=veer_pct))
            if state is not None:
                journal.append(TrialEnded(trial=number, state=state, reason=None))
    return folder


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return write_run(
        tmp_path / "first",
        [
            ("cosine", [30.0], "stopped_early", {}),
            ("none", [31.0, 12.0, 13.0], "complete", {}),
            ("cosine", [5.0, 6.0], "failed", {}),
            ("mse", [20.0, 9.0, 8.0], "complete", {}),
            ("cosine", [32.0, 20.0], "stopped_early", {}),
            ("cosine", [33.0, 15.0, 11.0], "complete", {}),
            ("cosine", [3.0], None, {}),
            ("cosine", [29.0, 18.0], "stopped_early", {}),
            ("none", [1.0, 1.0, 1.0], "complete", {"follow_up": "repeat", "follows": 1}),
        ],
    )


def test_trials_come_in_the_order_of_a_live_search(first):
    found = earlier_trials([first], SPACE, ())
    # Trial 3 is the best, but its loss is not in the space.
    assert [each.trial for each in found] == [5, 1, 7, 4, 0]
    assert [each.place for each in found] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert {each.source for each in found} == {str(first)}
    assert found[1].params == {"loss.distillation": "none"}
    # 0.006 there, the nearest here.
    assert found[0].params == {"loss.distillation": "cosine", "loss.alpha": 0.2}


def test_trials_are_read_once(first, tmp_path):
    found = earlier_trials([first], SPACE, ())
    lines: list[str] = []
    with Journal(tmp_path / "journal") as journal:
        record_earlier_trials(found, journal, (), lines.append)
    records = read_journal(tmp_path / "journal")
    (first / "journal.jsonl").unlink()
    assert earlier_trials([first], SPACE, records) == found
    with Journal(tmp_path / "journal") as journal:
        record_earlier_trials(found, journal, records, lines.append)
    records = read_journal(tmp_path / "journal")
    assert [type(record) for record in records] == [EarlierTrialsRead]
    assert lines == [f"learns from {first}: the order of 5 trials"]


def test_of_a_long_run_trials_at_even_distances_are_taken(tmp_path):
    number = MOST_TRIALS + 50
    run = write_run(
        tmp_path / "long", [("cosine", [20.0 + n], "complete", {}) for n in range(number)]
    )
    found = earlier_trials([run], SPACE, ())
    assert [each.trial for each in found] == list(range(0, number, 2))


@pytest.mark.parametrize(
    ("trials", "error", "message"),
    [
        ([], RunError, r"learn_from: .*first: no trial of this run has ended with a VEER yet"),
        ([("none", [9.0], None, {})], RunError, r"no trial of this run has ended"),
        (
            [("mse", [9.0], "complete", {})] * 2,
            ConfigError,
            r"learn_from: none of the 2 trials of .*first fits the space losses",
        ),
    ],
)
def test_run_that_teaches_nothing_is_refused(tmp_path, trials, error, message):
    run = write_run(tmp_path / "first", trials)
    with pytest.raises(error, match=message):
        earlier_trials([run], SPACE, ())


def test_folder_without_a_journal_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"learn_from: .*nowhere"):
        earlier_trials([tmp_path / "nowhere"], SPACE, ())
