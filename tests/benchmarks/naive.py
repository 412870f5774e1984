"""A search trial against a loop that decodes, computes log-mels and asks the teacher in each step.

`make bench NAME=naive`, or `python -m tests.benchmarks.naive`; `--rounds 2` for a shorter one, and
`--student small` or `large` for one of the two. It compares samples per second of whole training
steps, without evaluation, on two cores. One side is Veer's trial with stored log-mels and teacher
targets. The other is a loop as voxceleb_trainer's users write it, with Veer's own step, loss and
optimizer, so that only the way of the data differs. The loop is made as fast as possible: it
decodes only the crop, runs the teacher in inference mode, and counts with the best of 0, 1 and 2
DataLoader workers with one or two threads. A split of the cores that is a fifth slower than the
best when tried does not go into the rounds, in which both sides take turns.

The corpus is a part of $VEER_MINIVOX (a folder with wav/, train_list.txt and veri_val.txt) if that
is set, else noise. The teacher is the untrained LSTM+Autoencoder of 3.87M parameters. The targets,
medians over rounds of the ratio in the same round: 1.3 with the student of 2.66M parameters, 2.2
with one of width 64 and 4 blocks. Building the stores is timed separately. CPU time is that of the
step's process, on Veer's side with the evaluation of two pairs; it has no target.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from models import LSTMAutoencoderConfig
from tests.benchmarks.made_up_trial import CPU, write_teacher
from tests.benchmarks.naive_corpus import make_corpus
from tests.benchmarks.naive_loop import NaiveLoop, Split, Turn
from tests.benchmarks.report import Verdict, finish_all
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import CorpusConfig, read_corpus
from trainable.features.crop_bank import TargetsConfig
from trainable.features.training_data import TrainingData, load_training_data
from trainable.loss.teacher_output import AnyTeacher
from trainable.machine.hardware import describe_hardware
from trainable.teachers.any_teacher import open_teacher
from trainable.training.trainer import Trainer

NUM_CORES = 2
BATCH_SIZE, CROP_FRAMES = 64, 200
NUM_UTTERANCES = 128
STEPS_OF_EPOCH = NUM_UTTERANCES // BATCH_SIZE
ROUNDS = 5
SPLITS = (Split(0, 2), Split(1, 2), Split(2, 2), Split(1, 1), Split(2, 1))
SLOWER = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """A student to compare with.

    Attributes:
        model: Config of the model.
        epochs: Epochs of a turn.
        target: Smallest ratio.
    """

    model: Mapping[str, str | int]
    epochs: int
    target: float

    @property
    def config(self) -> TrialConfig:
        """The config of its trial: the default loss, cosine distillation."""
        training = {"batch_size": BATCH_SIZE, "crop_frames": CROP_FRAMES}
        return TrialConfig.model_validate({"model": self.model, "training": training})


STUDENTS = {
    "large": Student(model={"family": "mlp_mixer"}, epochs=1, target=1.3),
    "small": Student(
        model={"family": "mlp_mixer", "hidden_dim": 64, "num_blocks": 4}, epochs=3, target=2.2
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A corpus, its stores, and what they cost.

    Attributes:
        corpus: The lists.
        data: The opened corpus.
        teacher: Model file of the teacher.
        targets: The stored targets of the teacher.
        log_mels_s: Seconds of computing the log-mels.
        targets_s: Seconds of asking the teacher.
    """

    corpus: CorpusConfig
    data: TrainingData
    teacher: Path
    targets: AnyTeacher
    log_mels_s: float
    targets_s: float


def contenders(tried: Mapping[Split, float]) -> list[Split]:
    """Return the splits that are nearly as fast as the best, by samples per second."""
    best = max(tried.values())
    return [split for split, samples_per_s in tried.items() if samples_per_s * SLOWER >= best]


def best_of(turns: Mapping[Split, Sequence[Turn]]) -> Split:
    """Return the split with the largest median of samples per second."""
    return max(turns, key=lambda split: median(turn.samples_per_s for turn in turns[split]))


def epochs_until_paid(build_s: float, naive_epoch_s: float, own_epoch_s: float) -> float:
    """Return the epochs after which the stores have saved their cost; infinite if never."""
    saved_s = naive_epoch_s - own_epoch_s
    return build_s / saved_s if saved_s > 0 else float("inf")


