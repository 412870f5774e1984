"""The stand-in for LSTMs has their shapes, parameters and cost."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models import LSTMAutoencoderConfig, build_model
from trainable.cost.macs import ParallelLSTM, with_parallel_lstms

KINDS = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"batch_first": True},
    {"bias": False},
]
FRAMES, BATCH = 9, 3


def num_flops(model: nn.Module, x: torch.Tensor) -> int:
    counter = FlopCounterMode(display=False)
    with counter:
        model(x)
    return int(counter.get_total_flops())


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_shapes_and_work_are_those_of_the_lstm(kind: dict[str, bool | int]) -> None:
    lstm = nn.LSTM(5, 7, device="meta", **kind)
    stand_in = ParallelLSTM(lstm)
    x = torch.empty(FRAMES, BATCH, 5, device="meta")
    out, (h, c) = lstm(x)
    own_out, (own_h, own_c) = stand_in(x)
    assert (own_out.shape, own_h.shape, own_c.shape) == (out.shape, h.shape, c.shape)
    # The LSTM taken apart frame by frame is the second source.
    assert num_flops(stand_in, x) == num_flops(lstm, x)


def test_what_is_kept_for_the_backward_pass_is_about_what_the_frames_keep() -> None:
    def saved_bytes(model: nn.Module) -> int:
        storages: dict[int, torch.UntypedStorage] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            storages[storage._cdata] = storage
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            out = model(torch.empty(50, 4, 16, device="meta"))
        assert out[0].shape == (50, 4, 32)
        return sum(storage.nbytes() for storage in storages.values())

    lstm = nn.LSTM(16, 32, device="meta")
    assert saved_bytes(ParallelLSTM(lstm)) == pytest.approx(saved_bytes(lstm), rel=0.15)


def test_every_lstm_of_a_model_is_replaced_and_no_parameter_changes() -> None:
    model = build_model(LSTMAutoencoderConfig(hidden_dim=8, num_layers=3)).to("meta")
    before = [id(parameter) for parameter in model.parameters()]
    assert with_parallel_lstms(model) is model
    assert sum(isinstance(module, ParallelLSTM) for module in model.modules()) == 3
    assert [id(parameter) for parameter in model.parameters()] == before
    again = with_parallel_lstms(model)
    assert sum(isinstance(module, ParallelLSTM) for module in again.modules()) == 3


def test_an_lstm_that_projects_its_state_is_left_alone() -> None:
    lstm = nn.LSTM(5, 8, proj_size=4)
    assert with_parallel_lstms(lstm) is lstm
    assert isinstance(with_parallel_lstms(nn.LSTM(5, 8)), ParallelLSTM)
