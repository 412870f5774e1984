"""Loss terms against hand-worked numbers and PyTorch's own functions."""

import math

import pytest
import torch
import torch.nn.functional as F

from trainable.loss.terms import aam_softmax_logits, cosine_logits, reconstruction_loss


def test_aam_softmax_without_margin_is_scaled_cosine() -> None:
    emb_BD, weight_KD = torch.randn(5, 7), torch.randn(3, 7)
    with_margin, without = aam_softmax_logits(
        emb_BD, weight_KD, torch.tensor([0, 1, 2, 0, 1]), margin=0.0, scale=10.0
    )
    expected = 10 * F.cosine_similarity(emb_BD[:, None], weight_KD[None], dim=-1)
    torch.testing.assert_close(without, expected)
    torch.testing.assert_close(cosine_logits(emb_BD, weight_KD, 10.0), expected)
    torch.testing.assert_close(with_margin, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("angle", [0.3, 1.0, 2.0, 2.9])
def test_aam_softmax_adds_the_margin_to_the_true_speakers_angle(angle: float) -> None:
    emb_BD = torch.tensor([[math.cos(angle), math.sin(angle)]])
    weight_KD = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    with_margin, without = aam_softmax_logits(
        emb_BD, weight_KD, torch.tensor([0]), margin=0.2, scale=30.0
    )
    assert with_margin[0, 0].item() == pytest.approx(30 * math.cos(angle + 0.2), rel=1e-4)
    assert with_margin[0, 1] == without[0, 1]


def test_aam_softmax_stays_monotone_where_the_margin_would_pass_pi() -> None:
    angles = torch.linspace(2.7, math.pi, 50, dtype=torch.float64)
    emb_BD = torch.stack((angles.cos(), angles.sin()), dim=1)
    weight_KD = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    logits, _ = aam_softmax_logits(
        emb_BD, weight_KD, torch.zeros(50, dtype=torch.long), margin=0.3, scale=1.0
    )
    assert (logits[:, 0].diff() < 0).all()


def test_aam_softmax_has_a_finite_gradient_at_the_centre() -> None:
    emb_BD = torch.tensor([[1.0, 0.0]], requires_grad=True)
    logits, _ = aam_softmax_logits(
        emb_BD, torch.tensor([[1.0, 0.0]]), torch.tensor([0]), margin=0.2, scale=30.0
    )
    logits.sum().backward()
    assert emb_BD.grad is not None
    assert emb_BD.grad.isfinite().all()


def test_reconstruction_is_the_mean_squared_error() -> None:
    assert reconstruction_loss(torch.zeros(1, 2, 2), torch.full((1, 2, 2), 3.0)).item() == 9.0
