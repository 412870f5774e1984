"""Multi-stage distillation: which stage learns from which, through what, and how much it counts.

The stages of a model are what its blocks or layers put out, averaged over time, and last its
embedding (notes, "Approach P3"). The functions here take the stages before the embedding.

Shapes: B batch, C channels, which differ by stage.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import SpeakerModel


def matched_stages(num_student: int, num_teacher: int) -> tuple[int, ...]:
    """For each student stage the teacher stage nearest in relative depth, both from 0.

    Stage i of n lies at (i+1)/n, so the last learns from the last; of two equally near the deeper.
    """
    depths = ((i + 1) * num_teacher / num_student for i in range(num_student))
    return tuple(max(1, int(depth + 0.5)) - 1 for depth in depths)


def interpolated_weights(weights: Sequence[float], num_stages: int) -> tuple[float, ...]:
    """Stage weights over their sum, taken to another depth by linear interpolation.

    Args:
        weights: First stage first, at least one.
        num_stages: Stages to weight, the embedding among them.

    Raises:
        ValueError: At that depth all weights are 0.
    """
    places = np.linspace(0, 1, num_stages) if num_stages > 1 else np.ones(1)
    stretched = np.interp(places, np.linspace(0, 1, len(weights)), weights)
    if not stretched.any():
        raise ValueError(
            f"stage_weights must not all be 0 at {num_stages} stages, got {list(weights)}"
        )
    return tuple((stretched / stretched.sum()).tolist())


@torch.no_grad()
def stage_dims(model: SpeakerModel, feat_BTF: Tensor) -> tuple[int, ...]:
    """Channels of each stage before the embedding, found by embedding a crop in eval mode."""
    return tuple(stage_BC.shape[1] for stage_BC in model.eval().embed_stages(feat_BTF)[:-1])


def stage_projections(
    student_dims: Sequence[int], teacher_dims: Sequence[int]
) -> nn.ModuleList:
    """A linear map from each student stage to its teacher stage; nothing where sizes agree."""
    partners = matched_stages(len(student_dims), len(teacher_dims))
    sizes = ((dim, teacher_dims[k]) for dim, k in zip(student_dims, partners, strict=True))
    return nn.ModuleList(nn.Identity() if a == b else nn.Linear(a, b) for a, b in sizes)


def stage_losses(
    student: Sequence[Tensor], teacher: Sequence[Tensor], projections: nn.ModuleList
) -> tuple[Tensor, ...]:
    """1 minus the mean cosine of each projected student stage and its teacher stage.

    Args:
        student: The stages (B, C) before the embedding.
        teacher: Likewise.
        projections: As `stage_projections` built them.
    """
    partners = matched_stages(len(student), len(teacher))
    return tuple(
        (1.0 - F.cosine_similarity(project(stage_BC), teacher[partner])).mean()
        for project, stage_BC, partner in zip(projections, student, partners, strict=True)
    )
