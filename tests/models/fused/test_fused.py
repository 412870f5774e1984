"""The fused layers of the CPU against PyTorch's own operators."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from models import MLPMixerConfig, build_model
from models.fused import products
from models.fused.channel_mixing import FusedChannelMixing
from models.fused.layers import FusedGroupedLinear, FusedLinear, FusedMaximum, FusedStatistics
from models.fused.products import GradientSums, chunk_length, linear, linear_plus, runs_fused
from models.fused.token_mixing import FusedTokenMixing
from models.mlp_mixer import MixerBlock, MLPMixerSpeaker
from trainable.cost.macs import count_macs

CONFIG = MLPMixerConfig(hidden_dim=8, num_blocks=2, num_frames=12, embedding_dim=10)


class Passive(TorchDispatchMode):
    """A mode that watches operators and changes nothing; fused layers are off under it."""

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any, kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def _little_input_is_fused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "MIN_NUMBERS", 1)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make chunks of about two crops or a few rows; the last chunk may be smaller."""
    monkeypatch.setattr(products, "CHUNK_BYTES_PER_THREAD", 2600 // torch.get_num_threads())


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


FUNCTIONS: dict[str, Callable[[], tuple[Any, tuple[Any, ...]]]] = {
    "channel": lambda: (
        FusedChannelMixing.apply,
        (
            *(double(7, 4), double(4), double(4), double(10, 4), double(10)),
            *(double(4, 5), double(4), 1e-5, True),
        ),
    ),
    "token": lambda: (
        FusedTokenMixing.apply,
        (
            *(double(6, 3, 4), double(4), double(4), double(3, 4), double(4)),
            *(double(2, 5, 3), double(10), double(2, 3, 5), double(6), 1e-5),
        ),
    ),
    "linear": lambda: (
        FusedLinear.apply,
        (double(5, 3), double(4, 3), double(4), "none"),
    ),
    "linear_tanh": lambda: (
        FusedLinear.apply,
        (double(5, 3), double(4, 3), double(4), "tanh"),
    ),
    "grouped": lambda: (
        FusedGroupedLinear.apply,
        (double(5, 6), double(2, 3, 4), double(8)),
    ),
    "maximum": lambda: (FusedMaximum.apply, (double(3, 2, 8),)),
    # Of the weighted variances some are below the floor.
    "statistics": lambda: (
        FusedStatistics.apply,
        (double(6, 2, 3), double(6, 2, 3), 0.7),
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_the_numeric_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Several chunks, the last a smaller one.
    monkeypatch.setattr(products, "CHUNK_BYTES_PER_THREAD", 100 // torch.get_num_threads())
    torch.manual_seed(0)
    function, inputs = FUNCTIONS[name]()
    assert gradcheck(function, inputs)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_second_derivative_is_refused(name: str) -> None:
    function, inputs = FUNCTIONS[name]()
    output = function(*inputs)
    output = torch.stack(output) if isinstance(output, tuple) else output
    (grad,) = torch.autograd.grad(output.square().sum(), inputs[0], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def gradients(module: nn.Module, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the output, and the gradients of its weighted sum by input and parameters."""
    module.zero_grad()
    x = x.detach().requires_grad_()
    y = module(x)
    direction = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    (y * direction).sum().backward()
    return y.detach(), {"x": x.grad} | {n: p.grad.clone() for n, p in module.named_parameters()}


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_block_is_what_pytorchs_operators_give(
    batch: int, grouped: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    config = CONFIG.model_copy(update={"group_channel_mixing": grouped})
    block = MixerBlock(config).to(dtype)
    for norm in (block.token_norm, block.channel_norm):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    x_TBC = torch.randn(12, batch, 8, dtype=dtype)
    y_TBC, found = gradients(block, x_TBC)
    with Passive():
        expected_TBC, expected = gradients(block, x_TBC)
    torch.testing.assert_close(y_TBC, expected_TBC)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(block(x_TBC), y_TBC, rtol=0, atol=0)


@pytest.mark.parametrize("training", [False, True])
def test_a_model_is_what_pytorchs_operators_give(training: bool) -> None:
    torch.manual_seed(0)
    model = build_model(CONFIG).train(training)
    feat_BTF = torch.randn(5, 12, 80)
    emb_BD = model(feat_BTF).embedding_BD
    with Passive():
        expected_BD = model(feat_BTF).embedding_BD
    torch.testing.assert_close(emb_BD, expected_BD, rtol=1e-4, atol=1e-4)


def test_frames_in_another_order_of_memory_are_taken_as_they_are() -> None:
    block = MixerBlock(CONFIG)
    x_BTC = torch.randn(3, 12, 8)
    strided_TBC, x_TBC = x_BTC.transpose(0, 1), x_BTC.transpose(0, 1).contiguous()
    assert torch.equal(block(strided_TBC), block(x_TBC))
    for (name, found), expected in zip(
        gradients(block, strided_TBC)[1].items(),
        gradients(block, x_TBC)[1].values(),
        strict=True,
    ):
        assert torch.equal(found, expected), name


def test_frozen_parameters_get_no_gradient_and_change_none() -> None:
    torch.manual_seed(0)
    block = MixerBlock(CONFIG)
    x_TBC = torch.randn(12, 3, 8)
    _, expected = gradients(block, x_TBC)
    block.zero_grad()
    block.token_mixing.requires_grad_(False)
    y_TBC = block(x_TBC)
    (y_TBC * torch.linspace(-1, 1, y_TBC.numel()).view_as(y_TBC)).sum().backward()
    assert block.token_mixing.up.weight.grad is None
    assert torch.equal(block.channel_mixing.up.weight.grad, expected["channel_mixing.up.weight"])


def test_where_the_halves_are_equal_the_second_gets_the_gradient() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0, 1.0, 5.0, 0.0]], requires_grad=True)
    FusedMaximum.apply(x).backward(torch.tensor([[1.0, 2.0, 4.0]]))
    assert x.grad.tolist() == [[0.0, 0.0, 4.0, 1.0, 2.0, 0.0]]


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")
def test_a_trace_autocast_and_other_types_take_pytorchs_operators() -> None:
    x = torch.randn(2, 2)
    assert runs_fused(x)
    assert runs_fused(x.double())
    assert not runs_fused(x.to("meta"))
    assert not runs_fused(x.bfloat16())
    assert not runs_fused(x[:0])
    assert runs_fused(x, num_products=4)
    assert not runs_fused(x, num_products=5)
    with torch.autocast("cpu", torch.bfloat16):
        assert not runs_fused(x)
    with Passive():
        assert not runs_fused(x)
    seen = []
    torch.jit.trace(lambda x: (seen.append(runs_fused(x)), x + 1)[1], x, check_trace=False)
    assert seen == [False]


def test_autocast_gives_the_types_it_gives_to_pytorchs_operators() -> None:
    block = MixerBlock(CONFIG)
    x_TBC = torch.randn(12, 3, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert block.token_mixing(x_TBC).dtype == torch.bfloat16
        y_TBC, found = gradients(block, x_TBC)
    exact_TBC, expected = gradients(block, x_TBC)
    torch.testing.assert_close(y_TBC, exact_TBC, rtol=0.1, atol=0.1)
    assert found.keys() == expected.keys()


def test_a_model_compiles_to_one_graph() -> None:
    torch.manual_seed(0)
    model = build_model(CONFIG)
    twin = copy.deepcopy(model)
    compiled = torch.compile(twin, backend="eager", fullgraph=True)
    feat_BTF = torch.randn(3, 12, 80)
    expected_BD, found_BD = model(feat_BTF).embedding_BD, compiled(feat_BTF).embedding_BD
    torch.testing.assert_close(found_BD, expected_BD, rtol=1e-4, atol=1e-4)


def test_products_are_counted_on_the_cpu_as_on_the_meta_device() -> None:
    class Reading(MLPMixerSpeaker):
        """A module that reads a value; tensors on the meta device have none."""

        def forward(self, feat_BTF: Tensor, *, with_stages: bool = False) -> Any:
            assert feat_BTF.sum().item() == 0
            return super().forward(feat_BTF, with_stages=with_stages)

    expected = count_macs(build_model(CONFIG), (2, 12, 80))
    assert count_macs(Reading(CONFIG), (2, 12, 80)) == expected > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_of_transposed_views_are_pytorchs(dtype: torch.dtype) -> None:
    x, weight, bias = (torch.randn(*shape, dtype=dtype) for shape in ((5, 3), (4, 3), (4,)))
    other = torch.randn(5, 4, dtype=dtype)
    expected = x @ weight.t() + bias
    for a in (x, x.t().contiguous().t()):
        for b in (weight, weight.t().contiguous().t()):
            torch.testing.assert_close(linear(a, b, bias), expected)
            torch.testing.assert_close(linear(a, b, bias, "relu"), expected.relu())
            torch.testing.assert_close(linear(a, b, bias, "tanh"), expected.tanh())
            torch.testing.assert_close(linear_plus(other, a, b, bias), other + expected)


@pytest.mark.parametrize(
    ("length", "fitting", "expected"),
    [(10, 20, 10), (10, 10, 10), (10, 9, 5), (10, 4, 4), (9, 4, 3), (3, 0.5, 1), (1, 0.1, 1)],
)
def test_chunks_fit_and_have_about_the_same_length(
    length: int, fitting: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    floats_each = 1000
    size = round(4 * floats_each * fitting / torch.get_num_threads()) + 4
    monkeypatch.setattr(products, "CHUNK_BYTES_PER_THREAD", size)
    assert chunk_length(length, floats_each) == expected


def test_sums_add_up_part_by_part() -> None:
    sums = GradientSums()
    for scale in (1.0, 2.0, 4.0):
        sums.add((torch.tensor([scale]), torch.full((2,), 10 * scale)))
    assert [part.tolist() for part in sums.parts] == [[7.0], [70.0, 70.0]]
