"""A network as a graph of ONNX, by PyTorch's current exporter.

ONNX and its runtime are an extra, imported only where a function needs them.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from models import LogMel
from models.frontend import SAMPLE_RATE_HZ
from models.graph.network import EmbeddingGraph
from models.graph.recurrent import OPSET, with_onnx_lstm
from spaces.files.errors import ConfigError
from trainable.deployment.request import MIN_SAMPLES, FormRequest

OUTPUT = "embedding"
# Names of the input by what it is.
INPUTS = {"waveform": "waveform", "log_mel": "log_mels"}
_EXAMPLE_S = 3.0


def require_onnx() -> None:
    """Refuse where the extra is not installed.

    Raises:
        ConfigError: It is not.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"a form of ONNX needs an extra ({error.name} is missing): pip install veer[onnx]"
        ) from None


def onnx_model(request: FormRequest, metadata: dict[str, str]) -> Any:
    """Return the graph as an `onnx.ModelProto`, checked by ONNX's own checker.

    Args:
        request: The model and its input.
        metadata: Entries of the file.
    """
    import onnx

    network = with_onnx_lstm(request.loaded.model)
    num_mels = request.loaded.config.model.num_mels
    graph = EmbeddingGraph(network, num_mels if request.takes_waveform else None)  # type: ignore[arg-type]
    name = INPUTS[request.graph_input]
    # 0 and 1 are special lengths to the exporter.
    length = torch.export.Dim("length", min=MIN_SAMPLES if request.takes_waveform else 2)
    with _quiet():
        program = torch.onnx.export(
            graph.eval(),
            (example_input(request, batch=2, seconds=_EXAMPLE_S),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[name],
            output_names=[OUTPUT],
            dynamic_shapes={"x": {0: torch.export.Dim("batch"), 1: length}},
            verbose=False,
        )
    assert program is not None  # noqa: S101 - it is None only where a file is given
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # paths of this machine's files
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def example_input(request: FormRequest, *, batch: int, seconds: float) -> torch.Tensor:
    """Return noise of the input's shape, of about that length; the same at every call."""
    generator = torch.Generator().manual_seed(batch)
    wave_BS = 0.1 * torch.randn(batch, int(SAMPLE_RATE_HZ * seconds), generator=generator)
    if request.takes_waveform:
        return wave_BS
    return LogMel(request.loaded.config.model.num_mels)(wave_BS)  # type: ignore[no-any-return]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks on packages that are not installed off the screen."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
