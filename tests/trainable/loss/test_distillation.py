"""Distillation terms against hand-worked numbers, plain versions and one contract for all."""

import itertools
import math
from collections.abc import Callable
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.config.trial_config import LossConfig
from trainable.loss.directed import DIRECTED
from trainable.loss.distillation import (
    EMBEDDING_LEVEL,
    LABEL_LEVEL,
    cosine_distillation,
    dkd_distillation,
    infonce_distillation,
    kl_distillation,
    mse_distillation,
    rkd_distillation,
)

Term = Callable[[Tensor, Tensor], Tensor]
SPEAKER_B = torch.tensor([0, 3, 3, 1, 7, 5, 2, 15])
KINDS = (*EMBEDDING_LEVEL, *LABEL_LEVEL)


def term_of(kind: str, **settings: float) -> Term:
    """A term of student and teacher, embeddings or logits, for eight crops of `SPEAKER_B`."""
    config = LossConfig.model_validate({"distillation": kind, **settings})
    if kind in LABEL_LEVEL:
        return lambda student, teacher: LABEL_LEVEL[kind](
            student, teacher, SPEAKER_B[: len(student)], config
        )
    return lambda student, teacher: EMBEDDING_LEVEL[kind](student, teacher, config)


def random_rows(seed: int) -> Tensor:
    return torch.randn(8, 16, generator=torch.Generator().manual_seed(seed))


class TestEveryDistillationLoss:
    """What each term does with eight rows of student and teacher, embeddings or logits."""

    @pytest.fixture(params=KINDS)
    def term(self, request: pytest.FixtureRequest) -> Term:
        return term_of(request.param)

    def test_is_one_number_not_below_zero(self, term: Term) -> None:
        loss = term(random_rows(0), random_rows(1))
        assert loss.shape == ()
        assert loss.item() >= 0

    def test_costs_more_the_further_the_student_is_from_the_teacher(self, term: Term) -> None:
        teacher, other = random_rows(0), random_rows(1)
        losses = [term(teacher + away * other, teacher).item() for away in (0, 0.2, 0.5, 1, 2)]
        assert losses == sorted(losses)
        assert losses[-1] > losses[0]

    def test_does_not_depend_on_the_order_of_different_speakers(self, term: Term) -> None:
        # Rows 1 and 2 have one speaker: they may change places whatever the labels.
        order = torch.tensor([0, 2, 1, 3, 4, 5, 6, 7])
        student, teacher = random_rows(0), random_rows(1)
        torch.testing.assert_close(term(student[order], teacher[order]), term(student, teacher))

    def test_following_its_gradient_lowers_it(self, term: Term) -> None:
        student, teacher = random_rows(0).requires_grad_(), random_rows(1)
        optimizer = torch.optim.Adam([student], lr=0.05)
        before = term(student, teacher).item()
        for _ in range(100):
            optimizer.zero_grad()
            term(student, teacher).backward()
            optimizer.step()
        assert term(student, teacher).item() < 0.3 * before

    @pytest.mark.parametrize("teacher_is_collapsed", [False, True])
    def test_a_collapsed_student_gets_a_finite_gradient(
        self, term: Term, teacher_is_collapsed: bool
    ) -> None:
        student = torch.ones(8, 16, requires_grad=True)
        teacher = torch.ones(8, 16) if teacher_is_collapsed else random_rows(0)
        term(student, teacher).backward()
        assert student.grad is not None
        assert student.grad.isfinite().all()

    def test_two_crops_are_enough(self, term: Term) -> None:
        assert term(random_rows(0)[:2], random_rows(1)[:2]).isfinite()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "infonce"])
