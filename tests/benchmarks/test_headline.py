"""Figures of the benchmarks `headline`, `with-teacher` and `recipe` on made-up pairs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import ttest_rel

from tests.benchmarks import recipe
from tests.benchmarks.headline import embedding_dim_of
from tests.benchmarks.headline_figures import Judged, both_lists, choose
from tests.benchmarks.headline_runs import cut_in_two
from tests.benchmarks.with_teacher import Pair, report_lines
from tests.worlds.corpus import write_corpus
from tests.worlds.trained_run import train_both, write_trained_run
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus, read_corpus_config
from trainable.machine.cache_dir import CACHE_VARIABLE
from trainable.verification.evaluation import validation_scores
from trainable.verification.metrics import equal_error_rate


def test_a_file_of_embeddings_is_judged_on_both_halves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    corpus = read_corpus_config(write_corpus(tmp_path, num_train_speakers=2, num_utterances=2))
    paths = read_corpus(corpus).val_paths
    speakers = sorted({path.split("/")[0] for path in paths})
    # The third speaker's two utterances differ as much as two speakers do.
    swapped = next(path for path in paths if path.startswith(speakers[2]))
    directions = {speaker: [float(each == speaker) for each in speakers] for speaker in speakers}
    directions[""] = [0.0, 0.0, 0.0, 1.0]
    rows = [
        (path, 0, 200, directions["" if path == swapped else path.split("/")[0]]) for path in paths
    ]
    teacher = tmp_path / "teacher.parquet"
    columns = ["utterance", "start_frame", "num_frames", "embedding"]
    pd.DataFrame(rows, columns=columns).to_parquet(teacher)
    assert embedding_dim_of(teacher) == 4
    lists = both_lists(cut_in_two(corpus, tmp_path / "out"))
    # Every other speaker: the first and the third are in the validation half.
    assert {name: each.num_pairs for name, each in lists.items()} == {"validation": 6, "test": 6}
    assert lists["test"].judge_teacher(teacher).eer_pct == 0
    # Of two targets one has the score 0 of all four others.
    assert lists["validation"].judge_teacher(teacher).eer_pct == pytest.approx(100 / 3)


def test_the_student_that_a_search_chose_is_judged_on_both_halves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    trained = train_both(tmp_path / "trained")
    run = write_trained_run(tmp_path, trained)
    corpus = read_corpus_config(tmp_path / "corpus" / "corpus.yaml")
    lists = both_lists(cut_in_two(corpus, tmp_path / "out"))
    chosen = choose(run.path, lists)
    assert (chosen.trial, chosen.num_trials, chosen.epochs) == (0, 2, 2)
    assert chosen.num_params == trained.student.num_params
    assert chosen.veer_pct == trained.student.history[-1].veer_pct
    own = validation_scores(
        trained.student.evaluated, lists["test"].data, num_crops=10, device=torch.device("cpu")
    )
    expected_pct = equal_error_rate(own, lists["test"].data.val_is_target)
    assert chosen.judged["test"].eer_pct == expected_pct


def test_the_gain_of_a_teacher_is_a_ratio_of_the_same_configs() -> None:
    trees = [
        {
            "model": {"hidden_dim": 16, "num_blocks": 2},
            "loss": {"alpha": 0.5},
            "training": {"lr": 0.001},
        }
    ] * 2
    pairs = [
        Pair(config=config, seed=seed, taught_pct=taught, alone_pct=2 * taught)
        for config, seed, taught in ((0, 0, 8.0), (1, 0, 9.0), (0, 1, 10.0))
    ]
    lines = list(report_lines(trees, pairs))
    assert lines[2] == "| 0 | 16 | 2 | 0.50 | 0.0010 | 8.00, 10.00 | 16.00, 20.00 |"
    assert lines[4].startswith("median with the teacher 9.00 % (8.00 to 10.00), without 18.00 %")
    assert lines[5].endswith("2.00 (2.00 to 2.00)")


def test_a_step_of_the_recipe_is_compared_with_the_same_seeds() -> None:
    def judged(*eer_pct: float) -> list[Judged]:
        return [Judged(eer_pct=each, replicates_pct=np.full(100, each)) for each in eer_pct]

    plain, averaged = (10.0, 12.0, 11.0), (9.0, 11.5, 9.5)
    found = {recipe.PLAIN: judged(*plain), "averaged": judged(*averaged)}
    lines = list(recipe.report_lines(found, 20))
    assert lines[2] == f"| {recipe.PLAIN} | 10.00 | 12.00 | 11.00 | 11.00 |  |  |  |"
    low, high = ttest_rel(averaged, plain).confidence_interval(0.95)
    seeds = f"{low:+.2f} to {high:+.2f}"
    start = "| averaged | 9.00 | 11.50 | 9.50 | 10.00 | -1.00 | -1.00 to -1.00 |"
    assert lines[3] == f"{start} {seeds} |"


def test_the_steps_of_the_recipe_are_settings_of_a_training() -> None:
    for settings in recipe.steps(18).values():
        tree: dict[str, dict[str, object]] = {"training": {"max_epochs": 18}, "loss": {}}
        for name, value in settings.items():
            section, _, key = name.partition(".")
            tree[section][key] = value
        TrialConfig.model_validate(tree)
