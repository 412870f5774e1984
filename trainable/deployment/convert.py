"""One model converted to one form: built, run, compared, and only then written."""

from pathlib import Path
from typing import Any

from models import CustomModelConfig
from spaces.files.atomic import write_bytes_atomically
from spaces.files.errors import ConversionError, VeerError
from trainable.deployment.int8 import dynamic_int8, static_int8
from trainable.deployment.metadata import file_metadata
from trainable.deployment.onnx_graph import onnx_model, require_onnx
from trainable.deployment.request import ConvertedModel, FormRequest
from trainable.deployment.running import compared, first_line, onnx_runner, script_runner
from trainable.deployment.torch_script import script_bytes


def convert_model(request: FormRequest, out: Path) -> ConvertedModel:
    """Write a model in a form.

    The file appears complete, after the form was run on input of several lengths and batch sizes
    and its embeddings were compared with the network's.

    Args:
        request: The model and the form.
        out: The file; replaced if it exists.

    Raises:
        ConversionError: The network cannot be converted, or the form gives other embeddings;
            there is no file then, or an earlier one stays.
        ConfigError: An extra is missing.
        DiskFullError: The disk is full.
    """
    content = form_bytes(request)
    run = script_runner(content) if request.form == "torchscript" else onnx_runner(content)
    cosine = compared(request, run)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_atomically(out, content)
    return ConvertedModel(file=out, num_bytes=len(content), cosine=cosine)


def form_bytes(request: FormRequest) -> bytes:
    """Return the content of the file of a form, not compared yet.

    Raises:
        ConversionError: The network cannot be converted.
        ConfigError: An extra is missing.
    """
    if request.form != "torchscript":
        require_onnx()
    try:
        if request.form == "torchscript":
            return script_bytes(request, file_metadata(request))
        content: bytes = _onnx(request).SerializeToString()
        return content
    except VeerError:
        raise
    # The exporter and the quantisation raise what they like.
    except Exception as error:
        raise ConversionError(_why(request, error)) from error


def _onnx(request: FormRequest) -> Any:
    model = onnx_model(request, file_metadata(request))
    if request.form == "onnx-int8":
        return dynamic_int8(model)
    return static_int8(model, request) if request.form == "onnx-int8-static" else model


def _why(request: FormRequest, error: Exception) -> str:
    family = request.loaded.config.model.family
    text = f"{family} cannot be converted to {request.form}: {first_line(error)}"
    if isinstance(request.loaded.config.model, CustomModelConfig):
        return (
            f"{text}; its encode() must be of PyTorch's own operators, decide nothing by the "
            "values of tensors, and take any batch (docs/deployment.md)"
        )
    others = "onnx" if request.form == "torchscript" else "torchscript"
    return f"{text}; try --form {others}, or use the weights (`veer export RUN`)"
