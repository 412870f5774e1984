"""The distillation terms of the loss, as pure functions.

Shapes: B batch, D embedding, K speakers, J the K-1 other speakers, P pairs of the batch.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.config.trial_config import LossConfig

# Keeps a division finite for a batch of equal embeddings, as at a collapsed start.
MIN_DISTANCE = 1e-6


def mse_distillation(student_BD: Tensor, teacher_BD: Tensor, config: LossConfig) -> Tensor:
    """Return the mean squared error of the L2-normalised embeddings over temperature squared.

    The mean goes over batch and dimensions, so that embeddings at right angles give 2/D/T^2:
    0.000244 at D=512, T=4 (notes, V1: "Knowledge Distillation" and "Approach P1").
    """
    difference = F.mse_loss(F.normalize(student_BD), F.normalize(teacher_BD))
    return difference / config.temperature**2


def cosine_distillation(student_BD: Tensor, teacher_BD: Tensor, config: LossConfig) -> Tensor:  # noqa: ARG001 - one signature for all
    """Return 1 minus the mean cosine of the embeddings (notes, V2: "Approach P1")."""
    return (1.0 - F.cosine_similarity(student_BD, teacher_BD)).mean()


def rkd_distillation(student_BD: Tensor, teacher_BD: Tensor, config: LossConfig) -> Tensor:
    """Compare relations inside the batch: Huber losses of distances and of angles, weighted.

    Distances are Euclidean, divided by their mean in the batch. Angles are the cosines at the
    middle one of three crops; time and memory grow with B^3. The weights, 1 and 2, are the
    paper's for metric learning. Different from its authors' code, embeddings are L2-normalised
    first, since speakers are scored by cosine, and the means go over pairs and triples of
    different crops, not over all B^2 and B^3 entries.

    Source: Park et al., "Relational Knowledge Distillation", CVPR 2019.
    """
    student_BD, teacher_BD = F.normalize(student_BD), F.normalize(teacher_BD)
    distance = F.smooth_l1_loss(_relative_distances(student_BD), _relative_distances(teacher_BD))
    # A triple that has a crop twice has the same cosine, 0 or 1, in both, and adds 0 to the sum.
    angle = F.smooth_l1_loss(_cosines(student_BD), _cosines(teacher_BD), reduction="sum")
    batch_size = len(student_BD)
    num_triples = max(1, batch_size * (batch_size - 1) * (batch_size - 2))
    return config.distance_weight * distance + config.angle_weight * angle / num_triples


def infonce_distillation(student_BD: Tensor, teacher_BD: Tensor, config: LossConfig) -> Tensor:
    """Return InfoNCE: find the teacher embedding of the batch for each student embedding.

    Cross-entropy, nats, over the cosines divided by the temperature; every other crop of the
    batch is a negative. For a student with random embeddings it is about log(B).

    Source: van den Oord et al., "Representation Learning with Contrastive Predictive Coding",
    2018; between student and teacher as in Tian et al., "Contrastive Representation
    Distillation", ICLR 2020, without its memory bank.
    """
    cosine_BB = F.linear(F.normalize(student_BD), F.normalize(teacher_BD))
    own_B = torch.arange(len(student_BD), device=student_BD.device)
    return F.cross_entropy(cosine_BB / config.contrast_temperature, own_B)


def kl_distillation(
    student_BK: Tensor,
    teacher_BK: Tensor,
    speaker_B: Tensor,  # noqa: ARG001 - one signature for all
    config: LossConfig,
) -> Tensor:
    """Return the KL divergence of student from teacher speaker probabilities, nats, times T^2.

    Both logits are divided by the temperature T; T^2 keeps the gradient's size at any T.

    Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015.
    """
    temperature = config.temperature
    return _kl(student_BK / temperature, teacher_BK / temperature) * temperature**2


def dkd_distillation(
    student_BK: Tensor, teacher_BK: Tensor, speaker_B: Tensor, config: LossConfig
) -> Tensor:
    """Return the weighted sum of the two parts of `kl_distillation`.

    Target part: the true speaker against all others together. Non-target part: the other speakers
    among each other. `kl_distillation` weights it by 1 minus the teacher's probability of the true
    speaker, so it almost vanishes if the teacher is sure.

    Source: Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022; its weights are 1 and 8
    (alpha and beta there).
    """
    temperature = config.temperature
    student_B2, student_BJ = _decoupled(student_BK / temperature, speaker_B)
    teacher_B2, teacher_BJ = _decoupled(teacher_BK / temperature, speaker_B)
    target, others = _kl(student_B2, teacher_B2), _kl(student_BJ, teacher_BJ)
    weighted = config.target_weight * target + config.nontarget_weight * others
    return weighted * temperature**2


# Terms of (student embeddings, teacher embeddings).
EMBEDDING_LEVEL: Mapping[str, Callable[[Tensor, Tensor, LossConfig], Tensor]] = {
    "mse": mse_distillation,
    "cosine": cosine_distillation,
    "rkd": rkd_distillation,
    "infonce": infonce_distillation,
}
# Terms that compare the crops of a batch with each other, so they need the whole batch.
WITHIN_BATCH = frozenset({"rkd", "infonce"})
# Terms of (student logits, teacher logits, true speakers); logits are without margin.
LABEL_LEVEL: Mapping[str, Callable[[Tensor, Tensor, Tensor, LossConfig], Tensor]] = {
    "kl": kl_distillation,
    "dkd": dkd_distillation,
}


def _relative_distances(unit_BD: Tensor) -> Tensor:
    """Return the Euclidean distances of all pairs, (P,), divided by their mean."""
    distance_P = F.pdist(unit_BD)
    return distance_P / distance_P.mean().clamp(min=MIN_DISTANCE)


def _cosines(unit_BD: Tensor) -> Tensor:
    """Return the cosines, (B, B, B), at the first crop of the angle to the second and third."""
    difference_BBD = F.normalize(unit_BD[None] - unit_BD[:, None], dim=-1, eps=MIN_DISTANCE)
    return difference_BBD @ difference_BBD.mT


def _kl(student_BK: Tensor, teacher_BK: Tensor) -> Tensor:
    """Return the mean KL divergence of softmax(student) from softmax(teacher)."""
    # Logarithms, since a softmax of scaled cosines can underflow to 0.
    student_BK, teacher_BK = student_BK.log_softmax(dim=1), teacher_BK.log_softmax(dim=1)
    # `batchmean`: with `mean` PyTorch divides by the speakers too, which is no divergence.
    return F.kl_div(student_BK, teacher_BK, reduction="batchmean", log_target=True)


def _decoupled(logits_BK: Tensor, speaker_B: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits of (the true speaker, all others together), and of only the others."""
    speaker_B1 = speaker_B[:, None]
    index_J = torch.arange(logits_BK.shape[1] - 1, device=logits_BK.device)
    others_BJ = logits_BK.gather(1, index_J + (index_J >= speaker_B1).long())
    target_B1 = logits_BK.gather(1, speaker_B1)
    return torch.cat((target_B1, others_BJ.logsumexp(dim=1, keepdim=True)), dim=1), others_BJ
