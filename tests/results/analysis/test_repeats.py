"""Repeats with other seeds: ranking, table, study, words."""

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import pytest

from results.analysis.ranking import (
    best_ended,
    mean_in_words,
    ranked,
    repeats_of,
)
from results.analysis.remarks import repeat_remarks, run_remarks, why_best
from results.analysis.run_view import RunView
from results.export.export import export_trial
from results.journal.history import trial_histories
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.record import Record
from results.records.search_records import SearchStarted
from results.records.trial_records import EpochEnded, TrialEnded, TrialStarted
from results.tables.trials import trials_table
from spaces.dimensions import Float
from spaces.files.errors import RunError
from tests.worlds.journals import write_journal
from tests.worlds.views import rebuild_study, view_of

LR = (Float(name="training.lr", low=1e-4, high=1e-2, log=True),)


def start(journal: Journal, trial: int, **more: Any) -> None:
    config = {"loss": {"distillation": "none"}, "training": {"lr": 1e-3}, "seed": trial}
    journal.append(
        TrialStarted(
            trial=trial,
            params={"training.lr": 1e-3},
            config=config,
            config_hash=f"{trial:012x}",
            seed=trial,
            **more,
        )
    )


def run_trial(
    journal: Journal, trial: int, veer_pct: list[float], state: str = "complete", **more: Any
) -> None:
    start(journal, trial, **more)
    for epoch, veer in enumerate(veer_pct, start=1):
        journal.append(EpochEnded(trial=trial, epoch=epoch, veer_pct=veer))
    journal.append(TrialEnded(trial=trial, state=state, reason=None))


@pytest.fixture
def repeated_run(tmp_path: Path) -> RunFolder:
    """Three trials, of which two were repeated.

    By the lowest VEER the order is 0, 1, 2. Repeats of 0: medians of the last five epochs 12 and
    14, and one that diverged; of 1: 10. A control of trial 3 is the lowest of all.
    """
    path = tmp_path / "run"
    with Journal(path / "journal.jsonl") as journal:
        journal.append(SearchStarted(settings={}, provenance={}))
        run_trial(journal, 0, [30.0, 7.0, 13.0])
        run_trial(journal, 1, [30.0, 8.0, 9.0])
        run_trial(journal, 2, [30.0, 9.0, 9.0])
        run_trial(journal, 3, [31.0], "stopped_early")
        last = [40.0, 12.0, 3.0, 12.0, 13.0, 12.0]  # the first is none of the last five
        run_trial(journal, 4, last, follow_up="repeat", follows=0)
        run_trial(journal, 5, [14.0], follow_up="repeat", follows=0)
        run_trial(journal, 6, [2.0], "diverged", follow_up="repeat", follows=0)
        run_trial(journal, 7, [10.0], follow_up="repeat", follows=1)
        run_trial(journal, 8, [31.0, 5.0], follow_up="control", follows=3)
        start(journal, 9, follow_up="repeat", follows=1)
        journal.append(EpochEnded(trial=9, epoch=1, veer_pct=1.0))
    return RunFolder(path)


def test_the_mean_of_the_repeats_decides_and_not_the_luckiest_epoch(
    repeated_run: RunFolder,
) -> None:
    trials = trial_histories(repeated_run.read())
    assert [trial.trial for trial in ranked(trials)] == [1, 0, 2, 3]
    assert [trial.trial for trial in best_ended(trials, 2)] == [1, 0]


def test_a_config_that_was_repeated_stands_before_one_that_was_not(tmp_path: Path) -> None:
    """A mean of 20 % is no worse than a single lowest VEER of 9 %: they are not comparable."""
    with Journal(tmp_path / "j") as journal:
        run_trial(journal, 0, [9.0])
        run_trial(journal, 1, [8.0])
        run_trial(journal, 2, [20.0], follow_up="repeat", follows=1)
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "j").rename(run / "journal.jsonl")
    assert [t.trial for t in ranked(trial_histories(RunFolder(run).read()))] == [1, 0]


def test_repeats_are_complete_ones_with_their_median(repeated_run: RunFolder) -> None:
    repeats = repeats_of(trial_histories(repeated_run.read()))
    assert repeats[0].veer_pct == (12.0, 14.0)
    assert (repeats[0].mean_pct, repeats[0].num_lost) == (13.0, 1)
    assert repeats[0].sd_pct == pytest.approx(2**0.5)
    assert repeats[1].veer_pct == (10.0,)
    assert repeats[1].sd_pct is None
    assert set(repeats) == {0, 1}


def test_the_table_has_repeats_and_gives_follow_ups_no_rank(repeated_run: RunFolder) -> None:
    rows = {row["trial"]: row for row in trials_table(RunView.read(repeated_run)).to_pylist()}
    columns = ("rank", "num_repeats", "repeat_mean_pct", "repeat_sd_pct")
    assert [rows[1][name] for name in columns] == [1, 1, 10.0, None]
    assert [rows[0][name] for name in columns] == [2, 2, 13.0, pytest.approx(2**0.5)]
    assert [rows[2][name] for name in columns] == [3, None, None, None]
    assert [rows[8][name] for name in ("rank", "follow_up", "follows")] == [None, "control", 3]
    assert [rows[4][name] for name in ("rank", "follow_up", "follows")] == [None, "repeat", 0]
    assert rows[0]["follow_up"] is None
    assert len(rows) == 10


