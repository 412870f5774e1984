"""Loss terms against hand-worked numbers and PyTorch's own functions."""

import math

import pytest
import torch
import torch.nn.functional as F

from trainable.config import LossConfig
from trainable.losses import (
    DISTILLATION,
    aam_softmax_logits,
    cosine_distillation,
    mse_distillation,
    reconstruction_loss,
)


def test_mse_of_embeddings_at_right_angles_is_the_notes_figure() -> None:
    student_BD, teacher_BD = torch.zeros(4, 512), torch.zeros(4, 512)
    student_BD[:, 0], teacher_BD[:, 1] = 3.0, 0.2
    loss = mse_distillation(student_BD, teacher_BD, LossConfig(temperature=4.0))
    assert loss.item() == pytest.approx(2 / 512 / 16, rel=1e-6)
    assert f"{loss.item():.6f}" == "0.000244"


def test_cosine_of_embeddings_at_sixty_degrees() -> None:
    student_BD = torch.tensor([[2.0, 0.0]])
    teacher_BD = torch.tensor([[0.5, 0.5 * math.sqrt(3)]])
    assert cosine_distillation(student_BD, teacher_BD, LossConfig()).item() == pytest.approx(0.5)


class TestEveryDistillationLoss:
    """What each term between student and teacher embeddings must do."""

    @pytest.fixture(params=DISTILLATION)
    def term(self, request: pytest.FixtureRequest) -> object:
        return DISTILLATION[request.param]

    def test_is_zero_for_equal_directions(self, term) -> None:
        emb_BD = torch.randn(8, 16)
        assert term(emb_BD, 3.0 * emb_BD, LossConfig()).item() == pytest.approx(0, abs=1e-6)

    def test_grows_with_the_angle(self, term) -> None:
        base = torch.tensor([[1.0, 0.0]])
        angles = torch.linspace(0, math.pi, 7)
        losses = [
            term(base, torch.stack((a.cos(), a.sin()))[None], LossConfig()).item() for a in angles
        ]
        assert losses == sorted(losses)
        assert losses[-1] > losses[0]

    def test_gradient_turns_the_student_towards_the_teacher(self, term) -> None:
        student_BD = torch.randn(8, 16, requires_grad=True)
        teacher_BD = torch.randn(8, 16)
        term(student_BD, teacher_BD, LossConfig()).backward()
        turned = student_BD - 0.1 * F.normalize(student_BD.grad)
        before = F.cosine_similarity(student_BD, teacher_BD).mean()
        assert F.cosine_similarity(turned, teacher_BD).mean() > before


def test_the_two_distances_differ_by_a_known_factor() -> None:
    # |a-b|^2 = 2 - 2cos for unit vectors, averaged over D and divided by T^2.
    student_BD, teacher_BD = torch.randn(8, 16), torch.randn(8, 16)
    config = LossConfig(temperature=3.0)
    mse = mse_distillation(student_BD, teacher_BD, config)
    cosine = cosine_distillation(student_BD, teacher_BD, config)
    assert mse.item() == pytest.approx(2 * cosine.item() / 16 / 9, rel=1e-5)


def test_aam_softmax_without_margin_is_scaled_cosine() -> None:
    emb_BD, weight_KD = torch.randn(5, 7), torch.randn(3, 7)
    with_margin, without = aam_softmax_logits(
        emb_BD, weight_KD, torch.tensor([0, 1, 2, 0, 1]), margin=0.0, scale=10.0
    )
    expected = 10 * F.cosine_similarity(emb_BD[:, None], weight_KD[None], dim=-1)
    torch.testing.assert_close(without, expected)
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