def test_a_student_that_copies_the_teacher_pays_nothing(kind: str) -> None:
    assert term_of(kind)(random_rows(0), random_rows(0)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", EMBEDDING_LEVEL)
def test_length_of_an_embedding_does_not_count(kind: str) -> None:
    length_B1 = torch.linspace(0.1, 5, 8)[:, None]
    torch.testing.assert_close(
        term_of(kind)(length_B1 * random_rows(0), random_rows(1)),
        term_of(kind)(random_rows(0), random_rows(1)),
    )


@pytest.mark.parametrize("kind", sorted(DIRECTED))
def test_gradient_of_a_directed_loss_turns_the_student_towards_the_teacher(kind: str) -> None:
    student, teacher = random_rows(0).requires_grad_(), random_rows(1)
    term_of(kind)(student, teacher).backward()
    turned = student - 0.1 * F.normalize(student.grad)
    before = F.cosine_similarity(student, teacher).mean()
    assert F.cosine_similarity(turned, teacher).mean() > before


def test_every_name_that_a_config_takes_has_a_term() -> None:
    names = set(get_args(LossConfig.model_fields["distillation"].annotation))
    assert names == {*KINDS, "none"}


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


def test_mse_and_cosine_differ_by_a_known_factor() -> None:
    # |a-b|^2 = 2 - 2cos for unit vectors, averaged over D and divided by T^2.
    student_BD, teacher_BD = random_rows(0), random_rows(1)
    config = LossConfig(temperature=3.0)
    mse = mse_distillation(student_BD, teacher_BD, config)
    cosine = cosine_distillation(student_BD, teacher_BD, config)
    assert mse.item() == pytest.approx(2 * cosine.item() / 16 / 9, rel=1e-5)


def test_kl_by_hand() -> None:
    # At T=2 the student gives (1/2, 1/2), the teacher (1/4, 3/4).
    student_BK = torch.tensor([[0.7, 0.7]])
    teacher_BK = torch.tensor([[0.0, 2 * math.log(3)]])
    loss = kl_distillation(student_BK, teacher_BK, SPEAKER_B[:1], LossConfig(temperature=2.0))
    assert loss.item() == pytest.approx(4 * (0.25 * math.log(0.5) + 0.75 * math.log(1.5)))


def test_gradient_of_kl_keeps_its_size_at_high_temperature() -> None:
    # Hinton et al., equation 4: (student - teacher) / K for logits of mean zero, here over B too.
    student_BK, teacher_BK = random_rows(0).double(), random_rows(1).double()
    student_BK, teacher_BK = (x - x.mean(dim=1, keepdim=True) for x in (student_BK, teacher_BK))
    student_BK.requires_grad_()
    kl_distillation(student_BK, teacher_BK, SPEAKER_B, LossConfig(temperature=1000)).backward()
    expected = (student_BK - teacher_BK).detach() / 16 / 8
    torch.testing.assert_close(student_BK.grad, expected, rtol=0.02, atol=1e-5)


def test_dkd_by_hand() -> None:
    # At T=2 the teacher gives (1/2, 1/4, 1/4), the student (1/4, 1/2, 1/4), the first is true.
    teacher_BK = 2 * torch.tensor([[0.5, 0.25, 0.25]]).log()
    student_BK = 2 * torch.tensor([[0.25, 0.5, 0.25]]).log() + 3.0
    target = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    others = 0.5 * math.log(0.5 / (2 / 3)) + 0.5 * math.log(0.5 / (1 / 3))
    config = LossConfig(temperature=2.0, target_weight=3.0, nontarget_weight=5.0)
    loss = dkd_distillation(student_BK, teacher_BK, torch.tensor([0]), config)
    assert loss.item() == pytest.approx(4 * (3 * target + 5 * others), rel=1e-5)


@pytest.mark.parametrize("row", range(8))
def test_dkd_weighted_with_the_teachers_doubt_is_kl(row: int) -> None:
    student_BK, teacher_BK = random_rows(0)[[row]], random_rows(1)[[row]]
    speaker_B = SPEAKER_B[[row]]
    certainty = (teacher_BK / 2).softmax(dim=1)[0, speaker_B[0]].item()
    config = LossConfig(temperature=2.0, target_weight=1.0, nontarget_weight=1 - certainty)
    torch.testing.assert_close(
        dkd_distillation(student_BK, teacher_BK, speaker_B, config),
        kl_distillation(student_BK, teacher_BK, speaker_B, config),
    )


def at_degrees(*angles: float) -> Tensor:
    radians = torch.tensor(angles).deg2rad()
    return torch.stack((radians.cos(), radians.sin()), dim=1)


def test_rkd_by_hand() -> None:
    # A triangle with sides sqrt2, sqrt2, 2 and angles 45, 90, 45 against one with equal sides.
    student_BD, teacher_BD = at_degrees(0, 90, 180), at_degrees(0, 120, 240)
    mean = (2 * math.sqrt(2) + 2) / 3
    sides = [math.sqrt(2) / mean, math.sqrt(2) / mean, 2 / mean]
    distance = sum((side - 1) ** 2 / 2 for side in sides) / 3
    cosines = [math.cos(math.pi / 4), 0, math.cos(math.pi / 4)]
    angle = sum((cosine - 0.5) ** 2 / 2 for cosine in cosines) / 3
    for weights in ((1.0, 0.0), (0.0, 1.0), (1.0, 2.0)):
        config = LossConfig(distance_weight=weights[0], angle_weight=weights[1])
        loss = rkd_distillation(student_BD, teacher_BD, config).item()
        assert loss == pytest.approx(weights[0] * distance + weights[1] * angle, rel=1e-5)


def test_rkd_is_the_mean_over_pairs_and_triples() -> None:
    student_BD, teacher_BD = F.normalize(random_rows(0)), F.normalize(random_rows(1))

    def distances(x_BD: Tensor) -> Tensor:
        pairs = torch.stack([(a - b).norm() for a, b in itertools.combinations(x_BD, 2)])
        return pairs / pairs.mean()

    def angles(x_BD: Tensor) -> Tensor:
        triples = itertools.permutations(x_BD, 3)
        return torch.stack([F.cosine_similarity(a - b, c - b, dim=0) for a, b, c in triples])

    expected = F.smooth_l1_loss(distances(student_BD), distances(teacher_BD))
    expected = expected + 2 * F.smooth_l1_loss(angles(student_BD), angles(teacher_BD))
    torch.testing.assert_close(rkd_distillation(student_BD, teacher_BD, LossConfig()), expected)


def test_rkd_leaves_the_student_free_to_turn_as_a_whole() -> None:
    rotation_DD = torch.linalg.qr(random_rows(2)[:, :8].T @ random_rows(3)[:, :8])[0]
    teacher_BD = random_rows(0)[:, :8]
    loss = rkd_distillation(teacher_BD @ rotation_DD, teacher_BD, LossConfig())
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_infonce_by_hand() -> None:
    emb_BD = torch.eye(2)
    config = LossConfig(contrast_temperature=0.5)
    knowing = infonce_distillation(emb_BD, emb_BD, config)
    assert knowing.item() == pytest.approx(math.log(1 + math.exp(-2)))
    mistaken = infonce_distillation(emb_BD.flip(0), emb_BD, config)
    assert mistaken.item() == pytest.approx(math.log(1 + math.exp(2)))
    ignorant = infonce_distillation(torch.ones(2, 2), emb_BD, config)
    assert ignorant.item() == pytest.approx(math.log(2))
