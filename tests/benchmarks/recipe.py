"""What the steps of a full training's recipe give, one after the other.

`make bench NAME=recipe ARGS='--config export/trial-0007/config.yaml --out runs/recipe'` trains the
config of an exported student in full, with each step added to those before it, with the same
seeds and epochs: the weights as they are; the average of the weights over time (and, as another
way, over the last epochs); a margin that rises; a last phase with a large margin. Each model is
that of its best epoch by VEER, judged by the cosine of mean embeddings over 10 crops on the test
list of the config, which no training opens. Finished trainings are kept.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.headline_figures import (
    Judged,
    against,
    both_lists,
    markdown_head,
    signed,
)
from trainable.checkpoints.loading import load_speaker_model
from trainable.config.trial_config import read_train_config
from trainable.machine.hardware import describe_hardware

PLAIN = "weights as they are"


def steps(epochs: int) -> dict[str, dict[str, Any]]:
    """Return the settings of each arm, for trainings of this many epochs."""
    plain = {
        "training.ema_epochs": 0,
        "training.average_last": 0,
        "training.last_phase_epochs": 0,
        "loss.margin_warmup_epochs": 0,
    }
    averaged = {**plain, "training.ema_epochs": 2}
    ramp = {**averaged, "loss.margin_warmup_epochs": epochs / 2}
    return {
        PLAIN: plain,
        "average of the last 5 epochs": {**plain, "training.average_last": 5},
        "average over 2 epochs": averaged,
        "and a margin that rises": ramp,
        "and a last phase": {**ramp, "training.last_phase_epochs": max(1, epochs // 6)},
    }


def train(config: Path, out: Path, settings: Mapping[str, Any], epochs: int, seed: int) -> None:
    """Train, or train the rest, by the command that a user would give."""
    assigned = [
        each for name, value in settings.items() for each in ("--set", f"trial.{name}={value}")
    ]
    subprocess.run(
        [
            sys.executable, "-m", "search.cli", "train", str(config), "--out", str(out),
            "--epochs", str(epochs), "--seed", str(seed), "--threads", "1", *assigned,
        ],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def report_lines(found: Mapping[str, Sequence[Judged]], num_speakers: int) -> Iterator[str]:
    """Yield the EER of each arm by seed, and its difference from the first arm, as Markdown."""
    base = found[PLAIN]
    seeds = [f"seed {seed}" for seed in range(len(base))]
    head = ["EER %", *seeds, "mean", "minus the first", "95 % over speakers", "95 % over seeds"]
    yield from markdown_head(head)
    for arm, judged in found.items():
        figures = [each.eer_pct for each in judged]
        cells = [arm, *(f"{each:.2f}" for each in [*figures, float(np.mean(figures))])]
        if arm != PLAIN:
            above = against(judged, base, num_speakers)
            intervals = [signed(above.mean.interval), signed(above.over_seeds)]
            cells += [f"{above.mean.behind_pct:+.2f}", *intervals]
        yield f"| {' | '.join(cells + [''] * (len(head) - len(cells)))} |"


def main() -> None:
    """Train what is missing, and report all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", type=Path, required=True, help="config.yaml of an export")
    parser.add_argument("--out", type=Path, required=True, help="folder of the trainings")
    parser.add_argument("--epochs", type=int, default=18, help="epochs of each training")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ...; at least 2")
    given = parser.parse_args()
    corpus = read_train_config(given.config).corpus
    if corpus.test_list is None:
        parser.error(f"{given.config} has no corpus.test_list, on which the models are judged")
    arms = steps(given.epochs)
    for seed in range(given.seeds):
        for number, (arm, settings) in enumerate(arms.items()):
            print(f"training: {arm}, seed {seed}", flush=True)
            train(given.config, given.out / f"{number}-{seed}", settings, given.epochs, seed)
    test = both_lists(corpus)["test"]
    found = {
        arm: [
            test.judge(load_speaker_model(given.out / f"{number}-{seed}").model)
            for seed in range(given.seeds)
        ]
        for number, arm in enumerate(arms)
    }
    print("\non " + ", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    print(f"{test.num_speakers} speakers, {test.num_pairs:,} trial pairs\n")
    print(*report_lines(found, test.num_speakers), sep="\n")


if __name__ == "__main__":
    main()
