"""The bests of two runs on the same replicates of one list."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from results.analysis.run_view import RunView
from results.analysis.trial_scores import PAIRS_SCHEMA, pairs_file
from results.compare.compare import compare_runs
from results.compare.parts import bests_behind
from results.compare.view import comparison_view
from results.journal.journal import Journal
from results.records.search_records import SearchStarted
from results.records.trial_records import TrialEnded
from tests.results.terminal.test_trials import text_of
from tests.worlds.journal_writing import report, start
from trainable.verification.bootstrap import SpeakerBootstrap, SpeakerPairs, paired_difference
from trainable.verification.metrics import equal_error_rate
from trainable.verification.scores import MeasuredScores, write_scores

SPEAKERS = [f"s{number:02d}" for number in range(12)]


def pair_list() -> pa.Table:
    """Two target pairs a speaker, and a non-target pair with each of the next three."""
    rows = []
    for number, one in enumerate(SPEAKERS):
        others = [one, one, *(SPEAKERS[(number + step) % 12] for step in (1, 2, 3))]
        rows += [
            {"path_a": f"{one}/a", "path_b": f"{other}/{place}", "speaker_a": one,
             "speaker_b": other, "is_target": one == other}
            for place, other in enumerate(others)
        ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=PAIRS_SCHEMA)


LIST = pair_list()
PAIRS = SpeakerPairs.of(
    LIST["speaker_a"].to_pylist(), LIST["speaker_b"].to_pylist(), LIST["is_target"].to_numpy()
)


def scores_of(seed: int, gap: float) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(size=LIST.num_rows)
    return (noise + gap * PAIRS.is_target).astype(np.float32)


def run_with(path: Path, scores: NDArray[np.float32], table: pa.Table = LIST) -> RunView:
    veer_pct = equal_error_rate(scores.astype(np.float64), PAIRS.is_target)
    with Journal(path / "journal.jsonl") as journal:
        journal.append(SearchStarted(settings={}, provenance={}))
        start(journal, 0, loss__distillation="none", training__lr=1e-3)
        report(journal, 0, 1, veer_pct)
        journal.append(TrialEnded(trial=0, state="complete", reason=None))
    view = RunView.read(path)
    pairs_file(path).parent.mkdir()
    pq.write_table(table, pairs_file(path))
    measured = MeasuredScores(
        epoch=1,
        veer_pct=veer_pct,
        scores=scores,
        replicates=SpeakerBootstrap(PAIRS).eer_pct(scores).astype(np.float32),
    )
    write_scores(view.folder.trial(0) / "scores.npz", measured)
    return view


def test_the_interval_is_that_of_the_paired_comparison_of_the_scores(tmp_path: Path) -> None:
    good, bad = scores_of(0, 3.0), scores_of(1, 0.7)
    views = [run_with(tmp_path / "good", good), run_with(tmp_path / "bad", bad)]
    (behind,) = bests_behind(views)
    second = paired_difference(bad, good, PAIRS)
    assert behind is not None
    assert second.interval is not None
    assert behind.behind_pct == pytest.approx(second.behind_pct)
    assert behind.low_pct == pytest.approx(second.interval.low_pct, abs=1e-4)
    assert behind.high_pct == pytest.approx(second.interval.high_pct, abs=1e-4)
    assert behind.is_tied is second.is_tied is False
    text = " ".join(text_of(comparison_view(compare_runs(views), 200)).split())
    assert f"the best of bad: VEER {behind.behind_pct:+.2f} points from the best of good" in text
    assert "may be due to chance" not in text


def test_a_difference_with_0_in_its_interval_may_be_chance(tmp_path: Path) -> None:
    views = [run_with(tmp_path / str(seed), scores_of(seed, 1.5)) for seed in (2, 3)]
    (behind,) = bests_behind(views)
    assert behind is not None
    assert behind.is_tied is True
    text = text_of(comparison_view(compare_runs(views), 200))
    assert "; the difference may be due to chance" in text


def test_without_scores_on_one_list_there_is_no_comparison(tmp_path: Path) -> None:
    first = run_with(tmp_path / "a", scores_of(0, 1.0))
    order = [1, 0, *range(2, LIST.num_rows)]
    other = run_with(tmp_path / "b", scores_of(1, 1.0), LIST.take(order))
    bare = run_with(tmp_path / "c", scores_of(1, 1.0))
    (bare.folder.trial(0) / "scores.npz").unlink()
    assert bests_behind([first, other, bare]) == (None, None)
    assert "points from the best" not in text_of(comparison_view(compare_runs([first, bare])))
