"""An epoch of the training loop over the same number of bare steps on resident random tensors.

`make bench NAME=step`, or `python -m tests.benchmarks.step`; `--steps 4 --rounds 3` for a shorter
one, `--device cuda` on a GPU. Both sides compute classification and cosine distillation;
evaluation is on neither side. The epoch gathers its crops and the teacher's targets from stores on
disk: made-up log-mels, 8 s per utterance, and made-up targets. The two sides take turns, and so
does the order within a round. The ratio is the median over rounds. The targets: at most 1.03 on
the CPU for the notes' 2.66M student, and at most 1.05 for one of width 64 with 4 blocks. Beside
the ratio it prints how often a step gave up a core to wait, on either side: PyTorch's threads
wait for each other without that, unless the process has more of them than cores.

Then bare steps with averaged weights (`training.ema_epochs`): a step's time over that without the
update of the average, which is timed in every step, by CPU time on a CPU. The limit is 1.02.
`--averaged 0` leaves this out, `--rounds 0` the rest.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np
import torch

from models import count_parameters
from models.frontend import NUM_MELS
from tests.benchmarks.made_up_store import open_features_of, write_store
from tests.benchmarks.made_up_trial import made_up_data
from tests.benchmarks.report import Verdict, finish_all
from trainable.config.eval_plan import EvalPlan
from trainable.config.trial_config import TrialConfig
from trainable.features.crop_bank import CropBank
from trainable.features.feature_table import FeatureTable
from trainable.features.training_data import TrainingData
from trainable.loss.teacher_output import Crops, TeacherOutput
from trainable.machine.hardware import describe_hardware
from trainable.step.batch import Batch
from trainable.store.folder import open_complete
from trainable.store.shards import ShardKind
from trainable.store.table import RowTable
from trainable.teachers.targets import StoredTargets
from trainable.training.trainer import Trainer

BATCH_SIZE, CROP_FRAMES, EMBEDDING = 64, 200, 512
NUM_SPEAKERS = 1_211
NUM_CROPS = 8
FRAMES_OF_ROW = 800
NO_EVALUATION = EvalPlan(every_epochs=1_000_000, all_from=1_000_000)
# The most that a step with averaged weights may take over one without.
AVERAGING_LIMIT = 1.02
# Width, blocks, and the most that an epoch may take over the bare steps.
CASES = {"width 64, 4 blocks": (64, 4, 1.05), "2.66M student": (192, 6, 1.03)}


def long_store(folder: Path, num_rows: int) -> FeatureTable:
    """Write a store of utterances of 8 s and open it."""
    write_store(folder, num_rows, FRAMES_OF_ROW)
    return open_features_of(folder)


def stored_targets(folder: Path, features: FeatureTable) -> StoredTargets:
    """Make up a teacher's targets for eight crops of each utterance, mapped like real ones."""
    num_rows = len(features.length)
    kind = ShardKind(stem="targets", vectors="crops", width=EMBEDDING)
    write_store(folder, num_rows, NUM_CROPS, kind)
    bank = CropBank(num_crops=NUM_CROPS, crop_frames=CROP_FRAMES, seed=0)
    return StoredTargets(
        table=RowTable.of([open_complete(folder)]),
        sizes=(EMBEDDING,),
        bank=bank,
        number_of_row=np.arange(num_rows),
        latest_of_row=bank.latest(features.length),
        centres=None,
        device=torch.device("cpu"),
    )


def make_trainer(
    data: TrainingData, teacher: StoredTargets, case: str, device: torch.device, **training: float
) -> Trainer:
    width, num_blocks, _ = CASES[case]
    usual = {"batch_size": BATCH_SIZE, "crop_frames": CROP_FRAMES, "eval_crops": 1}
    config = TrialConfig.model_validate(
        {
            "model": {"family": "mlp_mixer", "hidden_dim": width, "num_blocks": num_blocks},
            "loss": {"distillation": "cosine", "alpha": 0.7},
            "training": usual | training,
        }
    )
    return Trainer(config, data, teacher=teacher, device=device)


