"""Multi-stage distillation: how stages are matched, projected, compared and weighted.

The stages of a model are the outputs of its blocks or layers, averaged over time, and last its
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
    """Return for each student stage the teacher stage nearest in relative depth, both from 0.

    Stage i of n has the depth (i+1)/n, so the last stages match. Of two equally near stages the
    deeper one is taken.
    """
    depths = ((i + 1) * num_teacher / num_student for i in range(num_student))
    # Not `round`: of two equally near stages it takes the even one.
    return tuple(max(1, int(depth + 0.5)) - 1 for depth in depths)


def interpolated_weights(weights: Sequence[float], num_stages: int) -> tuple[float, ...]:
    """Interpolate stage weights linearly to another depth, and divide them by their sum.

    Args:
        weights: At least one, first stage first.
        num_stages: Number of weights to return; the embedding is the last stage.

    Raises:
        ValueError: At that depth all weights are 0.
    """
    # A single stage is the embedding, so it gets the last weight.
    depths = np.linspace(0, 1, num_stages) if num_stages > 1 else np.ones(1)
    interpolated = np.interp(depths, np.linspace(0, 1, len(weights)), weights)
    if not interpolated.any():
        raise ValueError(
            f"stage_weights must not all be 0 at {num_stages} stages, got {list(weights)}"
        )
    return tuple((interpolated / interpolated.sum()).tolist())


@torch.no_grad()
def stage_dims(model: SpeakerModel, feat_BTF: Tensor) -> tuple[int, ...]:
    """Return the channels of each stage before the embedding, found by embedding a crop."""
    return tuple(stage_BC.shape[1] for stage_BC in model.eval().embed_stages(feat_BTF)[:-1])


def stage_projections(
    student_dims: Sequence[int], teacher_dims: Sequence[int]
) -> nn.ModuleList:
    """Build a linear map from each student stage to its teacher stage; identity if sizes agree."""
    partners = matched_stages(len(student_dims), len(teacher_dims))
    sizes = ((dim, teacher_dims[k]) for dim, k in zip(student_dims, partners, strict=True))
    return nn.ModuleList(nn.Identity() if a == b else nn.Linear(a, b) for a, b in sizes)


def stage_losses(
    student: Sequence[Tensor], teacher: Sequence[Tensor], projections: nn.ModuleList
) -> tuple[Tensor, ...]:
    """Return for each student stage 1 minus its mean cosine, projected, with its teacher stage.

    Args:
        student: The stages (B, C) before the embedding.
        teacher: The same of the teacher.
        projections: From `stage_projections`.
    """
    partners = matched_stages(len(student), len(teacher))
    return tuple(
        (1.0 - F.cosine_similarity(project(stage_BC), teacher[partner])).mean()
        for project, stage_BC, partner in zip(projections, student, partners, strict=True)
    )
