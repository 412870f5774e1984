"""The loss of a trial: its terms, their weighted sum, and the parameters that only training needs.

Shapes: B batch, T frames, F mel bins, D embedding, K speakers.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import ModelOutput, SpeakerModel, instance_norm
from spaces.files.errors import TrainingError
from trainable.config.trial_config import LossConfig
from trainable.loss.distillation import EMBEDDING_LEVEL, LABEL_LEVEL, WITHIN_BATCH
from trainable.loss.stages import interpolated_weights, stage_dims, stage_losses, stage_projections
from trainable.loss.teacher_output import (
    AnyTeacher,
    Crops,
    SpeakerCentres,
    TeacherOutput,
    no_stages_error,
    require_fit,
)
from trainable.loss.terms import aam_softmax_logits, reconstruction_loss
from trainable.machine.ranks import ALONE, Ranks


class SpeakerClassifier(nn.Module):
    """One centre per training speaker, for AAM-softmax; not part of an exported student."""

    def __init__(self, num_speakers: int, embedding_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_speakers, embedding_dim))
        # As in voxceleb_trainer's loss/aamsoftmax.py.
        nn.init.xavier_normal_(self.weight)


class Objective(nn.Module):
    """The loss that a student is trained with.

    Args:
        config: Terms and weights.
        student: The network to train.
        teacher: On the student's device; ignored if the loss uses none.
        speakers: Training speakers; the position is the class.
        probe_BTF: A crop like those of the training, to find the sizes of the stages.
        ranks: The processes that have a part of each batch.

    Attributes:
        classifier: The student's speaker centres.
        projections: From student stages to teacher stages; empty without multi-stage distillation.
        margin: Margin of the classification, radians.
        is_last_phase: Whether only the classification is computed any more.

    Raises:
        TrainingError: The loss needs a teacher, or the teacher does not fit.
    """

    def __init__(
        self,
        config: LossConfig,
        student: SpeakerModel,
        teacher: AnyTeacher | None,
        *,
        speakers: tuple[str, ...],
        probe_BTF: Tensor,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__()
        self.config = config
        self._ranks = ranks
        self.margin: float | Tensor = config.margin
        self.is_last_phase = False
        # A teacher is no nn.Module, so its weights are neither trained nor saved with the loss.
        self.teacher = _usable_teacher(config, teacher)
        if self.teacher is not None:
            require_fit(
                config,
                self.teacher.facts,
                embedding_dim=student.embedding_dim,
                crop_frames=probe_BTF.shape[1],
                speakers=speakers,
            )
        self.teacher_centres = _usable_centres(config, self.teacher, speakers)
        self.classifier = SpeakerClassifier(len(speakers), student.embedding_dim)
        self.projections = nn.ModuleList()
        self.stage_weights: tuple[float, ...] = ()
        if self.teacher is not None and config.stages != "none":
            student_dims = stage_dims(student, probe_BTF)
            teacher_dims = self.teacher.stage_dims(probe_BTF)
            if student_dims and not teacher_dims:
                raise no_stages_error(config)
            self.projections = stage_projections(student_dims, teacher_dims)
            self.stage_weights = _stage_weights(config, len(student_dims) + 1)

    def forward(
        self,
        student: Callable[..., ModelOutput],
        seen_BTF: Tensor,
        crops: Crops,
        speaker_B: Tensor,
        *,
        autocast: AbstractContextManager[None] | None = None,
    ) -> dict[str, Tensor]:
        """Compute the unweighted terms and their weighted sum `total`, all in float32.

        Args:
            student: The network.
            seen_BTF: The crops as the student sees them, maybe masked.
            crops: The whole crops, which the teacher sees.
            speaker_B: Classes.
            autocast: Context of the passes of student and teacher. The losses run outside of it:
                in half precision a cosine near 1, as in AAM-softmax and the distillation terms,
                loses too many digits.
        """
        config, with_stages = self.config, bool(self.stage_weights)
        taught = None
        with autocast or nullcontext():
            output = _in_float32(student(seen_BTF, with_stages=with_stages))
            if self.teacher is not None:
                taught = crops.teacher_output
                taught = taught or self.teacher.output(crops, with_stages=with_stages)
                taught = TeacherOutput(taught.embedding_BD.float(), _all_float32(taught.stages))
        with_margin_BK, logits_BK = aam_softmax_logits(
            output.embedding_BD,
            self.classifier.weight,
            speaker_B,
            margin=self.margin,
            scale=config.scale,
        )
        terms = {
            "classification": F.cross_entropy(with_margin_BK, speaker_B),
            # Without the margin, which would count some right answers as wrong.
            "accuracy": (logits_BK.argmax(dim=1) == speaker_B).float().mean(),
        }
        total = config.classification_weight * terms["classification"]
        if taught is not None:
            terms |= self._distillation(taught, output, logits_BK, speaker_B)
            total = total + config.alpha * terms["distillation"]
        if config.beta > 0:
            if output.reconstruction_BTF is None:
                raise TrainingError(
                    f"loss.beta needs a model that rebuilds its input, got beta={config.beta} "
                    f"with {type(student).__name__}, whose reconstruction_BTF is None in training"
                )
            # The target is the whole crop: only the student's input is masked.
            rebuilt = reconstruction_loss(output.reconstruction_BTF, instance_norm(crops.feat_BTF))
            terms["reconstruction"] = rebuilt
            total = total + config.beta * rebuilt
        return terms | {"total": total}

    def set_margin(self, margin: float) -> None:
        """Set the margin of the classification, radians."""
        if isinstance(self.margin, Tensor):
            self.margin.fill_(margin)
        else:
            self.margin = margin

    def begin_last_phase(self, margin: float) -> None:
        """Compute only the classification from here on, with this margin in radians."""
        terms = {"distillation": "none", "stages": "none", "beta": 0.0}
        self.config = self.config.model_copy(update=terms)
        self.teacher, self.teacher_centres, self.stage_weights = None, None, ()
        self.is_last_phase = True
        self.set_margin(margin)

    def keep_margin_on(self, device: torch.device) -> None:
        """Keep a margin that will change on a device, where steps that are replayed read it."""
        if self.config.margin_warmup_epochs:
            self.margin = torch.tensor(self.margin, device=device)

    def with_teacher_output(self, crops: Crops) -> Crops:
        """Return the crops with the teacher's output if the teacher only looks it up.

        Thread-safe: the prefetch thread calls it. A network teacher runs in the step itself,
        since it computes.
        """
        teacher = self.teacher
        if teacher is None or not teacher.facts.is_looked_up:
            return crops
        found = teacher.output(crops, with_stages=bool(self.stage_weights))
        return crops._replace(teacher_output=found)

    def summary(self, means: Mapping[str, float]) -> dict[str, Any]:
        """Return the fields of an `EpochReport` about the loss, from an epoch's mean terms."""
        config, total = self.config, means["total"]
        distill, rebuilt = means.get("distillation"), means.get("reconstruction")
        stages = tuple(means[name] for name in _stage_names(len(self.stage_weights)))
        weighted = zip(self.stage_weights, stages, strict=True)
        return {
            "loss_total": total,
            "loss_classification": means["classification"],
            "loss_distillation": distill,
            "loss_reconstruction": rebuilt,
            "loss_stages": stages or None,
            "classification_share": config.classification_weight * means["classification"] / total,
            "distill_share": None if distill is None else config.alpha * distill / total,
            "reconstruction_share": None if rebuilt is None else config.beta * rebuilt / total,
            "stage_shares": tuple(config.alpha * w * mean / total for w, mean in weighted) or None,
            "teacher_cosine": means.get("teacher_cosine"),
            "train_accuracy_pct": 100.0 * means["accuracy"],
        }

    def _distillation(
        self, taught: TeacherOutput, output: ModelOutput, logits_BK: Tensor, speaker_B: Tensor
    ) -> dict[str, Tensor]:
        """Compute the distillation term, its stages if any, and the cosine to the teacher."""
        config, student_BD = self.config, output.embedding_BD
        if self.teacher_centres is None:
            compare = EMBEDDING_LEVEL[config.distillation]
            both = (student_BD, taught.embedding_BD)
            if config.distillation in WITHIN_BATCH:
                both = (self._ranks.gathered(both[0]), self._ranks.gathered(both[1]))
            term = compare(*both, config)
        else:
            teacher_BK = self.teacher_centres.logits(taught.embedding_BD)
            term = LABEL_LEVEL[config.distillation](logits_BK, teacher_BK, speaker_B, config)
        terms = {
            "distillation": term,
            "teacher_cosine": F.cosine_similarity(student_BD, taught.embedding_BD).mean(),
        }
        if self.stage_weights:
            inner = stage_losses(output.vectors[:-1], taught.stages, self.projections)
            losses = (*inner, term)
            weighted = [w * loss for w, loss in zip(self.stage_weights, losses, strict=True)]
            terms["distillation"] = torch.stack(weighted).sum()
            terms |= zip(_stage_names(len(losses)), losses, strict=True)
        return terms


