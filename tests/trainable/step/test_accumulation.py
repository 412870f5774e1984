"""Gradients that are accumulated over parts of a batch, against those of the whole batch."""

import pytest
import torch
from torch import nn

from tests.worlds.one_step import CPU, make_batch, make_step, trial
from trainable.config.trial_config import TrialConfig
from trainable.loss.teacher_output import Crops
from trainable.machine.engine import Engine
from trainable.step.batch import Batch
from trainable.step.step import TrainingStep


def step_without_batch_statistics(**changes: dict[str, object]) -> TrainingStep:
    """A step whose batch norm uses its stored statistics, so that crops are independent."""
    tree = trial(max_grad_norm=1e9).model_dump()
    for part, values in changes.items():
        tree[part] |= values
    step = make_step(Engine(device=CPU), TrialConfig.model_validate(tree))
    for module in step.student.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
            module.train = lambda _mode=True, module=module: module
    return step


@pytest.mark.parametrize("parts", [2, 3, 4])
@pytest.mark.parametrize("loss", [{"distillation": "cosine"}, {"distillation": "mse"}])
def test_accumulated_parts_give_the_gradient_of_the_whole_batch(
    parts: int, loss: dict[str, object]
) -> None:
    """Also of parts that are not equal: 8 crops in 3."""
    one = step_without_batch_statistics(loss=loss)
    other = step_without_batch_statistics(loss=loss, training={"accumulate_steps": parts})
    expected, terms = one.run(make_batch()), other.run(make_batch())
    assert expected.keys() == terms.keys()
    for name, term in expected.items():
        assert terms[name].item() == pytest.approx(term.item(), rel=1e-5), name
    assert (other.num_steps, other.num_skipped) == (1, 0)
    for mine, plain in zip(other._parameters, one._parameters, strict=True):
        torch.testing.assert_close(mine.grad, plain.grad, rtol=1e-4, atol=1e-6)


def test_losses_within_the_batch_are_those_of_each_part() -> None:
    loss = {"distillation": "infonce"}
    split = step_without_batch_statistics(loss=loss, training={"accumulate_steps": 2})
    batch = make_batch()
    halves = [
        Batch(
            batch.seen_BTF[half],
            Crops(batch.crops.feat_BTF[half], batch.crops.row_B[half], batch.crops.start_B[half]),
            batch.speaker_B[half],
        )
        for half in (slice(0, 4), slice(4, 8))
    ]
    first, second, whole = (
        step_without_batch_statistics(loss=loss).run(each)["distillation"].item()
        for each in (*halves, batch)
    )
    term = split.run(batch)["distillation"].item()
    assert term == pytest.approx((first + second) / 2, rel=1e-5)
    assert term != pytest.approx(whole, rel=0.01)
