"""Trains more random students for the bank of real learning curves.

`make bench NAME=extend-bank ARGS='--bank FOLDER --teacher FILE'` with the corpus in $VEER_MINIVOX
(`wav/`, `train_list.txt`, `veri_val.txt`). FOLDER lies outside the repo and has one `NAME.npz` a
run; those that exist are skipped, so an interrupted command continues, and several processes share
the work with --part and --of. `--check NAME` trains a run of the bank again and prints how far its
figures are from the kept ones; nothing is written then.

A file has, for each of 12 epochs and for raw and averaged weights: the scores of the listed pairs
(`scores_KIND`), and EER %, d' and 1 - AUC over the pairs of `curve_masks` (`metrics_KIND`); `loss`
(total, classification, training accuracy %, teacher cosine, seconds), `cfg`, `num_params`. The
average is exponential over the steps, with decay min(0.98, (1 + n) / (10 + n)) after step n;
averages of batch statistics are averaged too.
"""

import argparse
import copy
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models import SpeakerModel
from spaces.files.errors import DivergedError
from tests.benchmarks.curve_configs import EPOCHS, planned_runs
from tests.benchmarks.curve_masks import BankPairs, all_pairs_list, bank_pairs
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import CorpusConfig
from trainable.features.training_data import TrainingData, load_training_data
from trainable.loss.teacher_output import AnyTeacher
from trainable.machine.engine import Engine
from trainable.step.batch import Batch
from trainable.step.step import StepMeter, TrainingStep
from trainable.store.tasks import ProgressCallback
from trainable.teachers.stored import load_stored_teacher
from trainable.training.trainer import Trainer
from trainable.verification.evaluation import Validation
from trainable.verification.metrics import Floats

RAW, AVERAGED = "raw", "ema"
MAX_DECAY = 0.98
# Rounding differs between versions and processors, and training amplifies it until the run is as
# far from the kept one as another seed's: the EER of averaged weights, mean of the last epochs.
LAST = 3
CHECK_TOLERANCE_PCT = 1.5


class AveragingStep:
    """A training step after which an exponential average of the weights is updated.

    Args:
        step: The step.

    Attributes:
        averaged: The student with the averaged weights.
    """

    def __init__(self, step: TrainingStep) -> None:
        self._step = step
        self._num_steps = 0
        self.averaged: SpeakerModel = copy.deepcopy(step.student)

    def run(self, batch: Batch, meter: StepMeter | None = None) -> dict[str, Tensor]:
        """Run one step."""
        terms = self._step.run(batch, meter)
        self._num_steps += 1
        decay = min(MAX_DECAY, (1 + self._num_steps) / (10 + self._num_steps))
        with torch.no_grad():
            pairs = zip(
                self.averaged.state_dict().values(),
                self._step.student.state_dict().values(),
                strict=True,
            )
            for mean, new in pairs:
                if mean.dtype.is_floating_point:
                    mean.lerp_(new, 1 - decay)
                else:
                    mean.copy_(new)
        return terms

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)


@dataclass(kw_only=True)
class WatchedValidation:
    """A validation that scores the raw and the averaged weights, and keeps both figures.

    Attributes:
        validation: Scores a model.
        averaged: The student with the averaged weights.
        pairs: The pairs that figures are computed over.
        scores: Scores of the listed pairs by epoch, by kind of weights.
        metrics: Figures by epoch, by kind of weights.
    """

    validation: Validation
    averaged: SpeakerModel
    pairs: BankPairs
    scores_of: dict[str, list[Floats]] = field(default_factory=lambda: {RAW: [], AVERAGED: []})
    metrics: dict[str, list[Floats]] = field(default_factory=lambda: {RAW: [], AVERAGED: []})

    def scores(
        self, model: SpeakerModel, engine: Engine, progress: ProgressCallback | None = None
    ) -> Floats | None:
        """Return the scores of the raw weights; keep those of both."""
        found = {
            RAW: self.validation.scores(model, engine, progress),
            AVERAGED: self.validation.scores(self.averaged, engine),
        }
        for kind, scores in found.items():
            if scores is None:
                return None
            self.scores_of[kind].append(scores[self.pairs.listed].astype(np.float16))
            self.metrics[kind].append(self.pairs.metrics(scores))
        return found[RAW]


