"""A network as TorchScript: for PyTorch's C++ library, and for Python without Veer."""

import io
import warnings
from collections.abc import Mapping

import torch

from models.graph.network import EmbeddingGraph
from trainable.deployment.onnx_graph import example_input
from trainable.deployment.request import FormRequest

_EXAMPLE_S = 3.0


def script_bytes(request: FormRequest, metadata: Mapping[str, str]) -> bytes:
    """Return the content of a file that `torch.jit.load` reads; metadata are files in it.

    Args:
        request: The model and its input.
        metadata: Text by name.
    """
    num_mels = request.loaded.config.model.num_mels
    graph = EmbeddingGraph(request.loaded.model, num_mels if request.takes_waveform else None)
    example = example_input(request, batch=2, seconds=_EXAMPLE_S)
    with warnings.catch_warnings(), torch.no_grad():
        # Of the trace, that shapes may be constants: several shapes are compared afterwards; and
        # that TorchScript will not be developed further.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            graph.eval(), (example,), check_trace=False
        )
        file = io.BytesIO()
        torch.jit.save(traced, file, _extra_files=dict(metadata))
    return file.getvalue()
