"""The terms of the training loss, as pure functions.

Shapes: B batch, D embedding, K speakers, T frames, F mel bins.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# The gradient of sqrt is infinite at 0, where an embedding lies exactly on its centre.
COSINE_LIMIT = 1e-7


def cosine_logits(embedding_BD: Tensor, weight_KD: Tensor, scale: float) -> Tensor:
    """Return the scaled cosines of embeddings and speaker centres, (B, K), both of any length."""
    return scale * F.linear(F.normalize(embedding_BD), F.normalize(weight_KD))


def aam_softmax_logits(
    embedding_BD: Tensor,
    weight_KD: Tensor,
    speaker_B: Tensor,
    *,
    margin: float | Tensor,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """Return the logits of additive-angular-margin softmax, with and without the margin.

    For the true speaker: scale * cos(theta + margin) if theta + margin < pi, else
    scale * (cos(theta) - margin * sin(margin)), so that it stays monotone in theta.

    Source: Deng et al., "ArcFace", CVPR 2019; voxceleb_trainer has the same two branches.

    Args:
        embedding_BD: Student embeddings, any length.
        weight_KD: One centre per speaker, any length.
        speaker_B: True speakers, 0 to K-1.
        margin: Radians; one number.
        scale: Factor on the cosines.

    Returns:
        (with margin, without margin), both (B, K).
    """
    cosine_BK = cosine_logits(embedding_BD, weight_KD, 1.0)
    target_B1 = cosine_BK.gather(1, speaker_B[:, None])
    sine_B1 = (1.0 - target_B1.square()).clamp(min=COSINE_LIMIT).sqrt()
    cos, sin = _cos_and_sin(margin)
    shifted_B1 = target_B1 * cos - sine_B1 * sin
    beyond_B1 = target_B1 - margin * sin
    # cos(pi - margin) = -cos(margin), but only the former is the limit to the last bit.
    limit = (math.pi - margin).cos() if isinstance(margin, Tensor) else math.cos(math.pi - margin)
    with_margin_B1 = torch.where(target_B1 > limit, shifted_B1, beyond_B1)
    with_margin_BK = cosine_BK.scatter(1, speaker_B[:, None], with_margin_B1)
    return scale * with_margin_BK, scale * cosine_BK


def _cos_and_sin(margin: float | Tensor) -> tuple[float | Tensor, float | Tensor]:
    if isinstance(margin, Tensor):
        return margin.cos(), margin.sin()
    return math.cos(margin), math.sin(margin)


def reconstruction_loss(reconstruction_BTF: Tensor, norm_BTF: Tensor) -> Tensor:
    """Return the mean squared error between reconstructed and original normalised log-mels."""
    return F.mse_loss(reconstruction_BTF, norm_BTF)
