"""Figures of the benchmarks `headline` and `with-teacher` on made-up teachers and pairs."""

import itertools
from pathlib import Path

import pandas as pd
import pytest

from tests.benchmarks.headline import embedding_dim_of
from tests.benchmarks.headline_figures import OneList
from tests.benchmarks.with_teacher import Pair, report_lines

# The second utterance of speaker b resembles speaker a.
EMBEDDINGS = {"a/1": (1.0, 0.1), "a/2": (1.0, 0.0), "b/1": (0.0, 1.0), "b/2": (0.9, 0.4)}


def test_a_file_of_embeddings_is_judged_on_a_list(tmp_path: Path) -> None:
    rows = [(f"{name}.wav", 0, 200, emb) for name, emb in EMBEDDINGS.items()]
    columns = ["utterance", "start_frame", "num_frames", "embedding"]
    teacher = tmp_path / "teacher.parquet"
    pd.DataFrame(rows, columns=columns).to_parquet(teacher)
    lines = []
    for one, other in itertools.combinations(EMBEDDINGS, 2):
        lines.append(f"{int(one[0] == other[0])} {one}.wav {other}.wav\n")
    for name in EMBEDDINGS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.wav").touch()
    file = tmp_path / "list.txt"
    file.write_text("".join(lines))
    assert embedding_dim_of(teacher) == 2
    # Targets 0.995 and 0.41, the others 0.95, 0.91, 0.10 and 0: one of two against two of four.
    assert OneList.read(file, tmp_path).judge_teacher(teacher).eer_pct == pytest.approx(50)


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
