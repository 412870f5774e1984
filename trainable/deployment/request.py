"""What is converted, to which form, and what is reported of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from models.frontend import N_FFT
from spaces.files.errors import ConfigError
from trainable.checkpoints.loading import LoadedModel

Form = Literal["onnx", "onnx-int8", "onnx-int8-static", "torchscript"]
GraphInput = Literal["waveform", "log_mel"]
FORMS: tuple[Form, ...] = get_args(Form)
SUFFIXES: dict[Form, str] = {
    "onnx": ".onnx",
    "onnx-int8": ".int8.onnx",
    "onnx-int8-static": ".int8-static.onnx",
    "torchscript": ".pt",
}
# Edges are reflected, so a shorter waveform has no front end.
MIN_SAMPLES = N_FFT // 2 + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRequest:
    """A conversion.

    Attributes:
        loaded: The model.
        form: The form.
        graph_input: What the graph takes: waveforms at 16 kHz, or log-mels.
        calibration: Audio files of the training, for `onnx-int8-static`; empty for other forms.
    """

    loaded: LoadedModel
    form: Form
    graph_input: GraphInput = "waveform"
    calibration: Sequence[Path] = ()

    def __post_init__(self) -> None:
        if self.form == "onnx-int8-static" and not self.calibration:
            raise ConfigError(
                "--form onnx-int8-static is calibrated on training audio, and the model's corpus "
                "is not known: give --corpus corpus.yaml, or take --form onnx-int8"
            )

    @property
    def takes_waveform(self) -> bool:
        """Whether the front end is inside."""
        return self.graph_input == "waveform"

    @property
    def file_suffix(self) -> str:
        """The end of the file's name."""
        return ("" if self.takes_waveform else f".{self.graph_input}") + SUFFIXES[self.form]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedModel:
    """A written file.

    Attributes:
        file: The file.
        num_bytes: Its size.
        cosine: The lowest cosine of its embeddings to the network's, on noise.
    """

    file: Path
    num_bytes: int
    cosine: float
