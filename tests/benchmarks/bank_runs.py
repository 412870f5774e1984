"""The runs of the benchmark `bank`: one student each, trained and then measured.

Shapes: B batch, T frames, F mel bins, D embedding, N rows.
"""

import hashlib
import sys
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models import SpeakerModel
from spaces.files.digest import file_sha256
from tests.benchmarks.bank_figures import Arm, Run, arm_name
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import CorpusConfig
from trainable.features.crop_bank import Index, TargetsConfig
from trainable.features.training_data import TrainingData
from trainable.loss.teacher_output import (
    AnyTeacher,
    Crops,
    TeacherFacts,
    TeacherOutput,
    random_starts,
)
from trainable.machine.cache_dir import cache_dir
from trainable.teachers.any_teacher import open_teacher
from trainable.teachers.network import Teacher
from trainable.training.trainer import Trainer

CPU = torch.device("cpu")
NUM_DRAWS = 2
# Keeps the crops of the cosines apart from those of epoch 0, 1, ...
FRESH_STREAM = 2**32
BATCH = 64


class Answered(NamedTuple):
    """Crops and the teacher's embeddings of them.

    Attributes:
        row_B: Rows of the feature table.
        start_B: First frames.
        emb_BD: The teacher's embeddings.
    """

    row_B: Index
    start_B: Index
    emb_BD: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Witness:
    """A teacher, `AnyTeacher`, that keeps its last answers and whose draws affect no others.

    Attributes:
        teacher: The teacher that answers.
        answers: One entry per step.
    """

    teacher: AnyTeacher
    answers: deque[Answered] = field(default_factory=deque)

    @property
    def facts(self) -> TeacherFacts:
        """The facts of the teacher."""
        return self.teacher.facts

    def to(self, device: torch.device) -> "Witness":
        """Return a witness whose teacher is on a device, with the same answers."""
        return Witness(teacher=self.teacher.to(device), answers=self.answers)

    def stage_dims(self, feat_BTF: Tensor) -> tuple[int, ...]:
        """Return the stage sizes of the teacher."""
        return self.teacher.stage_dims(feat_BTF)

    def draw_starts(self, rng: np.random.Generator, row_N: Index, latest_N: Index) -> Index:
        """Draw with a child of the generator.

        How many numbers are drawn depends on the kind of teacher, and the masks, which are drawn
        after them, must not depend on it.
        """
        return self.teacher.draw_starts(rng.spawn(1)[0], row_N, latest_N)

    def output(self, crops: Crops, *, with_stages: bool) -> TeacherOutput:
        """Return the output of the teacher and keep it."""
        teacher_output = self.teacher.output(crops, with_stages=with_stages)
        self.answers.append(Answered(crops.row_B, crops.start_B, teacher_output.embedding_BD))
        return teacher_output


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """What all runs have in common.

    Attributes:
        data: The opened corpus.
        teacher_file: Model file of the teacher.
        teacher: The network in that file.
        trial: Config of the student, with any seed.
        exams: The crops of the two random sets by seed, filled on first use.
    """

    data: TrainingData
    teacher_file: Path
    teacher: Teacher
    trial: TrialConfig
    exams: dict[int, tuple[list[Answered], list[Answered]]] = field(default_factory=dict)

    def setup(self, corpus: CorpusConfig) -> str:
        """Return hexadecimal digits that identify corpus, teacher and student."""
        parts = [store.plan.key for store in self.data.features.stores]
        files = (self.teacher_file, corpus.train_list, corpus.val_list)
        parts += [*map(file_sha256, files), self.trial.recipe_hash()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def run(self, num_crops: Arm, seed: int, setup: str) -> Run:
        """Train a student and measure it."""
        trial = self.trial.model_copy(update={"seed": seed})
        crop_frames = trial.training.crop_frames
        asks = {"mode": "online"} if num_crops is None else {"num_crops": num_crops}
        bank = TargetsConfig.model_validate(asks).bank(crop_frames, CPU.type)
        opened = open_teacher(self.teacher_file, self.data, bank, cache_dir=cache_dir())
        num_steps = len(self.data.train_row) // trial.training.batch_size
        witness = Witness(teacher=opened, answers=deque(maxlen=NUM_DRAWS * num_steps))
        trainer = Trainer(trial, self.data, teacher=witness, device=CPU)
        while trainer.epoch < trial.training.max_epochs:
            report = trainer.run_epoch()
            print(
                f"seed {seed}, {arm_name(num_crops)}, epoch {report.epoch}: "
                f"VEER {report.veer_pct:.2f} %, cosine {report.teacher_cosine:.4f}, "
                f"{report.train_s:.1f} + {report.eval_s:.1f} s",
                file=sys.stderr,
                flush=True,
            )
        sets = (witness.answers, *self.exam(seed, crop_frames))
        taught, fresh, unseen = (
            mean_cosine(trainer.model, self.data, each, crop_frames) for each in sets
        )
        return Run(
            setup=setup,
            num_crops=num_crops,
            seed=seed,
            veer_pct=tuple(report.veer_pct for report in trainer.history),
            train_s=tuple(report.train_s for report in trainer.history),
            taught_cosine=taught,
            fresh_cosine=fresh,
            unseen_cosine=unseen,
        )

    def exam(self, seed: int, crop_frames: int) -> tuple[list[Answered], list[Answered]]:
        """Draw two random crops of each training and each validation utterance."""
        if seed not in self.exams:
            rng = np.random.default_rng((seed, FRESH_STREAM))
            trained = np.concatenate([self.data.drawn_rows(rng) for _ in range(NUM_DRAWS)])
            unseen = np.repeat(self.data.val_row, NUM_DRAWS)
            self.exams[seed] = (
                list(asked(self.teacher, self.data, trained, crop_frames, rng)),
                list(asked(self.teacher, self.data, unseen, crop_frames, rng)),
            )
        return self.exams[seed]


def asked(
    teacher: Teacher,
    data: TrainingData,
    row_N: Index,
    crop_frames: int,
    rng: np.random.Generator,
) -> Iterable[Answered]:
    """Return the output of the network for a random crop of each row, in batches."""
    start_N = random_starts(rng, np.maximum(data.features.length[row_N] - crop_frames, 0))
    for first in range(0, len(row_N), BATCH):
        row_B, start_B = row_N[first : first + BATCH], start_N[first : first + BATCH]
        feat_BTF = data.features.crops(row_B, start_B, crop_frames)
        yield Answered(row_B, start_B, teacher.embed(feat_BTF).embedding_BD)


@torch.inference_mode()
def mean_cosine(
    student: SpeakerModel, data: TrainingData, answered: Iterable[Answered], crop_frames: int
) -> float:
    """Return the mean cosine between the embeddings of student (eval mode) and teacher."""
    student.eval()
    cosines = []
    for row_B, start_B, emb_BD in answered:
        feat_BTF = data.features.crops(row_B, start_B, crop_frames)
        cosines.append(F.cosine_similarity(student.embed(feat_BTF), emb_BD))
    return float(torch.cat(cosines).mean())
