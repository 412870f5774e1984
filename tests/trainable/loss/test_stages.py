"""Which stage learns from which, with what weight, through what projection."""

import pytest
import torch
from torch import nn

from models import LSTMAutoencoderConfig, MLPMixerConfig, build_model
from trainable.config.trial_config import LossConfig
from trainable.loss.stages import (
    interpolated_weights,
    matched_stages,
    stage_dims,
    stage_losses,
    stage_projections,
)

NOTES = LossConfig().stage_weights


@pytest.mark.parametrize(
    ("num_student", "num_teacher", "partners"),
    [
        # The notes' six blocks against three LSTM layers and the bottleneck.
        (6, 4, (0, 0, 1, 2, 2, 3)),
        (4, 4, (0, 1, 2, 3)),
        (1, 4, (3,)),
        (2, 4, (1, 3)),
        (8, 2, (0, 0, 0, 0, 0, 1, 1, 1)),
        (3, 1, (0, 0, 0)),
        (0, 4, ()),
        (0, 0, ()),
    ],
)
def test_stages_are_matched_by_relative_depth(
    num_student: int, num_teacher: int, partners: tuple[int, ...]
) -> None:
    assert matched_stages(num_student, num_teacher) == partners


@pytest.mark.parametrize("num_student", range(1, 20))
@pytest.mark.parametrize("num_teacher", range(1, 20))
def test_no_other_stage_is_nearer_in_relative_depth(num_student: int, num_teacher: int) -> None:
    partners = matched_stages(num_student, num_teacher)
    assert list(partners) == sorted(partners)
    assert partners[-1] == num_teacher - 1
    for stage, partner in enumerate(partners):
        depth = (stage + 1) / num_student
        away = [abs((other + 1) / num_teacher - depth) for other in range(num_teacher)]
        assert away[partner] == pytest.approx(min(away))


def test_the_notes_weights_are_divided_by_their_sum() -> None:
    assert interpolated_weights(NOTES, 7) == pytest.approx([w / 8 for w in NOTES])


@pytest.mark.parametrize(
    ("weights", "num_stages", "ratios"),
    [
        ((1, 3), 5, (1, 1.5, 2, 2.5, 3)),
        ((1, 3), 2, (1, 3)),
        (NOTES, 4, (0.5, 1, 1.5, 2)),
        (NOTES, 13, (0.5, 0.5, 0.5, 0.75, 1, 1, 1, 1.25, 1.5, 1.5, 1.5, 1.75, 2)),
        ((7,), 3, (1, 1, 1)),
        ((0, 5), 1, (1,)),
    ],
)
def test_weights_are_stretched_linearly_to_another_depth(
    weights: tuple[float, ...], num_stages: int, ratios: tuple[float, ...]
) -> None:
    found = interpolated_weights(weights, num_stages)
    assert found == pytest.approx([ratio / sum(ratios) for ratio in ratios])
    assert sum(found) == pytest.approx(1)


def test_weights_that_vanish_at_a_depth_are_refused() -> None:
    with pytest.raises(ValueError, match=r"all be 0 at 2 stages, got \[0, 1, 0\]"):
        interpolated_weights((0, 1, 0), 2)


def test_dims_of_the_notes_student_and_teacher() -> None:
    student = build_model(MLPMixerConfig(num_blocks=2))
    teacher = build_model(LSTMAutoencoderConfig(num_layers=2))
    feat_BTF = torch.randn(1, 200, 80)
    assert stage_dims(student, feat_BTF) == (192, 192)
    assert stage_dims(teacher, feat_BTF) == (328, 328, 256)


def test_a_projection_stands_only_where_sizes_differ() -> None:
    projections = stage_projections((16, 16, 24), (16, 24, 24))
    assert [type(projection) for projection in projections] == [
        nn.Identity, nn.Linear, nn.Identity
    ]
    assert projections[1].weight.shape == (24, 16)


def test_stage_losses_by_hand() -> None:
    projections = stage_projections((2, 3), (2,))
    with torch.no_grad():
        projections[1].weight.copy_(torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
        projections[1].bias.zero_()
    student = (torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[9.0, 1.0, 1.0]] * 2))
    teacher = (torch.tensor([[3.0, 0.0], [1.0, 0.0]]),)
    first, second = stage_losses(student, teacher, projections)
    assert first.item() == pytest.approx((0 + 1) / 2)
    assert second.item() == pytest.approx(1 - 0.5**0.5)
