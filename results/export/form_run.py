"""Forms of the best trials of a run and of its teacher, measured and kept in the run folder."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from results.analysis.form_front import FORMS_FILE
from results.analysis.run_view import RunView
from results.export.benchmark import BenchmarkConfig
from results.export.form_measures import measured_forms, with_values
from results.export.forms import benchmark_forms, make_forms
from results.export.measured import measured_models
from results.records.benchmark_row import COMPILED_FORMS, BenchmarkRow, TimedForm
from spaces.files.atomic import write_text_atomically
from spaces.files.errors import ConfigError, CorpusError
from trainable.corpus.corpus import CorpusConfig, read_corpus
from trainable.cost.quiet_rounds import machine_load
from trainable.deployment.onnx_graph import require_onnx
from trainable.machine.hardware import describe_hardware


@dataclass(frozen=True, slots=True, kw_only=True)
class FormsMeasured:
    """What was measured of forms.

    Attributes:
        rows: A row for each setting and form.
        missing: A line for every form and value that is missing, with the reason.
        hardware: What they were measured on.
    """

    rows: list[BenchmarkRow]
    missing: list[str]
    hardware: dict[str, str]


def benchmark_run_forms(
    view: RunView,
    top_k: int,
    forms: Sequence[TimedForm],
    corpus: CorpusConfig | None,
    config: BenchmarkConfig | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> FormsMeasured:
    """Measure forms of the teacher and of the best ended trials; write forms.json.

    Args:
        view: The run.
        top_k: Number of trials, the best first; with several goals those of the front.
        forms: The forms beside the network itself. Without the extra those of ONNX are left out.
        corpus: The corpus of the run; None where none is recorded.
        config: Settings of the benchmark; the default ones if not given.
        progress: Called with (utterances embedded by all forms, utterances in total).

    Raises:
        RunError: No trial has ended with a VEER.
        CheckpointError: A checkpoint is missing or damaged.
    """
    hardware = describe_hardware() | {"load_at_start": machine_load()}
    missing: list[str] = []
    try:
        require_onnx()
    except ConfigError as error:
        if any(each not in COMPILED_FORMS for each in forms):
            missing.append(f"only PyTorch is measured: {error}")
        forms = [each for each in forms if each in COMPILED_FORMS]
    audio = _training_audio(corpus, missing) if "onnx-int8-static" in forms else []
    made, lines = make_forms(measured_models(view, top_k), forms, audio)
    rows = benchmark_forms(made, config or BenchmarkConfig())
    values, more = measured_forms(made, corpus, progress)
    measured = FormsMeasured(
        rows=with_values(rows, values), missing=[*missing, *lines, *more], hardware=hardware
    )
    _write(view.folder.path / FORMS_FILE, measured)
    return measured


def _training_audio(corpus: CorpusConfig | None, missing: list[str]) -> list[Path]:
    """Return the files of the training that a form is calibrated on; empty where it is unknown."""
    if corpus is None:
        return []
    try:
        return [corpus.train_dir / each.path for each in read_corpus(corpus).train]
    except CorpusError as error:
        missing.append(f"no training audio to calibrate on: {error}")
        return []


def _write(file: Path, measured: FormsMeasured) -> None:
    recorded = [row.recorded() for row in measured.rows]
    outcome = {"hardware": measured.hardware, "missing": measured.missing, "rows": recorded}
    write_text_atomically(file, json.dumps(outcome, indent=2) + "\n")