def bare_s(
    trainer: Trainer, num_steps: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the seconds of some steps on one batch on the device."""
    device = trainer.device
    feat_BTF = torch.randn(BATCH_SIZE, CROP_FRAMES, NUM_MELS, device=device)
    row_B = np.arange(BATCH_SIZE)
    teacher_output = TeacherOutput(torch.randn(BATCH_SIZE, EMBEDDING, device=device), ())
    crops = Crops(feat_BTF, row_B, row_B, teacher_output)
    batch = Batch(feat_BTF, crops, torch.arange(BATCH_SIZE, device=device))
    synchronise(device)
    started = clock()
    for _ in range(num_steps):
        trainer.step.run(batch)
    synchronise(device)
    return clock() - started


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def compare(
    case: str, data: TrainingData, teacher: StoredTargets, rounds: int, device: torch.device
) -> float:
    """Return the median over rounds of the epoch's time over the bare steps' time."""
    num_steps = len(data.train_row) // BATCH_SIZE
    trainer, bare = (make_trainer(data, teacher, case, device) for _ in range(2))
    trainer.eval_plan = NO_EVALUATION
    trainer.run_epoch()
    bare_s(bare, 2)
    epochs, steps, overhead = [], [], []
    waits: dict[str, list[int]] = {"epoch": [], "bare": []}
    for number in range(rounds):
        if number % 2:
            with counted_waits(waits["bare"]):
                steps.append(bare_s(bare, num_steps))
        with counted_waits(waits["epoch"]):
            report = trainer.run_epoch()
        epochs.append(report.train_s)
        overhead.append(report.overhead_share)
        if not number % 2:
            with counted_waits(waits["bare"]):
                steps.append(bare_s(bare, num_steps))
    ratios = [epoch / step for epoch, step in zip(epochs, steps, strict=True)]
    print(
        f"{case} ({count_parameters(trainer.model):,d} parameters): {num_steps} steps, epoch "
        f"{median(epochs):.2f} s, bare {median(steps):.2f} s, ratio {median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f}), outside the steps {median(overhead):.3f}, "
        f"waits a step {median(waits['epoch']) / num_steps:.0f} and "
        f"{median(waits['bare']) / num_steps:.0f} bare",
        flush=True,
    )
    return median(ratios)


@contextmanager
def counted_waits(counts: list[int]) -> Iterator[None]:
    """Add the number of times that this process gives up a core to wait to a list."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    yield
    counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before)


def averaging_price(
    case: str, data: TrainingData, teacher: StoredTargets, num_steps: int, device: torch.device
) -> float:
    """Return the median over steps of their time over that without the average's update.

    Two kinds of trainers that take turns would not do: their steps differ by more than the price.
    """
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    trainer = make_trainer(data, teacher, case, device, ema_epochs=1.0)
    average, updates_s = trainer.step._average, list[float]()
    assert average is not None
    update = average.update

    def timed_update() -> None:
        synchronise(device)
        started = clock()
        update()
        synchronise(device)
        updates_s.append(clock() - started)

    with patch.object(average, "update", timed_update):
        bare_s(trainer, 2)
        updates_s.clear()
        steps_s = [bare_s(trainer, 1, clock) for _ in range(num_steps)]
    pairs = zip(steps_s, updates_s, strict=True)
    ratio = median(step_s / (step_s - update_s) for step_s, update_s in pairs)
    print(
        f"{case}: {num_steps} steps with averaged weights, {1e3 * median(steps_s):.1f} ms, of "
        f"these {1e3 * median(updates_s):.2f} ms for the average, ratio {ratio:.4f}",
        flush=True,
    )
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=8, help="steps of an epoch")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--averaged", type=int, default=40, help="steps with averaged weights")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    with tempfile.TemporaryDirectory() as cache:
        features = long_store(Path(cache) / "store", options.steps * BATCH_SIZE)
        data = made_up_data(features, num_speakers=NUM_SPEAKERS)
        teacher = stored_targets(Path(cache) / "targets", data.features)
        found = [
            Verdict(
                name=f"step, {case}",
                ratio=compare(case, data, teacher, options.rounds, device),
                target=limit,
                is_limit=True,
            )
            for case, (_, _, limit) in CASES.items()
            if options.rounds
        ]
        found += [
            Verdict(
                name=f"step with averaged weights, {case}",
                ratio=averaging_price(case, data, teacher, options.averaged, device),
                target=AVERAGING_LIMIT,
                is_limit=True,
            )
            for case in CASES
            if options.averaged
        ]
    finish_all(found)


if __name__ == "__main__":
    main()
