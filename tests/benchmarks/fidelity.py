"""Whether a cheaper first epoch or three tells which students are good at the end.

`make bench NAME=fidelity ARGS='--bank FOLDER --teacher FILE --out FOLDER'` with the corpus in
$VEER_MINIVOX. It trains configs of the bank of real curves (see `extend_bank`) for 3 epochs in
cheaper ways (half the speakers, half the width), and prints the rank correlation of their d' with
the EER of the same configs after 12 whole epochs, beside that of the bank's own first epochs. d'
is over the pairs of one half of the validation speakers, the EER over those of the other half:
mean of 20 halves. All with averaged weights. Runs of --out that exist are not trained again.
Shorter crops are not among the ways: the kept embeddings of a teacher are those of whole crops,
and the Mixer's weights are for one length.
"""

import argparse
import copy
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from tests.benchmarks.curve_configs import planned_runs
from tests.benchmarks.curve_masks import NUM_CUTS, BankPairs, all_pairs_list, bank_pairs
from tests.benchmarks.extend_bank import AVERAGED, trained
from trainable.corpus.corpus import CorpusConfig
from trainable.features.training_data import TrainingData, load_training_data
from trainable.teachers.stored import load_stored_teacher
from trainable.verification.metrics import Floats

EPOCHS = 3
Change = Callable[[dict[str, Any]], None]


def whole(config: dict[str, Any]) -> None:
    """Change nothing."""


def narrower(config: dict[str, Any]) -> None:
    """Halve the width."""
    config["model"]["hidden_dim"] //= 2


# The change of a config, and which part of the training speakers is kept.
KINDS: Mapping[str, tuple[Change, int]] = MappingProxyType(
    {
        "half the speakers": (whole, 2),
        "half the width": (narrower, 1),
    }
)


def corpus_of(root: Path, work: Path, every: int) -> CorpusConfig:
    """Return the corpus with every n-th training speaker; its lists are written into `work`."""
    lines = (root / "train_list.txt").read_text().splitlines(keepends=True)
    speakers = sorted({line.split()[0] for line in lines})
    kept = set(speakers[::every])
    train_list = work / f"train-{every}.txt"
    work.mkdir(parents=True, exist_ok=True)
    train_list.write_text("".join(line for line in lines if line.split()[0] in kept))
    return CorpusConfig(
        train_dir=root / "wav",
        train_list=train_list,
        val_dir=root / "wav",
        val_list=all_pairs_list(root / "veri_val.txt", work),
    )


def train_missing(kind: str, runs: Mapping[str, dict[str, Any]], options: Any) -> None:
    """Train the configs that `--out` does not have in this way."""
    change, every = KINDS[kind]
    folder = options.out / kind.replace(" ", "-")
    missing = [name for name in runs if not (folder / f"{name}.npz").exists()]
    if not missing:
        return
    root = Path(os.environ["VEER_MINIVOX"]).resolve()
    corpus = corpus_of(root, options.out / "work", every)
    data: TrainingData = load_training_data(corpus, cache_dir=options.out / "work" / "cache")
    teacher = load_stored_teacher(options.teacher.resolve(), data)
    pairs: BankPairs = bank_pairs(data, root / "veri_val.txt")
    folder.mkdir(parents=True, exist_ok=True)
    for name in missing:
        config = copy.deepcopy(runs[name])
        change(config)
        arrays = trained(config, data, teacher, pairs, epochs=EPOCHS)
        # Renamed when complete: an interrupted write leaves no run behind.
        part = folder / f"{name}.part.npz"
        np.savez_compressed(part, **arrays)
        part.rename(folder / f"{name}.npz")
        print(f"{kind}, {name}: {arrays['loss'][:, 4].sum():.0f} s", flush=True)


def figures_of(folder: Path, names: list[str]) -> Floats:
    """Return EER % and d' of averaged weights, (N, epochs, parts, 2)."""
    found = []
    for name in names:
        with np.load(folder / f"{name}.npz") as run:
            found.append(run[f"metrics_{AVERAGED}"][:, :, :2])
    return np.stack(found).astype(float)


def correlation(early_ND: Floats, end_ND: Floats, rows: Any) -> float:
    """Return the mean rank correlation over the halves.

    Args:
        early_ND: d' after an epoch, by config and part.
        end_ND: EER % at the end, by config and part.
        rows: The configs that are used.
    """
    found = []
    for cut in range(NUM_CUTS):
        for one, other in ((1, 2), (2, 1)):
            early, end = early_ND[rows, one + 2 * cut], end_ND[rows, other + 2 * cut]
            found.append(spearmanr(early, -end)[0])
    return float(np.nanmean(found))


def line(name: str, early: Floats, end: Floats) -> str:
    """Return the row of one way: after 1 and 3 epochs, all configs and the better half."""
    rng, num = np.random.default_rng(0), len(end)
    better = np.argsort(end[:, 0])[: num // 2]
    cells = [name]
    for epoch in (1, EPOCHS):
        seen = early[:, epoch - 1, :, 1]
        draws = [correlation(seen, end, rng.integers(num, size=num)) for _ in range(200)]
        low, high = np.nanpercentile(draws, (2.5, 97.5))
        all_of = correlation(seen, end, np.arange(num))
        cells += [
            f"{all_of:.2f} ({low:.2f} to {high:.2f})",
            f"{correlation(seen, end, better):.2f}",
        ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description="Cheaper first rungs, by rank correlation.")
    parser.add_argument("--bank", type=Path, required=True, help="folder of the bank's runs")
    parser.add_argument("--teacher", type=Path, required=True, help=".parquet of embeddings")
    parser.add_argument("--out", type=Path, required=True, help="folder of the cheaper runs")
    parser.add_argument("--configs", type=int, default=24, help="the bank's first configs")
    options = parser.parse_args()
    if "VEER_MINIVOX" not in os.environ:
        sys.exit("fidelity: set VEER_MINIVOX to a folder with wav/, train_list.txt and "
                 "veri_val.txt")  # fmt: skip
    torch.set_num_threads(1)
    options.out = options.out.resolve()
    planned = dict(planned_runs(options.configs))
    names = [name for name in planned if (options.bank / f"{name}.npz").exists()
             and not name.endswith("b")]  # fmt: skip
    for kind in KINDS:
        train_missing(kind, {name: planned[name] for name in names}, options)
    bank = figures_of(options.bank, names)
    print(f"{len(names)} configs; rank correlation of d' with the EER after 12 whole epochs\n")
    print("| | after 1 epoch, all | better half | after 3, all | better half |")
    print("|---|---|---|---|---|")
    print(line("whole", bank, bank[:, -1, :, 0]))
    for kind in KINDS:
        early = figures_of(options.out / kind.replace(" ", "-"), names)
        print(line(kind, early, bank[:, -1, :, 0]))


if __name__ == "__main__":
    main()
