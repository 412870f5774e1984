"""Graphs of ONNX with products in 8-bit integers, by ONNX Runtime's quantisation.

Dynamic: the weights are integers, and each product's input is scaled when it runs. Static: the
scales of all inputs are fixed from training audio, and convolutions are integers too. The front
end stays in float32: log-mels of quiet audio need its digits.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from models import LogMel
from models.frontend import SAMPLE_RATE_HZ
from trainable.audio.reading import load_wave
from trainable.deployment.onnx_graph import INPUTS
from trainable.deployment.request import FormRequest

DYNAMIC_OPERATORS = ["MatMul", "Gemm", "LSTM"]
STATIC_OPERATORS = ["MatMul", "Gemm", "Conv"]
# Utterances, spread over the list, and the seconds that each is cut to.
MAX_CALIBRATION = 64
CALIBRATION_S = 3.0
_FRONT_END = "front_end."


def dynamic_int8(model: Any) -> Any:
    """Return a graph whose products are 8-bit integers; the metadata stays.

    Args:
        model: An `onnx.ModelProto`, which is not changed.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with TemporaryDirectory() as folder, _quiet_root():
        before, after = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, before)
        quantize_dynamic(
            before,
            after,
            op_types_to_quantize=DYNAMIC_OPERATORS,
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=front_end_nodes(model),
        )
        return _with_metadata(onnx.load(after), model)


def static_int8(model: Any, request: FormRequest) -> Any:
    """Return a graph whose products and convolutions are 8-bit integers, scaled by training audio.

    Args:
        model: An `onnx.ModelProto`, which is not changed.
        request: Names the audio.

    Raises:
        AudioError: A file cannot be read.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory() as folder, _quiet_root():
        before, after = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        folded = Path(folder) / "folded.onnx"
        onnx.save(model, before)
        # Folds batch normalisations into convolutions, which an integer convolution prevents.
        quant_pre_process(before, folded, skip_symbolic_shape=True)
        quantize_static(
            folded,
            after,
            _Calibration(request),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=STATIC_OPERATORS,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=front_end_nodes(onnx.load(folded)),
        )
        return _with_metadata(onnx.load(after), model)


def front_end_nodes(model: Any) -> list[str]:
    """Return the names of the nodes that use a constant of the front end."""
    return [
        node.name
        for node in model.graph.node
        if any(name.startswith(_FRONT_END) for name in node.input)
    ]


def calibration_files(files: Sequence[Path]) -> list[Path]:
    """Return files that are evenly spread over a list, at most `MAX_CALIBRATION`."""
    count = min(len(files), MAX_CALIBRATION)
    return [files[number * len(files) // count] for number in range(count)]


class _Calibration:
    """The input of some training utterances, one after the other, as ONNX Runtime asks for it."""

    def __init__(self, request: FormRequest) -> None:
        self._name = INPUTS[request.graph_input]
        self._log_mel = LogMel(request.loaded.config.model.num_mels)
        self._takes_waveform = request.takes_waveform
        self._files = iter(calibration_files(request.calibration))

    def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
        """Return the next input by name; None after the last."""
        file = next(self._files, None)
        if file is None:
            return None
        wave_BS = torch.from_numpy(load_wave(file)[: int(CALIBRATION_S * SAMPLE_RATE_HZ)])[None]
        x = wave_BS if self._takes_waveform else self._log_mel(wave_BS)
        return {self._name: x.numpy()}

    def __iter__(self) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
        """Yield the inputs that are left."""
        while (found := self.get_next()) is not None:
            yield found

    def __next__(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the next input.

        Raises:
            StopIteration: There is none.
        """
        if (found := self.get_next()) is None:
            raise StopIteration
        return found


def _with_metadata(model: Any, of: Any) -> Any:
    import onnx

    onnx.helper.set_model_props(model, {each.key: each.value for each in of.metadata_props})
    onnx.checker.check_model(model)
    return model


@contextmanager
def _quiet_root() -> Iterator[None]:
    """Keep advice that is for other graphs off the screen; ONNX Runtime logs it to the root."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)
