"""Students of every family: EER with a teacher and without, and CPU time.

`make bench NAME=families ARGS="--corpus corpus.yaml --teacher FILE --out runs/families"`. One
small config a family, chosen by hand, of 30 to 80 million multiply-accumulates for 2 s. Each is
trained with the cosine term and without, from the same weights, and judged once, at its end, as
in the benchmark `with_teacher`. CPU time is that of one embedding of two seconds on one thread,
over the time of the notes' student (2.66M parameters) in the same rounds. Finished pairs are kept
in the folder; the same command continues.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from models import MLPMixerConfig, build_model, count_parameters
from tests.benchmarks.curve_masks import all_pairs_list
from tests.benchmarks.headline import embedding_dim_of
from tests.benchmarks.with_teacher import Pair, pairs_of
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.cost.latency import latency_ratio
from trainable.cost.macs import count_macs
from trainable.features.crop_bank import TargetsConfig
from trainable.features.training_data import load_training_data
from trainable.machine.cache_dir import cache_dir
from trainable.machine.hardware import describe_hardware
from trainable.teachers.any_teacher import find_teacher, open_teacher

FRAMES = 200
SIZES: Mapping[str, dict[str, Any]] = {
    "mlp_mixer": {"hidden_dim": 64, "num_blocks": 4},
    "mlp_mixer_free": {"hidden_dim": 64, "num_blocks": 4},
    "next_tdnn": {"channels": 64, "num_blocks": 1},
    "campplus": {"growth": 8},
    "ecapa_tdnn": {"channels": 64, "aggregation_dim": 192},
    "resnet_se34l": {"num_filters": 8},
}
TRAINING = {"lr": 0.002, "ema_epochs": 1.0, "batch_size": 32, "eval_crops": 10}
LOSS = {"distillation": "cosine", "alpha": 0.5}


def trees_of(families: Sequence[str], embedding_dim: int, max_epochs: int) -> list[dict[str, Any]]:
    """Return the config tree of each family."""
    return [
        {
            "model": {"family": family, "embedding_dim": embedding_dim, **SIZES[family]},
            "loss": LOSS,
            "training": {**TRAINING, "max_epochs": max_epochs},
        }
        for family in families
    ]


def report_lines(trees: Sequence[dict[str, Any]], pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield a row for each family as Markdown."""
    yield "| family | parameters | MMACs | CPU time / notes' student | with teacher | without |"
    yield "|" + "---|" * 6
    feat_BTF = torch.randn(1, FRAMES, 80)
    notes = build_model(MLPMixerConfig()).eval()
    for number, tree in enumerate(trees):
        model = build_model(TrialConfig.model_validate(tree).model).eval()
        latency = latency_ratio((model, feat_BTF), (notes, feat_BTF))
        macs = count_macs(model, (1, FRAMES, 80))
        own = [pair for pair in pairs if pair.config == number]
        sides = ([pair.taught_pct for pair in own], [pair.alone_pct for pair in own])
        cells = [
            tree["model"]["family"],
            f"{count_parameters(model):,}",
            f"{macs / 1e6:.1f}",
            f"{latency.ratio:.2f}{'' if latency.is_steady else ' (not steady)'}",
            *(", ".join(f"{pct:.2f}" for pct in side) for side in sides),
        ]
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Train the pairs that are missing, and report all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True, help="a corpus.yaml")
    parser.add_argument("--teacher", type=Path, required=True, help="a model or a .parquet")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--families", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0, 1, ...")
    parser.add_argument("--max-epochs", type=int, default=9, help="epochs of a run")
    given = parser.parse_args()
    torch.set_num_threads(1)
    teacher_file = find_teacher(given.teacher.resolve())
    trees = trees_of(given.families, embedding_dim_of(teacher_file), given.max_epochs)
    given.out.mkdir(parents=True, exist_ok=True)
    setup = given.out / "setup.json"
    if setup.exists() and json.loads(setup.read_text()) != trees:
        raise SystemExit(f"{setup}: the runs of this folder have other configs; name another")
    setup.write_text(json.dumps(trees))
    corpus = read_corpus_config(given.corpus.resolve())
    all_pairs = all_pairs_list(corpus.val_list, given.out)
    corpus = corpus.model_copy(update={"val_list": all_pairs.resolve()})
    data = load_training_data(corpus, cache_dir=cache_dir())
    bank = TargetsConfig(num_crops=8).bank(FRAMES, "cpu")
    teacher = open_teacher(teacher_file, data, bank, cache_dir=cache_dir())
    pairs = list(pairs_of(given.out, trees, given.seeds, data, teacher))
    hardware = ", ".join(f"{name} {value}" for name, value in describe_hardware().items())
    print(f"\non {hardware}\n", *report_lines(trees, pairs), sep="\n")


if __name__ == "__main__":
    main()
