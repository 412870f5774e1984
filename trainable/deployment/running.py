"""Files of every form, loaded and run, and compared with the network that they were made of.

Shapes: B batch, S samples, T frames, F mel bins, D embedding.
"""

import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models import LogMel
from models.frontend import SAMPLE_RATE_HZ
from spaces.files.errors import ConfigError, ConversionError
from trainable.deployment.onnx_graph import example_input
from trainable.deployment.request import MIN_SAMPLES, Form, FormRequest

Embed = Callable[[Tensor], Tensor]
# (batch, seconds): one crop, parts of windows, several windows, and a single window.
COMPARED = ((1, 2.0), (3, 0.7), (2, 4.3), (1, MIN_SAMPLES / SAMPLE_RATE_HZ))
# A graph in float32 differs by rounding only; integers change embeddings, but not to others.
LOWEST_COSINE: dict[Form, float] = {
    "onnx": 0.9999,
    "torchscript": 0.9999,
    "onnx-int8": 0.8,
    "onnx-int8-static": 0.8,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxGraph:
    """A graph of ONNX Runtime on the CPU, loaded once.

    Attributes:
        run: Computes its only output of its only input.
        input_shape: Sizes of that input; a name for one that varies.
        output_shape: Sizes of that output.
        metadata: The entries of the file.
    """

    run: Embed
    input_shape: tuple[int | str, ...]
    output_shape: tuple[int | str, ...]
    metadata: Mapping[str, str]


def open_onnx(content: bytes | Path, num_threads: int | None = None) -> OnnxGraph:
    """Load a graph of ONNX.

    Args:
        content: The content of the file; its path where its weights are in files beside it.
        num_threads: Threads of an operator; None for one.

    Raises:
        ConfigError: ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError(
            "a graph of ONNX needs ONNX Runtime, which is missing: pip install veer[onnx]"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or 1
    options.inter_op_num_threads = 1
    source = content if isinstance(content, bytes) else str(content)
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    first_input, first_output = session.get_inputs()[0], session.get_outputs()[0]

    def run(x: Tensor) -> Tensor:
        [embedding_BD] = session.run(None, {first_input.name: x.numpy()})
        return torch.from_numpy(np.asarray(embedding_BD))

    return OnnxGraph(
        run=run,
        input_shape=tuple(first_input.shape),
        output_shape=tuple(first_output.shape),
        metadata=dict(session.get_modelmeta().custom_metadata_map),
    )


def onnx_runner(content: bytes, num_threads: int | None = None) -> Embed:
    """Return a function that runs a graph; see `open_onnx`."""
    return open_onnx(content, num_threads).run


def script_runner(content: bytes) -> Embed:
    """Return a function that runs a file of TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # by PyTorch, for no fault of the file
        script = torch.jit.load(io.BytesIO(content))  # type: ignore[no-untyped-call]

    def run(x: Tensor) -> Tensor:
        with torch.inference_mode():
            embedding_BD: Tensor = script(x)
        return embedding_BD

    return run


def network_runner(request: FormRequest) -> Embed:
    """Return a function that runs the network itself, for the same input as the form's."""
    model = request.loaded.model
    log_mel = LogMel(request.loaded.config.model.num_mels)

    @torch.inference_mode()
    def run(x: Tensor) -> Tensor:
        return model.embed(log_mel(x) if request.takes_waveform else x)

    return run


def compared(request: FormRequest, run: Embed) -> float:
    """Return the lowest cosine of a form's embeddings to the network's, over several shapes.

    Raises:
        ConversionError: The form cannot be run on a shape, or gives other embeddings.
    """
    reference = network_runner(request)
    lowest = 1.0
    for batch, seconds in COMPARED:
        x = example_input(request, batch=batch, seconds=seconds)
        try:
            got_BD = run(x)
        except Exception as error:
            raise ConversionError(
                f"{request.form} of {request.loaded.config.model.family} does not run on input of "
                f"shape {tuple(x.shape)}: {first_line(error)}"
            ) from error
        want_BD = reference(x)
        if got_BD.shape != want_BD.shape:
            raise ConversionError(
                f"{request.form} gives embeddings of shape {tuple(got_BD.shape)}, not "
                f"{tuple(want_BD.shape)}, for input of shape {tuple(x.shape)}"
            )
        # NaN stays NaN in a minimum of tensors, and is below no bound.
        cosine_B = torch.cosine_similarity(got_BD.double(), want_BD.double())
        cosine = float(cosine_B.min())
        if not cosine >= LOWEST_COSINE[request.form]:
            raise ConversionError(
                f"{request.form} gives other embeddings than the network: cosine {cosine:.4f} for "
                f"input of shape {tuple(x.shape)}, at least {LOWEST_COSINE[request.form]} is "
                "required"
            )
        lowest = min(lowest, cosine)
    return lowest


def first_line(error: BaseException) -> str:
    """Return the reason of an error: the first line of the error that caused all others."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
