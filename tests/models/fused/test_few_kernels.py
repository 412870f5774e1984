"""The Mixer's layers in their form for a GPU compute what PyTorch's own operators compute."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from models import build_model
from models.fused.few_kernels import autocast_dtype, runs_few_kernels
from models.layers import GroupedTokenLinear, IDConv, MaxFeatureMap
from models.mlp_mixer import MLPMixerConfig
from models.pooling import AttentiveStatisticsPooling

FRAMES, BATCH, CHANNELS = 12, 3, 8
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "ID convolution": lambda: IDConv(CHANNELS),
    "token projection": lambda: GroupedTokenLinear(FRAMES, 2 * FRAMES, 4),
    "max-feature-map": MaxFeatureMap,
    "pooling": lambda: AttentiveStatisticsPooling(CHANNELS, 4),
}


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Return a function that chooses the form of all layers, on the CPU."""

    def choose(few: bool) -> None:
        for module in ("layers", "pooling"):
            monkeypatch.setattr(f"models.{module}.runs_few_kernels", lambda _: few)
            monkeypatch.setattr(f"models.{module}.runs_fused", lambda _, **__: False)
        monkeypatch.setattr("models.mlp_mixer.runs_fused", lambda _, **__: False)

    return choose


def outcome(layer: nn.Module, x_TBC: Tensor) -> list[Tensor]:
    """Return the output, the gradient of the input, and those of the parameters."""
    x_TBC = x_TBC.clone().requires_grad_()
    y = layer(x_TBC)
    weight = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)
    parameters = list(layer.parameters())
    grads = torch.autograd.grad((y * weight).sum(), [x_TBC, *parameters])
    assert [g.dtype for g in grads] == [x_TBC.dtype, *(p.dtype for p in parameters)]
    return [y.detach(), *grads]


@pytest.mark.parametrize("name", LAYERS)
def test_output_and_gradients_are_those_of_the_plain_form(
    name: str, chosen: Callable[[bool], None]
) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name]().double()
    x_TBC = torch.randn(FRAMES, BATCH, CHANNELS, dtype=torch.float64)
    chosen(False)
    plain = outcome(layer, x_TBC)
    chosen(True)
    for few, expected in zip(outcome(layer, x_TBC), plain, strict=True):
        torch.testing.assert_close(few, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_under_autocast_are_as_near_to_float32_as_those_of_the_plain_form(
    name: str, chosen: Callable[[bool], None]
) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name]()
    x_TBC = torch.randn(FRAMES, BATCH, CHANNELS)
    chosen(False)
    exact = outcome(layer, x_TBC)
    found: dict[bool, list[Tensor]] = {}
    for few in (False, True):
        chosen(few)
        with torch.autocast("cpu", torch.bfloat16):
            found[few] = outcome(layer, x_TBC)
    for few, plain, expected in zip(found[True], found[False], exact, strict=True):
        error, usual = ((each.float() - expected).norm() for each in (few, plain))
        # Two roundings to the 8 bits of bfloat16, or 1.5 times the plain form's error.
        assert error <= max(1.5 * usual, 2**-8 * expected.norm())


def test_a_whole_student_has_the_same_gradients(chosen: Callable[[bool], None]) -> None:
    torch.manual_seed(0)
    config = MLPMixerConfig(hidden_dim=16, num_blocks=2, num_frames=8, num_mels=8, embedding_dim=8)
    model = build_model(config).double()
    feat_BTF = torch.randn(4, 8, 8, dtype=torch.float64)
    found = []
    for few in (False, True):
        chosen(few)
        embedding_BD = model(feat_BTF).embedding_BD
        found.append(torch.autograd.grad(embedding_BD.square().sum(), list(model.parameters())))
    for plain, fewer in zip(*found, strict=True):
        torch.testing.assert_close(fewer, plain, rtol=1e-9, atol=1e-9)


def test_the_form_is_for_gpus_and_for_estimates_of_their_memory() -> None:
    assert not runs_few_kernels(torch.ones(1))
    on_meta = torch.ones(1, device="meta")
    assert runs_few_kernels(on_meta)
    assert autocast_dtype(on_meta) == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert autocast_dtype(torch.ones(1)) == torch.bfloat16