def build(folder: Path) -> Built:
    """Build the corpus and its stores with Veer's own code."""
    corpus, words = make_corpus(folder, NUM_UTTERANCES)
    started = time.perf_counter()
    data = load_training_data(corpus, cache_dir=folder / "cache")
    log_mels_s = time.perf_counter() - started
    teacher = write_teacher(folder / "teacher", LSTMAutoencoderConfig(), data)
    bank = TargetsConfig().bank(CROP_FRAMES, "cpu")
    started = time.perf_counter()
    targets = open_teacher(teacher, data, bank, cache_dir=folder / "cache")
    targets_s = time.perf_counter() - started
    print(
        f"corpus: {words}, {NUM_UTTERANCES} utterances; built in {log_mels_s:.1f} s (log-mels) "
        f"and {targets_s:.1f} s (targets, {TargetsConfig().num_crops} crops of each)",
        flush=True,
    )
    return Built(
        corpus=corpus,
        data=data,
        teacher=teacher,
        targets=targets,
        log_mels_s=log_mels_s,
        targets_s=targets_s,
    )


def own_turn(trainer: Trainer, epochs: int) -> Turn:
    """Run some epochs of a trial."""
    torch.set_num_threads(NUM_CORES)
    before_s = time.process_time()
    train_s = sum(trainer.run_epoch().train_s for _ in range(epochs))
    cpu_s = time.process_time() - before_s
    num_samples = epochs * STEPS_OF_EPOCH * BATCH_SIZE
    return Turn(
        samples_per_s=num_samples / train_s, cpu_ms=1e3 * cpu_s / num_samples, parts_ms={}
    )


def compare(name: str, built: Built, rounds: int) -> Verdict:
    """Run both sides in turns with one student."""
    student = STUDENTS[name]
    trainer = Trainer(student.config, built.data, teacher=built.targets, device=CPU)
    files = [entry.path for entry in read_corpus(built.corpus).audio[:NUM_UTTERANCES]]
    loop = NaiveLoop(student.config, files, built.data, built.teacher)
    num_steps = student.epochs * STEPS_OF_EPOCH
    own_turn(trainer, 1)
    loop.turn(SPLITS[0], 1)
    tried = {split: loop.turn(split, STEPS_OF_EPOCH).samples_per_s for split in SPLITS}
    print(f"\n{name} student, {trainer.num_params:,d} parameters")
    for split, samples_per_s in tried.items():
        print(f"tried: naive, {split}: {samples_per_s:.1f} samples/s", flush=True)
    turns: dict[Split, list[Turn]] = {split: [] for split in contenders(tried)}
    own = []
    for number in range(rounds):
        if number % 2:
            own.append(own_turn(trainer, student.epochs))
        for split, results in turns.items():
            results.append(loop.turn(split, num_steps))
        if not number % 2:
            own.append(own_turn(trainer, student.epochs))
    return print_rounds(name, own, turns, built)


def speed_of(turns: Sequence[Turn]) -> str:
    """Describe the medians over turns."""
    samples_per_s = median(turn.samples_per_s for turn in turns)
    cpu_ms = median(turn.cpu_ms for turn in turns)
    return f"{samples_per_s:.1f} samples/s, CPU time {cpu_ms:.1f} ms a sample"


def print_rounds(
    name: str, own: Sequence[Turn], turns: Mapping[Split, Sequence[Turn]], built: Built
) -> Verdict:
    """Print what the rounds showed."""
    for split, results in turns.items():
        parts = ", ".join(
            f"{part} {median(turn.parts_ms[part] for turn in results):.1f}"
            for part in results[0].parts_ms
        )
        print(f"naive, {split}: {speed_of(results)}; ms a sample: {parts}")
    best = turns[best_of(turns)]
    ratios = [a.samples_per_s / b.samples_per_s for a, b in zip(own, best, strict=True)]
    print(
        f"veer: {speed_of(own)}; times the best: "
        f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds)"
    )
    naive_s, own_s = (
        NUM_UTTERANCES / median(turn.samples_per_s for turn in side) for side in (best, own)
    )
    paid = epochs_until_paid(built.log_mels_s + built.targets_s, naive_s, own_s)
    print(f"the stores have paid for themselves after {paid:.1f} epochs of one trial", flush=True)
    return Verdict(name=f"naive, {name}", ratio=median(ratios), target=STUDENTS[name].target)


def use_two_cores() -> None:
    """Restrict this process, and those it starts, to two of the machine's cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:NUM_CORES])
    torch.set_num_threads(NUM_CORES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each side")
    parser.add_argument("--student", choices=[*STUDENTS], help="only this one")
    options = parser.parse_args()
    use_two_cores()
    print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    with tempfile.TemporaryDirectory() as folder:
        built = build(Path(folder))
        names = [options.student] if options.student else list(STUDENTS)
        verdicts = [compare(name, built, options.rounds) for name in names]
    finish_all(verdicts)


if __name__ == "__main__":
    main()
