"""What a fixed bank of crops costs in VEER, against random crops with the teacher online.

`make bench NAME=bank` with the corpus in $VEER_MINIVOX (`wav/`, `train_list.txt`, `veri_val.txt`),
or `python -m tests.benchmarks.bank --corpus corpus.yaml --teacher RUN`. Without a teacher, the
bundled `teacher_half` is trained first. The student is the preset v2_cosine at a quarter of its
width. Runs of one seed have the same initial weights, order of utterances and masks; their crops
come from a separate generator. A bank is the same for all seeds, since `targets.seed` is fixed.
Finished runs are kept in --out: an interrupted benchmark continues with the runs that are left.

VEER on few validation speakers is a coarse measure. A finer one is the student's mean cosine to
the teacher after the last epoch, on three sets: the crops of the last epochs of training, random
crops of the training utterances, random crops of the validation utterances. The difference between
the first and the second set shows how far a student fits only its bank. The cosines themselves do
not rank banks: the crops repeat for the classification term too. With one crop the cosine rose on
all three sets and VEER became much worse, presumably since the student could learn little except
from the teacher.

The target: the median VEER of the last five epochs with the default bank (the next smaller one if
--banks leaves it out), a mean over seeds, is at most 0.5 points above online's. The ratio is
online's over the bank's.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tests.benchmarks.bank_figures import (
    Arm,
    arm_name,
    difference_lines,
    keep,
    kept_runs,
    run_lines,
    verdict,
)
from tests.benchmarks.bank_runs import CPU, Bench
from tests.benchmarks.report import finish
from trainable.checkpoints.folder import resolve_model_file
from trainable.config.reading import read_trial_config
from trainable.config.trial_config import TrainRunConfig
from trainable.corpus.corpus import CorpusConfig, read_corpus_config
from trainable.features.crop_bank import TargetsConfig
from trainable.features.training_data import TrainingData, load_training_data
from trainable.machine.cache_dir import cache_dir
from trainable.machine.hardware import describe_hardware
from trainable.teachers.network import load_teacher
from trainable.training.full import run_training
from trainable.verification.evaluation import validation_scores
from trainable.verification.metrics import equal_error_rate

DEFAULT_BANK = TargetsConfig().num_crops
ALLOWED_PCT = 0.5


def corpus_of(file: Path | None) -> CorpusConfig:
    """Return the corpus of a corpus.yaml, or the one in $VEER_MINIVOX."""
    if file is not None:
        return read_corpus_config(file.resolve())
    if "VEER_MINIVOX" not in os.environ:
        sys.exit("bank: set VEER_MINIVOX to a folder with wav/, train_list.txt and veri_val.txt, "
                 "or give --corpus a corpus.yaml")  # fmt: skip
    root = Path(os.environ["VEER_MINIVOX"]).resolve()
    return CorpusConfig(
        train_dir=root / "wav",
        train_list=root / "train_list.txt",
        val_dir=root / "wav",
        val_list=root / "veri_val.txt",
    )


def teacher_file_of(options: argparse.Namespace, corpus: CorpusConfig, data: TrainingData) -> Path:
    """Return the model file of the teacher; train one beside --out if none is given."""
    if options.teacher is not None:
        return resolve_model_file(options.teacher)
    folder = options.out.with_suffix("") / "teacher"
    print(f"training the teacher (teacher_half) in {folder}", flush=True)
    config = TrainRunConfig(corpus=corpus, trial=read_trial_config("teacher_half"))
    return run_training(config, data, folder, device=CPU).best_file


def numbers(text: str) -> tuple[int, ...]:
    """Parse whole numbers that are separated by commas."""
    return tuple(dict.fromkeys(int(part) for part in text.split(",")))


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="What a fixed bank of crops costs in quality.")
    parser.add_argument("--corpus", type=Path, help="corpus.yaml in place of $VEER_MINIVOX")
    parser.add_argument("--teacher", type=Path, help="model file or run folder of a network")
    parser.add_argument("--out", type=Path, default=Path("runs/bank.jsonl"), help="finished runs")
    parser.add_argument("--hidden-dim", type=int, default=48, help="width of the student")
    parser.add_argument("--epochs", type=int, default=20, help="of every run")
    parser.add_argument("--seeds", type=numbers, default=(0, 1, 2), help="such as 0,1,2")
    parser.add_argument("--banks", type=numbers, default=(4, 8, 16), help="crops, such as 4,16")
    return parser.parse_args(arguments)


def main() -> None:
    options = parsed()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    overrides = [f"model.hidden_dim={options.hidden_dim}", f"training.max_epochs={options.epochs}"]
    trial = read_trial_config("v2_cosine", overrides)
    corpus = corpus_of(options.corpus)
    data = load_training_data(corpus, cache_dir=cache_dir())
    file = teacher_file_of(options, corpus, data)
    bench = Bench(data=data, teacher_file=file, teacher=load_teacher(file), trial=trial)
    describe(bench)
    setup = bench.setup(corpus)
    arms: tuple[Arm, ...] = (None, *options.banks)
    runs = []
    for seed in options.seeds:
        for num_crops in arms:
            run = kept_runs(options.out, setup).get((num_crops, seed))
            if run is None:
                run = bench.run(num_crops, seed, setup)
                keep(options.out, run)
            runs.append(run)
    print("\n".join(["", *run_lines(runs), "", *difference_lines(runs, options.banks), ""]))
    judged = judged_bank(options.banks)
    print(f"judged: {arm_name(judged)} (the default is {DEFAULT_BANK})")
    ratio, target = verdict(runs, judged, ALLOWED_PCT)
    finish("bank", ratio=ratio, target=target)


def judged_bank(banks: Sequence[int]) -> int:
    """Return the size of the default bank, or of the next smaller one that was run.

    A smaller bank costs at least as much VEER. Without a smaller one, the smallest is returned.
    """
    return max((size for size in banks if size <= DEFAULT_BANK), default=min(banks))


def describe(bench: Bench) -> None:
    """Print what is compared."""
    data, trial = bench.data, bench.trial
    print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    scores = validation_scores(
        bench.teacher.model, data, num_crops=trial.training.eval_crops, device=CPU
    )
    veer_pct = equal_error_rate(scores, data.val_is_target)
    latest = np.maximum(data.features.length[data.train_row] - trial.training.crop_frames, 0)
    print(
        f"teacher VEER {veer_pct:.2f} %; {len(data.train_row):,} training utterances, "
        f"places of a crop in the median one {np.median(latest) + 1:.0f}, a single one in "
        f"{100 * np.mean(latest == 0):.0f} %; {trial.training.max_epochs} epochs; "
        f"{torch.get_num_threads()} threads",
        flush=True,
    )


if __name__ == "__main__":
    main()
