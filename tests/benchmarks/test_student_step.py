"""The plain Mixer of the benchmark computes what Veer's does."""

import pytest
import torch

from models import MLPMixerConfig, build_model
from tests.benchmarks.plain_mixer import PlainMixer, plain_tensors, plain_twin
from tests.benchmarks.student_step import steps


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-3), (torch.float64, 1e-11)])
@pytest.mark.parametrize("group_channel_mixing", [False, True])
@pytest.mark.parametrize("hidden_dim", [192, 64])
def test_outputs_and_all_gradients_are_the_products(
    hidden_dim: int, group_channel_mixing: bool, dtype: torch.dtype, allowed: float
) -> None:
    config = MLPMixerConfig(
        hidden_dim=hidden_dim, num_blocks=2, group_channel_mixing=group_channel_mixing
    )
    torch.manual_seed(0)
    model = build_model(config).to(dtype)
    plain = plain_twin(model, config).to(dtype)
    feat_BTF = torch.randn(4, 200, 80, dtype=dtype)
    direction_BD = torch.randn(4, 512, dtype=dtype)
    emb_BD, plain_BD = model(feat_BTF).embedding_BD, plain(feat_BTF)
    torch.testing.assert_close(emb_BD, plain_BD, rtol=allowed, atol=allowed)
    for output_BD in (emb_BD, plain_BD):
        (output_BD * direction_BD).sum().backward()
    found = plain_tensors({name: p.grad for name, p in model.named_parameters()})
    expected = {name: p.grad for name, p in plain.named_parameters()}
    assert found.keys() == expected.keys()
    # Only rounding is left of the gradients of biases that a normalisation removes.
    largest = max(gradient.abs().max().item() for gradient in expected.values())
    for name, gradient in expected.items():
        tolerance = allowed * max(gradient.abs().max().item(), 0.1 * largest)
        off = (found[name] - gradient).abs().max().item()
        assert off < tolerance, f"{name}: {off:g}, allowed {tolerance:g}"
    buffers = plain_tensors(dict(model.named_buffers()))
    for name, buffer in plain.named_buffers():
        torch.testing.assert_close(buffers[name], buffer)


def test_the_plain_mixer_has_the_notes_size() -> None:
    plain = PlainMixer(MLPMixerConfig())
    assert sum(p.numel() for p in plain.parameters()) == pytest.approx(2.66e6, rel=0.01)


def test_both_sides_take_the_same_steps() -> None:
    config = MLPMixerConfig(hidden_dim=16, num_blocks=1, num_frames=40)
    both = steps(config, batch_size=8)
    losses = {name: [step() for _ in range(3)] for name, step in both.items()}
    assert losses["product"] == pytest.approx(losses["plain"], rel=1e-3)
    assert losses["plain"][2] < losses["plain"][0]
    assert len(both["plain"].cpu_s) == 3
