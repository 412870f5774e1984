"""The one training loop: search trials, single runs, full retraining and teachers.

Knows nothing of Ray, files or screens. Device and data come from outside.

Shapes: B batch, T frames, F mel bins, D embedding, K speakers.
"""

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models import build_model, count_parameters
from trainable.augment import spec_augment
from trainable.checkpoint import CLASSIFIER, NETWORK, PROJECTIONS, part_of
from trainable.config import TrialConfig
from trainable.data import TrainingData
from trainable.epoch_report import EpochReport, RunningMeans
from trainable.errors import DivergedError, TrainingError
from trainable.evaluation import validation_veer_pct
from trainable.objective import Objective
from trainable.teacher import AnyTeacher, Crops, random_starts

__all__ = ["EpochReport", "Trainer"]

Rows = NDArray[np.int64]


class Trainer:
    """Trains one model, an epoch at a time.

    Weights, order of utterances and crops follow from `config.seed` and the epoch's number alone,
    so a run that was stopped and restored goes on as if it had not been.

    Attributes:
        config: The trial.
        model: The network being trained.
        objective: Its loss, with speaker centres and projections.
        epoch: Finished epochs.
        history: One report an epoch.
        num_params: Trainable parameters of the network, read from the built model.
    """

    def __init__(
        self,
        config: TrialConfig,
        data: TrainingData,
        *,
        teacher: AnyTeacher | None = None,
        device: torch.device,
    ) -> None:
        self.config = config
        self.device = device
        self.data = data
        if len(data.train_row) < config.training.batch_size:
            raise TrainingError(
                "training.batch_size must be at most the number of training utterances "
                f"({len(data.train_row)}), got {config.training.batch_size}"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = build_model(config.model).to(device)
            self.objective = Objective(
                config.loss,
                self.model,
                None if teacher is None else teacher.to(device),
                speakers=data.speakers,
                probe_BTF=self._crops(np.zeros(1, np.int64), np.zeros(1, np.int64)).feat_BTF,
            )
        self.objective.to(device)
        self.num_params = count_parameters(self.model)
        self.optimizer = torch.optim.Adam(
            self._parameters(),
            lr=config.training.lr,
            weight_decay=config.training.weight_decay,
            foreach=True,
        )
        self.scheduler = torch.optim.lr_scheduler.StepLR(
            self.optimizer, config.training.lr_decay_every_epochs, config.training.lr_decay
        )
        self.epoch = 0
        self.history: list[EpochReport] = []

    def run_epoch(self) -> EpochReport:
        """Train one epoch, evaluate, step the schedule.

        Returns:
            The epoch's report, also appended to `history`.

        Raises:
            DivergedError: The loss is NaN or infinite; the epoch is not counted.
        """
        started = time.perf_counter()
        sums = RunningMeans()
        rng = np.random.default_rng((self.config.seed, self.epoch))
        for crops, speaker_B in self._batches(rng):
            self._step(crops, speaker_B, rng, sums)
        means = sums.means()
        if not math.isfinite(means["total"]):
            raise DivergedError(
                f"the loss became {means['total']} in epoch {self.epoch + 1}; "
                f"lower training.lr (now {self.config.training.lr:g})"
            )
        trained = time.perf_counter()
        veer_pct = validation_veer_pct(
            self.model, self.data, num_crops=self.config.training.eval_crops, device=self.device
        )
        evaluated = time.perf_counter()
        report = self._report(means, veer_pct, trained - started, evaluated - trained)
        self.scheduler.step()
        self.epoch += 1
        self.history.append(report)
        return report

    def state(self) -> dict[str, Any]:
        """Everything a restored run needs, in the trainer's checkpoint layout.

        `__S__.` marks the network and `__L__.` the classifier, as voxceleb_trainer has it, and
        `__P__.` the projections of multi-stage distillation.
        """
        weights = {
            prefix + name: tensor
            for prefix, part in self._parts().items()
            for name, tensor in part.state_dict().items()
        }
        return {
            "model_state_dict": weights,
            "optimizer_state_dict": self.optimizer.state_dict(),
            "scheduler_state_dict": self.scheduler.state_dict(),
            "epoch": self.epoch,
            "veer": {
                "config": self.config.model_dump(mode="json"),
                "speakers": list(self.data.speakers),
                "history": [report.as_dict() for report in self.history],
            },
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over a state that `state` gave.

        Raises:
            TrainingError: It belongs to another config or to other speakers.
        """
        found = TrialConfig.model_validate(state["veer"]["config"])
        if _but_length(found) != _but_length(self.config):
            raise TrainingError(
                f"the checkpoint holds a run of another config ({found.config_hash()}), "
                f"not of {self.config.config_hash()}; choose another output folder"
            )
        if tuple(state["veer"]["speakers"]) != self.data.speakers:
            raise TrainingError(
                f"the checkpoint was trained on {len(state['veer']['speakers'])} other speakers, "
                f"the train list has {len(self.data.speakers)}; choose another output folder"
            )
        weights = state["model_state_dict"]
        for prefix, part in self._parts().items():
            part.load_state_dict(part_of(weights, prefix))
        self.optimizer.load_state_dict(state["optimizer_state_dict"])
        self.scheduler.load_state_dict(state["scheduler_state_dict"])
        self.epoch = state["epoch"]
        self.history = [EpochReport(**report) for report in state["veer"]["history"]]

    def _parameters(self) -> list[nn.Parameter]:
        return [*self.model.parameters(), *self.objective.parameters()]

    def _parts(self) -> dict[str, nn.Module]:
        return {
            NETWORK: self.model,
            CLASSIFIER: self.objective.classifier,
            PROJECTIONS: self.objective.projections,
        }

    def _crops(self, row_B: Rows, start_B: Rows) -> Crops:
        frames = self.config.training.crop_frames
        feat_BTF = self.data.features.crops(row_B, start_B, frames).to(self.device)
        return Crops(feat_BTF, row_B, start_B)

    def _batches(self, rng: np.random.Generator) -> Iterator[tuple[Crops, Tensor]]:
        """One random crop of every utterance; an incomplete last batch is left out.

        Where the loss has a teacher, it is one of the crops that the teacher knows.
        """
        data, batch_size = self.data, self.config.training.batch_size
        crop_frames = self.config.training.crop_frames
        order = rng.permutation(len(data.train_row))
        latest = np.maximum(data.features.length[data.train_row] - crop_frames, 0)
        teacher = self.objective.teacher
        if teacher is None:
            start = random_starts(rng, latest)
        else:
            start = teacher.draw_starts(rng, data.train_row, latest)
        for first in range(0, len(order) - batch_size + 1, batch_size):
            chosen = order[first : first + batch_size]
            crops = self._crops(data.train_row[chosen], start[chosen])
            speaker_B = torch.from_numpy(data.train_speaker[chosen])
            yield crops, speaker_B.to(self.device)

    def _step(
        self, crops: Crops, speaker_B: Tensor, rng: np.random.Generator, sums: RunningMeans
    ) -> None:
        self.model.train()
        training = self.config.training
        seen_BTF = crops.feat_BTF
        if training.num_masks:
            seen_BTF = spec_augment(
                crops.feat_BTF,
                rng,
                num_masks=training.num_masks,
                max_bins=training.mask_bins,
                max_frames=training.mask_frames,
            )
        terms = self.objective(self.model, seen_BTF, crops, speaker_B)
        self.optimizer.zero_grad(set_to_none=True)
        terms["total"].backward()
        nn.utils.clip_grad_norm_(self._parameters(), self.config.training.max_grad_norm)
        self.optimizer.step()
        sums.add(terms)

    def _report(
        self, means: dict[str, float], veer_pct: float, train_s: float, eval_s: float
    ) -> EpochReport:
        batch_size = self.config.training.batch_size
        num_samples = len(self.data.train_row) // batch_size * batch_size
        return EpochReport(
            epoch=self.epoch + 1,
            veer_pct=veer_pct,
            **self.objective.summary(means),
            lr=self.optimizer.param_groups[0]["lr"],
            samples_per_s=num_samples / train_s,
            train_s=train_s,
            eval_s=eval_s,
        )


def _but_length(config: TrialConfig) -> dict[str, Any]:
    """The canonical config without the number of epochs, which may grow on resuming."""
    data = config.canonical()
    del data["training"]["max_epochs"]
    return data
