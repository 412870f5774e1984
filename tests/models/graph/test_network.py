"""The graphs of networks compute what `SpeakerModel.embed` computes."""

import pytest
import torch
from torch import nn

from models import LogMel
from models.base import window_indices
from models.graph.front_end import ConvLogMel
from models.graph.network import EmbeddingGraph, traced_windows
from models.graph.recurrent import OnnxLSTM, with_onnx_lstm
from tests.worlds.untrained_models import FAMILIES, untrained_model


@pytest.mark.parametrize("samples", [257, 400, 31_840, 50_001])
def test_the_front_end_is_the_same_to_rounding(samples: int) -> None:
    generator = torch.Generator().manual_seed(0)
    # Speech has quiet parts, where the offset of the logarithm counts.
    wave_BS = torch.randn(2, samples, generator=generator) * torch.linspace(0, 0.3, samples)
    torch.testing.assert_close(ConvLogMel(80)(wave_BS), LogMel(80)(wave_BS), rtol=0, atol=2e-3)


def test_windows_of_a_graph_are_those_of_embed() -> None:
    for window in (8, 41):
        for length in range(1, 400):
            traced = traced_windows(torch.empty(1, length, 1), window)
            assert torch.equal(traced, window_indices(length, window)), (length, window)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_graph_embeds_as_the_network(family: str) -> None:
    model = untrained_model(FAMILIES[family])
    generator = torch.Generator().manual_seed(0)
    feat_BTF = torch.randn(2, 107, 80, generator=generator)
    with torch.no_grad():
        got = EmbeddingGraph(model, None)(feat_BTF)
        torch.testing.assert_close(got, model.embed(feat_BTF), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("other", [{"num_layers": 2}, {"bidirectional": True},
                                   {"batch_first": True}, {"bias": False}, {"proj_size": 2}],
                         ids=str)  # fmt: skip
def test_another_kind_of_lstm_is_refused(other: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"one LSTM layer, in one direction .* LSTM\(4, 4"):
        with_onnx_lstm(nn.Sequential(nn.LSTM(4, 4, **other)))


def test_layers_are_replaced_in_a_copy() -> None:
    network = nn.Sequential(nn.Sequential(nn.LSTM(4, 4)))
    assert isinstance(with_onnx_lstm(network)[0][0], OnnxLSTM)
    assert isinstance(network[0][0], nn.LSTM)
