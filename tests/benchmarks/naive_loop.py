"""The other side of the benchmark `naive`: all of the work in every step, as its users know it.

A DataLoader's workers decode the crops of a batch. The step computes their log-mels, asks the
teacher and trains the student. The training step itself is Veer's.

Shapes: B batch, S samples, T frames, F mel bins, N utterances.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from models import LogMel, build_model
from models.frontend import HOP_SAMPLES, SAMPLE_RATE_HZ
from tests.benchmarks.made_up_trial import CPU
from trainable.config.trial_config import TrialConfig
from trainable.features.crop_bank import Index
from trainable.features.training_data import TrainingData
from trainable.loss.objective import Objective
from trainable.loss.teacher_output import Crops, TeacherFacts, TeacherOutput
from trainable.machine.engine import DEFAULT_ENGINE, resolve_engine
from trainable.step.batch import Batch
from trainable.step.step import TrainingStep
from trainable.teachers.network import Teacher, load_teacher

Wave = NDArray[np.float32]


class Split(NamedTuple):
    """How the cores are divided.

    Attributes:
        workers: Processes that decode.
        threads: Threads of the step.
    """

    workers: int
    threads: int

    def __str__(self) -> str:
        return f"{self.workers} workers, {self.threads} threads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The cost of some steps.

    Attributes:
        samples_per_s: Crops per second.
        cpu_ms: CPU time per crop of the step's process, milliseconds, without that of workers.
        parts_ms: Milliseconds per crop of each part of the work, in the step's process.
    """

    samples_per_s: float
    cpu_ms: float
    parts_ms: dict[str, float]


class Decoded(NamedTuple):
    """One crop, in types of NumPy and Python, or a batch of crops, in tensors.

    Attributes:
        wave: Samples, (S) or (B, S).
        row: Row of the feature table.
        start: First frame.
        speaker: Class.
    """

    wave: Any
    row: Any
    start: Any
    speaker: Any


def read_crop(path: Path, start: int, num_samples: int) -> Wave:
    """Decode one crop and nothing else; a file that is shorter is repeated.

    Raises:
        ValueError: The audio is not at 16 kHz.
    """
    wave_S, rate_hz = soundfile.read(path, frames=num_samples, start=start, dtype="float32")
    if rate_hz != SAMPLE_RATE_HZ:
        raise ValueError(f"{path}: must be at {SAMPLE_RATE_HZ} Hz, got {rate_hz}")
    return wave_S if len(wave_S) == num_samples else np.resize(wave_S, num_samples)


class CropDataset(Dataset[Decoded]):
    """A random crop of each training utterance, decoded on access.

    Args:
        files: Audio of each training utterance.
        data: Lengths and speakers of the utterances.
        num_frames: Frames of a crop.
    """

    def __init__(self, files: Sequence[Path], data: TrainingData, num_frames: int) -> None:
        self.files = files
        self.num_samples = (num_frames - 1) * HOP_SAMPLES
        self.latest_N = np.maximum(data.features.length[data.train_row] - num_frames, 0)
        self.row_N, self.speaker_N = data.train_row, data.train_speaker

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> Decoded:
        start = int(torch.randint(int(self.latest_N[number]) + 1, ()))  # seeded in each worker
        wave_S = read_crop(self.files[number], start * HOP_SAMPLES, self.num_samples)
        return Decoded(wave_S, int(self.row_N[number]), start, int(self.speaker_N[number]))


class OnlineTeacher:
    """A network in inference mode that measures its own time, `AnyTeacher`."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher
        self.spent_s = 0.0

    @property
    def facts(self) -> TeacherFacts:
        return self.teacher.facts

    def to(self, device: torch.device) -> "OnlineTeacher":
        self.teacher.to(device)
        return self

    def stage_dims(self, feat_BTF: Tensor) -> tuple[int, ...]:
        return self.teacher.stage_dims(feat_BTF)

    def draw_starts(self, rng: np.random.Generator, row_N: Index, latest_N: Index) -> Index:
        return self.teacher.draw_starts(rng, row_N, latest_N)

    def output(self, crops: Crops, *, with_stages: bool) -> TeacherOutput:
        started = time.perf_counter()
        with torch.inference_mode():
            embedding_BD, stages = self.teacher.output(crops, with_stages=with_stages)
        # Autograd refuses tensors of the inference mode, and takes copies of them.
        copied = TeacherOutput(embedding_BD.clone(), tuple(stage.clone() for stage in stages))
        self.spent_s += time.perf_counter() - started
        return copied


class NaiveLoop:
    """The training of one student in this way, with any split of the cores.

    Args:
        config: The trial, without SpecAugment.
        files: Audio of each training utterance.
        data: The opened corpus: lengths and speakers, no log-mels.
        teacher: Model file of the teacher.
    """

    def __init__(
        self, config: TrialConfig, files: Sequence[Path], data: TrainingData, teacher: Path
    ) -> None:
        self.dataset = CropDataset(files, data, config.training.crop_frames)
        self.batch_size = config.training.batch_size
        self.log_mel = LogMel()
        self.teacher = OnlineTeacher(load_teacher(teacher))
        torch.manual_seed(config.seed)
        student = build_model(config.model)
        objective = Objective(
            config.loss,
            student,
            self.teacher,
            speakers=data.speakers,
            probe_BTF=self.log_mel(torch.zeros(1, self.dataset.num_samples)),
        )
        engine = resolve_engine(DEFAULT_ENGINE, CPU)
        self.step = TrainingStep(
            student, objective, config.training, engine, steps_per_epoch=1
        )
        self._loaders: dict[tuple[int, int], DataLoader[Decoded]] = {}

    def turn(self, split: Split, num_steps: int) -> Turn:
        """Run some steps; with workers, the first batch is loaded before the clock starts."""
        torch.set_num_threads(split.threads)
        batches = iter(self._loader(split.workers, num_steps))
        ahead = [next(batches)] if split.workers else []
        log_mel_s, self.teacher.spent_s, step_s = 0.0, 0.0, 0.0
        started, started_cpu = time.perf_counter(), time.process_time()
        for _ in range(num_steps):
            decoded = ahead.pop() if ahead else next(batches)
            begun = time.perf_counter()
            feat_BTF = self.log_mel(decoded.wave)
            computed = time.perf_counter()
            crops = Crops(feat_BTF, decoded.row.numpy(), decoded.start.numpy())
            self.step.run(Batch(feat_BTF, crops, decoded.speaker))
            log_mel_s += computed - begun
            step_s += time.perf_counter() - computed
        all_s, cpu_s = time.perf_counter() - started, time.process_time() - started_cpu
        num_samples = num_steps * self.batch_size
        parts_s = {
            "waiting for audio": all_s - log_mel_s - step_s,
            "log-mels": log_mel_s,
            "teacher": self.teacher.spent_s,
            "student": step_s - self.teacher.spent_s,
        }
        return Turn(
            samples_per_s=num_samples / all_s,
            cpu_ms=1e3 * cpu_s / num_samples,
            parts_ms={part: 1e3 * spent_s / num_samples for part, spent_s in parts_s.items()},
        )

    def _loader(self, workers: int, num_steps: int) -> DataLoader[Decoded]:
        """Return a loader that ends after some batches, so that no turn decodes for the next."""
        known = self._loaders.get((workers, num_steps))
        if known is None:
            known = DataLoader(
                self.dataset,
                batch_size=self.batch_size,
                sampler=RandomSampler(self.dataset, num_samples=num_steps * self.batch_size),
                num_workers=workers,
                pin_memory=False,
                persistent_workers=workers > 0,
            )
            self._loaders[workers, num_steps] = known
        return known
