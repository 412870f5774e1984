"""What a search finds, against the best preset and against chance, at equal total epochs.

`make bench NAME=headline ARGS='--corpus corpus.yaml --teacher runs/teacher --out runs/headline'`
takes hours on two cores. After an interruption, the same command continues. It prints the tables
of results/README.md. The teacher is a trained model, or a .parquet of embeddings that has
the utterances of both lists; students get the size of its embeddings.
"""

import argparse
from pathlib import Path

from tests.benchmarks.headline_figures import (
    both_lists,
    choose,
    differences_table,
    found_table,
    table,
)
from tests.benchmarks.headline_runs import ARMS, SEARCH, Plan, cut_in_two, run_search_of
from trainable.checkpoints.loading import load_speaker_model
from trainable.corpus.corpus import read_corpus_config
from trainable.machine.hardware import describe_hardware
from trainable.teachers.any_teacher import is_stored
from trainable.teachers.embedding_file import read_embeddings


def embedding_dim_of(teacher: Path) -> int:
    """Return the size of a teacher's embeddings."""
    if is_stored(teacher):
        size: int = read_embeddings(teacher, ()).embedding_ND.shape[1]
        return size
    return load_speaker_model(teacher).model.embedding_dim


def parsed() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True, help="a corpus.yaml")
    parser.add_argument("--teacher", type=Path, required=True, help="a model or a .parquet")
    parser.add_argument("--out", type=Path, required=True, help="folder of runs and lists")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ...")
    parser.add_argument(
        "--against", nargs="*", default=[*ARMS], choices=[*ARMS], help="arms beside the search"
    )
    parser.add_argument("--space", default="mixer", help="a bundled space of Mixers")
    parser.add_argument("--width", type=float, default=0.25, help="factor on its widths")
    parser.add_argument("--preset-width", type=float, help="factor on the preset's, else --width")
    parser.add_argument("--max-epochs", type=int, default=12, help="epochs of a trial")
    parser.add_argument("--total-epochs", type=int, default=120, help="epochs of a search")
    parser.add_argument("--grace-epochs", type=int, default=1, help="of random with ASHA")
    return parser.parse_args()


def main() -> None:
    """Run the searches that are not finished yet, and compare them."""
    given = parsed()
    plan = Plan(
        corpus=read_corpus_config(given.corpus.resolve()),
        teacher=given.teacher.resolve(),
        embedding_dim=embedding_dim_of(given.teacher),
        out=given.out.resolve(),
        space=given.space,
        width=given.width,
        preset_width=given.preset_width or given.width,
        max_epochs=given.max_epochs,
        total_epochs=given.total_epochs,
        grace_epochs=given.grace_epochs,
    )
    corpus = cut_in_two(plan.corpus, plan.out)
    arms = [arm for arm in ARMS if arm == SEARCH or arm in given.against]
    for seed in range(given.seeds):
        for arm in arms:
            print(f"running: {arm}, seed {seed}", flush=True)
            run_search_of(plan, corpus, arm, seed)
    lists = both_lists(corpus)
    found = {
        arm: [choose(plan.run(arm, seed), lists) for seed in range(given.seeds)] for arm in arms
    }
    hardware = ", ".join(f"{name} {value}" for name, value in describe_hardware().items())
    print(f"\non {hardware}\n", *found_table(found), sep="\n")
    for name, one in lists.items():
        print(f"\nEER %, {name}: {one.num_speakers} speakers, {one.num_pairs:,} trial pairs\n")
        print(*table(found, name, one.judge_teacher(plan.teacher)), sep="\n")
    print("\nminus the search, points\n", *differences_table(found, lists), sep="\n")


if __name__ == "__main__":
    main()
