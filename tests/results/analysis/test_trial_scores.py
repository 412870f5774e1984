"""The scores of a run, read back: only those of the journal's best epoch; and ties by them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results.analysis.ranking import ranked
from results.analysis.run_view import RunView
from results.analysis.trial_scores import (
    PAIRS_SCHEMA,
    RunScores,
    pairs_file,
    teacher_scores_file,
)
from results.journal.history import trial_histories
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.search_records import SearchStarted, TeacherRecord
from results.records.trial_records import TrialEnded, TrialStarted
from results.tables.trials import trials_table, write_tables
from tests.damage import flip_bit, halve
from tests.worlds.journal_writing import report, start
from tests.worlds.speaker_world import trial_list
from tests.worlds.views import view_of
from trainable.verification.bootstrap import SpeakerBootstrap, paired_difference
from trainable.verification.metrics import equal_error_rate
from trainable.verification.scores import MeasuredScores, write_scores

LIST = trial_list(np.random.default_rng(0), 20, 20)
BEST_EPOCH = 2


def scored(noise, seed):
    rng = np.random.default_rng(seed)
    speaker = 0.3 * np.random.default_rng(1).normal(size=20)
    return 1.5 * LIST.is_target + speaker[LIST.speaker_a] + noise * rng.normal(
        size=LIST.is_target.size
    )


SCORES = {0: scored(1.0, 2), 1: scored(1.02, 3), 2: scored(2.5, 4)}


def measured(scores, epoch):
    return MeasuredScores(
        epoch=epoch,
        veer_pct=equal_error_rate(scores, LIST.is_target),
        scores=scores.astype(np.float32),
        replicates=SpeakerBootstrap(LIST).eer_pct(scores).astype(np.float32),
    )


def write_pairs(run):
    names = [f"id{number}" for number in range(20)]
    table = {
        "path_a": [f"{names[a]}/a.wav" for a in LIST.speaker_a],
        "path_b": [f"{names[b]}/b.wav" for b in LIST.speaker_b],
        "speaker_a": [names[a] for a in LIST.speaker_a],
        "speaker_b": [names[b] for b in LIST.speaker_b],
        "is_target": LIST.is_target,
    }
    pairs_file(run).parent.mkdir(parents=True)
    pq.write_table(pa.table(table, schema=PAIRS_SCHEMA), pairs_file(run))


@pytest.fixture
def run(tmp_path):
    """Three complete trials with scores, a fourth without."""
    path = tmp_path / "run"
    write_pairs(path)
    with Journal(path / "journal.jsonl") as journal:
        teacher = measured(SCORES[0], 0)
        journal.append(SearchStarted(settings={}, provenance={}))
        journal.append(
            TeacherRecord(path="t", veer_pct=teacher.veer_pct, num_params=1, sha256="a")
        )
        write_scores(teacher_scores_file(path), teacher)
        for trial in range(4):
            start(journal, trial, loss__distillation="none", training__lr=1e-3)
            report(journal, trial, 1, 60.0)
            found = measured(SCORES[min(trial, 2)], BEST_EPOCH)
            ends = {"veer_low_pct": found.veer_pct - 2, "veer_high_pct": found.veer_pct + 2}
            report(journal, trial, BEST_EPOCH, found.veer_pct, **ends)
            journal.append(TrialEnded(trial=trial, state="complete", reason=None))
            if trial < 3:
                write_scores(path / "trials" / f"{trial:04d}" / "scores.npz", found)
    return RunFolder(path)


def history(run, trial):
    return trial_histories(run.read())[trial]


def test_scores_come_with_labels_and_the_best_epoch(run):
    found = RunView.read(run).scores(history(run, 1))
    np.testing.assert_array_equal(found.scores, SCORES[1].astype(np.float32))
    np.testing.assert_array_equal(found.is_target, LIST.is_target)
    assert found.epoch == BEST_EPOCH
    assert found.replicates.size == 1000


def test_the_teachers_scores_are_those_that_were_journalled(run):
    assert RunView.read(run).teacher_scores.epoch == 0
    write_scores(teacher_scores_file(run.path), measured(SCORES[2], 0))
    assert RunView.read(run).teacher_scores is None


def test_the_list_has_paths_and_speakers(run):
    first = RunScores(run).pairs().to_pylist()[0]
    assert first["speaker_a"] == "id0"
    assert first["path_a"] == "id0/a.wav"


def test_scores_of_another_epoch_than_the_journals_best_are_not_given(run):
    with Journal(run.journal) as journal:
        journal.append(TrialStarted(trial=1, params={}, config={}, config_hash="b", seed=1))
        report(journal, 1, BEST_EPOCH + 1, 0.5)
    assert RunView.read(run).scores(history(run, 1)) is None
    assert RunScores(run).behind(history(run, 1), history(run, 0)) is None


def test_scores_of_another_veer_are_not_given(run):
    write_scores(run.trial(1) / "scores.npz", measured(SCORES[2], BEST_EPOCH))
    assert RunView.read(run).scores(history(run, 1)) is None


def test_scores_of_another_list_are_not_given(run):
    short = measured(SCORES[1], BEST_EPOCH)
    write_scores(
        run.trial(1) / "scores.npz",
        MeasuredScores(
            epoch=short.epoch,
            veer_pct=short.veer_pct,
            scores=short.scores[:-1],
            replicates=short.replicates,
        ),
    )
    assert RunView.read(run).scores(history(run, 1)) is None


def test_a_run_of_before_there_were_scores_has_none(journal_run):
    assert RunScores(journal_run).pairs() is None
    assert RunView.read(journal_run).teacher_scores is None
    view = RunView.read(journal_run)
    assert view.scores(view.ranked[0]) is None
    table = trials_table(view)
    assert table["behind_pct"].null_count == table["is_tied"].null_count == table.num_rows


def test_the_table_marks_ties_with_the_first(run):
    table = trials_table(RunView.read(run))
    rows = {row["trial"]: row for row in table.to_pylist()}
    first = ranked(trial_histories(run.read()))[0].trial
    for trial in range(3):
        expected = paired_difference(SCORES[trial], SCORES[first], LIST)
        assert rows[trial]["behind_pct"] == pytest.approx(expected.behind_pct)
        ends = rows[trial]["behind_low_pct"], rows[trial]["behind_high_pct"]
        low_pct, high_pct = expected.interval.low_pct, expected.interval.high_pct
        assert ends == pytest.approx((low_pct, high_pct), abs=1e-4)
    assert [rows[trial]["is_tied"] for trial in range(4)] == [True, True, False, None]
    assert rows[first]["behind_low_pct"] == rows[first]["behind_high_pct"] == 0
    assert rows[2]["veer_low_pct"] == rows[2]["veer_pct"] - 2


def test_without_scores_the_table_has_only_the_journals_intervals(run):
    row = trials_table(view_of(run.read())).to_pylist()[0]
    assert row["veer_high_pct"] == row["veer_pct"] + 2
    assert row["behind_pct"] is row["is_tied"] is None


def test_the_tables_on_disk_have_them_too(run):
    write_tables(RunView.read(run))
    trials = pq.read_table(run.trials_table)
    assert trials["is_tied"].null_count == 1


@pytest.mark.parametrize("damage", [halve, flip_bit])
def test_damaged_scores_are_left_out_and_reported(run, damage):
    damage(run.trial(1) / "scores.npz")
    scores = RunScores(run)
    table = trials_table(RunView(run, run.read(), scores))
    rows = {row["trial"]: row for row in table.to_pylist()}
    assert rows[1]["behind_pct"] is None
    assert rows[2]["behind_pct"] is not None
    (damage,) = scores.damages
    assert "0001/scores.npz: these scores are damaged" in damage


def test_a_damaged_list_leaves_out_all_and_is_reported(run):
    halve(pairs_file(run.path))
    scores = RunScores(run)
    table = trials_table(RunView(run, run.read(), scores))
    assert table["behind_pct"].null_count == table.num_rows
    assert "pairs.parquet: this list is damaged" in scores.damages[0]


def test_a_list_with_other_columns_is_damaged(run):
    table = RunScores(run).pairs()
    pq.write_table(table.drop_columns(["speaker_b"]), pairs_file(run.path))
    scores = RunScores(run)
    assert scores.pairs() is None
    assert "must have path_a, path_b, speaker_a, speaker_b, is_target" in scores.damages[0]


def test_a_file_is_read_again_only_when_it_was_replaced(run, monkeypatch):
    reads = []
    real = RunScores._read

    def counted(self, file):
        reads.append(file.parent.name)
        return real(self, file)

    monkeypatch.setattr(RunScores, "_read", counted)
    scores = RunScores(run)
    trials_table(RunView(run, run.read(), scores))
    assert sorted(reads) == ["0000", "0001", "0002"]
    trials_table(RunView(run, run.read(), scores))
    assert len(reads) == 3
    write_scores(run.trial(1) / "scores.npz", measured(SCORES[1], BEST_EPOCH))
    trials_table(RunView(run, run.read(), scores))
    assert reads[3:] == ["0001"]