def _in_float32(output: ModelOutput) -> ModelOutput:
    rebuilt_BTF = output.reconstruction_BTF
    # Before the losses, which autocast does not cover.
    return ModelOutput(
        output.embedding_BD.float(),
        _all_float32(output.stages),
        None if rebuilt_BTF is None else rebuilt_BTF.float(),
    )


def _all_float32(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(tensor.float() for tensor in tensors)


def _usable_teacher(config: LossConfig, teacher: AnyTeacher | None) -> AnyTeacher | None:
    """Return the teacher, or None if the loss uses none."""
    if config.distill_weight == 0:
        return None
    if teacher is None:
        raise TrainingError(
            f"loss.distillation {config.distillation!r} needs a teacher, and none was given"
        )
    return teacher


def _usable_centres(
    config: LossConfig, teacher: AnyTeacher | None, speakers: tuple[str, ...]
) -> SpeakerCentres | None:
    """Return the teacher's classifier, or None if the loss does not use it."""
    # Terms of embeddings work with a teacher of other speakers, or without a classifier.
    if teacher is None or config.distillation not in LABEL_LEVEL:
        return None
    centres = teacher.facts.centres
    return None if centres is None else centres.of(speakers)


def _stage_weights(config: LossConfig, num_stages: int) -> tuple[float, ...]:
    try:
        return interpolated_weights(config.stage_weights, num_stages)
    except ValueError as error:
        raise TrainingError(f"loss.{error}") from error


def _stage_names(num_stages: int) -> list[str]:
    return [f"stage_{number}" for number in range(1, num_stages + 1)]
