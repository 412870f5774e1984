"""`veer convert`, and the part of `veer export` that it shares: a model as a file of one form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from search.cli.console import console
from search.cli.options import AllowCodeOption, permit

if TYPE_CHECKING:
    from search.review.model_source import ModelSource
    from trainable.deployment.request import FormRequest

# The names of `trainable.deployment.request`, which loads PyTorch.
FormName = Literal["onnx", "onnx-int8", "onnx-int8-static", "torchscript"]
InputName = Literal["waveform", "log_mel"]
FormOption = Annotated[
    FormName | None,
    typer.Option(
        "--form",
        help="Write one file that runs without Veer, in this form, onnx for phones too: "
        "docs/deployment.md.",
        show_default=False,
    ),
]
GraphInputOption = Annotated[
    InputName,
    typer.Option(
        "--input",
        help="With --form: what the file takes, waveforms at 16 kHz (the front end is inside) or "
        "log-mels.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormPlace:
    """Which model is converted, and where to.

    Attributes:
        trial: Number of a trial; None for the best of a search, or where there is no search.
        out: The file; None for a name beside the model.
        corpus: corpus.yaml with audio to calibrate on; None for the model's own.
    """

    trial: int | None = None
    out: Path | None = None
    corpus: Path | None = None


def convert_to_form(
    model: Annotated[
        Path,
        typer.Argument(
            help="A model file, a training run's folder (its best epoch), or a search's run "
            "folder (its best trial)."
        ),
    ],
    form: Annotated[
        FormName,
        typer.Option("--form", help="The form, onnx for phones too: docs/deployment.md."),
    ],
    graph_input: GraphInputOption = "waveform",
    trial: Annotated[
        int | None,
        typer.Option(min=0, help="Number of a trial of the search.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="a name beside the model")
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(
            help="corpus.yaml with the training audio to calibrate onnx-int8-static on.",
            show_default="the corpus that the model was trained on",
        ),
    ] = None,
    code: AllowCodeOption = False,
) -> None:
    """Write a model as one file that runs without Veer: ONNX, ONNX in 8 bits, TorchScript.

    The file takes any number of waveforms of any length at 16 kHz, or log-mels, and gives
    embeddings. It is written only after it was run and compared with the model.
    """
    permit(code)
    write_form(model, form, graph_input, FormPlace(trial=trial, out=out, corpus=corpus))


def write_form(model: Path, form: FormName, graph_input: InputName, place: FormPlace) -> None:
    """Convert a model and print what was written.

    Raises:
        ConversionError: The network cannot be converted.
        ConfigError: The audio to calibrate on is not known, or an extra is missing.
    """
    from search.review.model_source import find_model
    from trainable.deployment.convert import convert_model
    from trainable.deployment.request import FormRequest

    source = find_model(model, place.trial)
    request = FormRequest(
        loaded=source.loaded,
        form=form,
        graph_input=graph_input,
        calibration=_calibration(source, place.corpus) if form == "onnx-int8-static" else (),
    )
    with console.status(f"converting to {form}"):
        made = convert_model(request, place.out or _default_file(model, source, request))
    console.print(
        f"{made.file}: {made.num_bytes / 1e6:.2f} MB; on noise of several lengths and batch sizes "
        f"its embeddings have a cosine of at least {made.cosine:.5f} to the model's",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _default_file(model: Path, source: ModelSource, request: FormRequest) -> Path:
    if model.is_file():
        return model.with_name(model.stem + request.file_suffix)
    if source.loaded.file.suffix == ".safetensors":  # an exported folder
        return source.loaded.file.with_name(f"model{request.file_suffix}")
    name = "model" if source.trial is None else f"trial-{source.trial:04d}"
    return model / "export" / f"{name}{request.file_suffix}"


def _calibration(source: ModelSource, corpus: Path | None) -> list[Path]:
    """Return the training audio of a corpus; empty where none is recorded."""
    from trainable.corpus.corpus import read_corpus, read_corpus_config

    config = source.corpus() if corpus is None else read_corpus_config(corpus)
    if config is None:
        return []
    return [config.train_dir / each.path for each in read_corpus(config).train]