def test_the_study_has_only_the_searchs_own_trials(repeated_run: RunFolder) -> None:
    study = rebuild_study(repeated_run.read(), LR)
    assert [trial.user_attrs["trial"] for trial in study.trials] == [0, 1, 2, 3]
    assert study.best_value == 7.0


def test_why_the_best_is_the_best(repeated_run: RunFolder) -> None:
    records = repeated_run.read()
    assert why_best(view_of(records)) == "by the mean of 1 repeat: 10.00 %"
    assert why_best(view_of(_without_follow_ups(records, of=[1]))) == (
        "by the mean of 2 repeats: 13.00 % ± 1.41, 1 more did not run to the end"
    )
    own = _without_follow_ups(records, of=range(len(records)))
    assert why_best(view_of(own)) == "by its lowest VEER: 7.00 %"
    assert why_best(view_of([])) is None


def _without_follow_ups(records: Iterable[Record], of: Container[int]) -> list[Record]:
    """The records without those of the follow-ups of some trials."""
    records = list(records)
    out = {trial.trial for trial in trial_histories(records) if trial.follows in of}
    return [record for record in records if getattr(record, "trial", None) not in out]


def test_the_remarks_name_the_means_and_who_would_have_been_lucky(
    repeated_run: RunFolder,
) -> None:
    means, lucky = repeat_remarks(RunView.read(repeated_run))
    assert means.endswith(": trial 1 10.00 % of 1; trial 0 13.00 % ± 1.41 of 2 (1 lost)")
    assert lucky == (
        "the best is trial 1 by its repeats; by the VEER of the luckiest epoch, 7.00 %, it would "
        "have been trial 0"
    )
    assert set(run_remarks(RunView.read(repeated_run))) >= {means, lucky}


def test_without_repeats_there_is_no_remark_on_them(journal_run: RunFolder) -> None:
    assert repeat_remarks(RunView.read(journal_run)) == []


def test_the_card_reports_repeats_whose_weights_these_are_not(trained_run: RunFolder) -> None:
    best = ranked(trial_histories(trained_run.read()))[0]
    before = export_trial(RunView.read(trained_run)).folder.joinpath("README.md").read_text()
    assert "VEER with other seeds" not in before
    count = len(trial_histories(trained_run.read()))
    with Journal(trained_run.journal) as journal:
        for number, veer in enumerate((11.0, 12.0)):
            more = {"follow_up": "repeat", "follows": best.trial}
            run_trial(journal, count + number, [veer], **more)
    exported = export_trial(RunView.read(trained_run))
    assert exported.trial == best.trial
    repeats = repeats_of(trial_histories(trained_run.read()))[best.trial]
    assert mean_in_words(repeats) == "11.50 % ± 0.71"
    assert (
        "- VEER with other seeds: 11.50 % ± 0.71 over 2 repeats of this config"
        in exported.folder.joinpath("README.md").read_text()
    )


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"follow_up": "repeat"}, r"trial_started must have follows"),
        ({"follows": 0}, r"trial_started must have follow_up"),
        ({"follow_up": "again", "follows": 0}, r"follow_up .* repeat or control, got 'again'"),
        ({"follow_up": ["repeat"], "follows": 0}, r"follow_up .* must be repeat or control"),
        ({"follow_up": "repeat", "follows": -1}, r"follows .* a whole number of at least 0, got"),
        ({"follow_up": "repeat", "follows": 2}, r"trial 2 must follow an earlier one .* got 2"),
        ({"follow_up": "repeat", "follows": 7}, r"trial 2 must follow an earlier one .* got 7"),
        ({"follow_up": "repeat", "follows": 1}, r"trial 2 must follow an earlier one .* got 1"),
    ],
)
def test_a_follow_up_of_nothing_is_refused(
    tmp_path: Path, more: dict[str, Any], match: str
) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        run_trial(journal, 0, [9.0])
        run_trial(journal, 1, [9.0], follow_up="control", follows=0)
    records = RunFolder(tmp_path).read()
    third = records[0].as_dict() | {"trial": 2} | more
    write_journal(journal.path, [*records, third])
    with pytest.raises(RunError, match=rf"journal\.jsonl:7: .*{match}"):
        RunFolder(tmp_path).read()


@pytest.mark.parametrize("more", [{}, {"follow_up": "repeat", "follows": 0}])
def test_a_trial_that_is_begun_again_follows_what_it_followed(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        run_trial(journal, 0, [9.0])
        run_trial(journal, 1, [9.0], follow_up="control", follows=0)
        start(journal, 1, **more)
    with pytest.raises(RunError, match=r":7: trial 1 starts again, but follows another trial"):
        RunFolder(tmp_path).read()
