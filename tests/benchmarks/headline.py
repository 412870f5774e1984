"""What a search finds, against the best preset and against chance, at equal total epochs.

`python -m tests.benchmarks.headline --corpus corpus.yaml --teacher runs/teacher --out OUT`
"""

import argparse
from pathlib import Path

from tests.benchmarks.headline_runs import ARMS, Plan, cut_in_two, run_search_of
from trainable.corpus import read_corpus_config


def main() -> None:
    """Runs what is not run yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--max-epochs", type=int, default=12)
    parser.add_argument("--total-epochs", type=int, default=120)
    parser.add_argument("--grace-epochs", type=int, default=2)
    given = parser.parse_args()
    plan = Plan(
        corpus=read_corpus_config(given.corpus.resolve()),
        teacher=given.teacher.resolve(),
        out=given.out.resolve(),
        width=given.width,
        max_epochs=given.max_epochs,
        total_epochs=given.total_epochs,
        grace_epochs=given.grace_epochs,
    )
    corpus = cut_in_two(plan)
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        for arm in ARMS:
            print(f"{arm}, seed {seed}", flush=True)
            run_search_of(plan, corpus, arm, seed)


if __name__ == "__main__":
    main()
