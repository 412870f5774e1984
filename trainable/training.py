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
import torch.nn.functional as F
from torch import Tensor, nn

from models import SpeakerModel, build_model, count_parameters, instance_norm
from trainable.augment import spec_augment
from trainable.config import TrialConfig
from trainable.data import TrainingData
from trainable.distillation import EMBEDDING_LEVEL
from trainable.epoch_report import EpochReport, RunningMeans
from trainable.errors import DivergedError, TrainingError
from trainable.evaluation import validation_veer_pct
from trainable.losses import aam_softmax_logits, reconstruction_loss

__all__ = ["EpochReport", "SpeakerClassifier", "Trainer"]


class SpeakerClassifier(nn.Module):
    """One centre a training speaker, for AAM-softmax; not part of an exported student."""

    def __init__(self, num_speakers: int, embedding_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_speakers, embedding_dim))
        nn.init.xavier_normal_(self.weight)


class Trainer:
    """Trains one model, an epoch at a time.

    Weights, order of utterances and crops follow from `config.seed` and the epoch's number alone,
    so a run that was stopped and restored goes on as if it had not been.

    Attributes:
        config: The trial.
        model: The network being trained.
        classifier: Its speaker centres.
        epoch: Finished epochs.
        history: One report an epoch.
        num_params: Trainable parameters of the network, read from the built model.
    """

    def __init__(
        self,
        config: TrialConfig,
        data: TrainingData,
        *,
        teacher: SpeakerModel | None = None,
        device: torch.device,
    ) -> None:
        self.config = config
        self.device = device
        self.data = data
        self.teacher = _usable_teacher(config, teacher, device)
        if len(data.train_row) < config.training.batch_size:
            raise TrainingError(
                "training.batch_size must be at most the number of training utterances "
                f"({len(data.train_row)}), got {config.training.batch_size}"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = build_model(config.model)
            self.classifier = SpeakerClassifier(len(data.speakers), self.model.embedding_dim)
        self.model.to(device)
        self.classifier.to(device)
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
        for feat_BTF, speaker_B in self._batches(rng):
            self._step(feat_BTF, speaker_B, rng, sums)
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

        `__S__.` marks the network and `__L__.` the classifier, as voxceleb_trainer has it.
        """
        weights = {f"__S__.{k}": v for k, v in self.model.state_dict().items()}
        weights |= {f"__L__.{k}": v for k, v in self.classifier.state_dict().items()}
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
        self.model.load_state_dict(_with_prefix(weights, "__S__."))
        self.classifier.load_state_dict(_with_prefix(weights, "__L__."))
        self.optimizer.load_state_dict(state["optimizer_state_dict"])
        self.scheduler.load_state_dict(state["scheduler_state_dict"])
        self.epoch = state["epoch"]
        self.history = [EpochReport(**report) for report in state["veer"]["history"]]

    def _parameters(self) -> list[nn.Parameter]:
        return [*self.model.parameters(), *self.classifier.parameters()]

    def _batches(self, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """One random crop of every utterance; an incomplete last batch is left out."""
        data, batch_size = self.data, self.config.training.batch_size
        crop_frames = self.config.training.crop_frames
        order = rng.permutation(len(data.train_row))
        latest = np.maximum(data.features.length[data.train_row] - crop_frames, 0)
        start = rng.integers(0, latest + 1)
        for first in range(0, len(order) - batch_size + 1, batch_size):
            chosen = order[first : first + batch_size]
            feat_BTF = data.features.crops(data.train_row[chosen], start[chosen], crop_frames)
            speaker_B = torch.from_numpy(data.train_speaker[chosen])
            yield feat_BTF.to(self.device), speaker_B.to(self.device)

    def _step(
        self, feat_BTF: Tensor, speaker_B: Tensor, rng: np.random.Generator, sums: RunningMeans
    ) -> None:
        self.model.train()
        training = self.config.training
        seen_BTF = feat_BTF
        if training.num_masks:
            seen_BTF = spec_augment(
                feat_BTF,
                rng,
                num_masks=training.num_masks,
                max_bins=training.mask_bins,
                max_frames=training.mask_frames,
            )
        terms = self._terms(seen_BTF, feat_BTF, speaker_B)
        self.optimizer.zero_grad(set_to_none=True)
        terms["total"].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters(), self.config.training.max_grad_norm)
        self.optimizer.step()
        sums.add(terms)

    def _terms(self, seen_BTF: Tensor, feat_BTF: Tensor, speaker_B: Tensor) -> dict[str, Tensor]:
        """The loss terms; the model sees the masked crops, the teacher the whole ones."""
        loss = self.config.loss
        output = self.model(seen_BTF)
        with_margin_BK, logits_BK = aam_softmax_logits(
            output.embedding_BD,
            self.classifier.weight,
            speaker_B,
            margin=loss.margin,
            scale=loss.scale,
        )
        terms = {
            "classification": F.cross_entropy(with_margin_BK, speaker_B),
            "accuracy": (logits_BK.argmax(dim=1) == speaker_B).float().mean(),
        }
        total = loss.classification_weight * terms["classification"]
        if self.teacher is not None:
            with torch.no_grad():
                teacher_BD = self.teacher.embed(feat_BTF)
            distill = EMBEDDING_LEVEL[loss.distillation](output.embedding_BD, teacher_BD, loss)
            terms["distillation"] = distill
            terms["teacher_cosine"] = F.cosine_similarity(output.embedding_BD, teacher_BD).mean()
            total = total + loss.alpha * distill
        if loss.beta > 0:
            rebuilt = reconstruction_loss(output.reconstruction_BTF, instance_norm(feat_BTF))
            terms["reconstruction"] = rebuilt
            total = total + loss.beta * rebuilt
        terms["total"] = total
        return terms

    def _report(
        self, means: dict[str, float], veer_pct: float, train_s: float, eval_s: float
    ) -> EpochReport:
        batch_size = self.config.training.batch_size
        num_samples = len(self.data.train_row) // batch_size * batch_size
        distill = means.get("distillation")
        return EpochReport(
            epoch=self.epoch + 1,
            veer_pct=veer_pct,
            loss_total=means["total"],
            loss_classification=means["classification"],
            loss_distillation=distill,
            loss_reconstruction=means.get("reconstruction"),
            distill_share=(
                None if distill is None else self.config.loss.alpha * distill / means["total"]
            ),
            teacher_cosine=means.get("teacher_cosine"),
            train_accuracy_pct=100.0 * means["accuracy"],
            lr=self.optimizer.param_groups[0]["lr"],
            samples_per_s=num_samples / train_s,
            train_s=train_s,
            eval_s=eval_s,
        )


def _usable_teacher(
    config: TrialConfig, teacher: SpeakerModel | None, device: torch.device
) -> SpeakerModel | None:
    """The frozen teacher, or None where the loss does not use one."""
    if config.loss.distill_weight == 0:
        return None
    if teacher is None:
        raise TrainingError(
            f"loss.distillation {config.loss.distillation!r} needs a teacher, and none was given"
        )
    if teacher.embedding_dim != config.model.embedding_dim:
        raise TrainingError(
            f"model.embedding_dim must equal the teacher's ({teacher.embedding_dim}), "
            f"got {config.model.embedding_dim}"
        )
    return teacher.to(device).eval().requires_grad_(False)


def _but_length(config: TrialConfig) -> dict[str, Any]:
    """The canonical config without the number of epochs, which may grow on resuming."""
    data = config.canonical()
    del data["training"]["max_epochs"]
    return data


def _with_prefix(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