def trained(
    config: Mapping[str, Any],
    data: TrainingData,
    teacher: AnyTeacher,
    pairs: BankPairs,
    *,
    epochs: int = EPOCHS,
) -> dict[str, Any]:
    """Train one student for some epochs and return the arrays of its file.

    Raises:
        DivergedError: Weights or embeddings became NaN or infinite.
    """
    needed = None if config["loss"]["distillation"] == "none" else teacher
    trial = TrialConfig.model_validate(config)
    trainer = Trainer(trial, data, teacher=needed, device=torch.device("cpu"))
    step = AveragingStep(trainer.step)
    watched = WatchedValidation(
        validation=trainer._validation, averaged=step.averaged, pairs=pairs
    )
    trainer.step = step  # type: ignore[assignment]
    trainer._validation = watched  # type: ignore[assignment]
    losses = []
    for _ in range(epochs):
        report = trainer.run_epoch()
        cosine = report.teacher_cosine or 0
        losses.append((report.loss_total, report.loss_classification, report.train_accuracy_pct,
                       cosine, report.train_s))  # fmt: skip
    arrays: dict[str, Any] = {
        "loss": np.array(losses, np.float32),
        "cfg": json.dumps(config),
        "num_params": trainer.num_params,
    }
    for kind in (RAW, AVERAGED):
        arrays[f"scores_{kind}"] = np.stack(watched.scores_of[kind])
        arrays[f"metrics_{kind}"] = np.stack(watched.metrics[kind])
    return arrays


def check(kept: Path, arrays: Mapping[str, Any]) -> bool:
    """Print how far a run is from the kept one; return whether the averaged weights are close."""
    is_close = False
    with np.load(kept) as file:
        print(f"loss of epoch 1: {arrays['loss'][0, 0]:.4f}, kept {file['loss'][0, 0]:.4f}")
        for kind in (RAW, AVERAGED):
            again, before = (each[f"metrics_{kind}"][:, 0, :2] for each in (arrays, file))
            late = [float(each[-LAST:, 0].mean()) for each in (again, before)]
            is_close = abs(late[0] - late[1]) <= CHECK_TOLERANCE_PCT
            apart = np.abs(again - before).max(axis=0)
            print(
                f"{kept.stem}, {kind}: EER of the last {LAST} epochs {late[0]:.2f} %, kept "
                f"{late[1]:.2f} %; at most {apart[0]:.2f} points apart, d' {apart[1]:.3f}"
            )
    return is_close


def parsed() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="More runs for the bank of real curves.")
    parser.add_argument("--bank", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--teacher", type=Path, required=True, help=".parquet of embeddings")
    parser.add_argument("--configs", type=int, default=150, help="configs in all")
    parser.add_argument("--part", type=int, default=0, help="this process, from 0")
    parser.add_argument("--of", type=int, default=1, help="processes in all")
    parser.add_argument("--check", metavar="NAME", help="train this run again, and compare")
    options = parser.parse_args()
    if options.configs < 1:
        parser.error(f"--configs must be at least 1, got {options.configs}")
    if not 0 <= options.part < options.of:
        parser.error(f"--part must be from 0 to --of minus 1, got {options.part} of {options.of}")
    if not options.teacher.is_file():
        parser.error(f"--teacher: no such file: {options.teacher}")
    return options


def main() -> None:
    options = parsed()
    if "VEER_MINIVOX" not in os.environ:
        sys.exit("extend-bank: set VEER_MINIVOX to a folder with wav/, train_list.txt and "
                 "veri_val.txt")  # fmt: skip
    torch.set_num_threads(1)
    corpus = Path(os.environ["VEER_MINIVOX"]).resolve()
    bank = options.bank.resolve()
    config = CorpusConfig(
        train_dir=corpus / "wav",
        train_list=corpus / "train_list.txt",
        val_dir=corpus / "wav",
        val_list=all_pairs_list(corpus / "veri_val.txt", bank / "work"),
    )
    data = load_training_data(config, cache_dir=bank / "work" / "cache")
    teacher = load_stored_teacher(options.teacher.resolve(), data)
    pairs = bank_pairs(data, corpus / "veri_val.txt")
    runs = dict(planned_runs(options.configs))
    if options.check:
        again = trained(runs[options.check], data, teacher, pairs)
        sys.exit(0 if check(bank / f"{options.check}.npz", again) else 1)
    for number, (name, each) in enumerate(runs.items()):
        file = bank / f"{name}.npz"
        if number % options.of != options.part or file.exists():
            continue
        started = time.perf_counter()
        try:
            arrays = trained(each, data, teacher, pairs)
        except DivergedError as error:
            print(f"{name}: {error}", flush=True)
            continue
        # Renamed when complete: an interrupted write leaves no run behind.
        part = bank / f"{name}.part.npz"
        np.savez_compressed(part, **arrays)
        part.rename(file)
        last = {kind: arrays[f"metrics_{kind}"][-1, 0, 0] for kind in (RAW, AVERAGED)}
        print(
            f"{name}: EER {last[RAW]:.2f} % raw, {last[AVERAGED]:.2f} % averaged, "
            f"{time.perf_counter() - started:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
