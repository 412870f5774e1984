"""`veer benchmark --forms`: networks and their ONNX forms, timed beside each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from search.cli.console import console, progress_bar

if TYPE_CHECKING:
    from results.analysis.run_view import RunView
    from results.export.benchmark import BenchmarkConfig
    from results.records.benchmark_row import BenchmarkRow
    from trainable.corpus.corpus import CorpusConfig
    from trainable.deployment.request import Form


def print_forms(view: RunView, top: int, config: BenchmarkConfig) -> None:
    """Measure the forms of the best trials and of the teacher, print the table, write the file.

    Where the extra is missing, only the networks are timed, and a line says so.
    """
    from results.analysis.form_front import FORMS_FILE, form_points, front_lines
    from results.export.form_measures import measured_forms, with_values
    from results.export.forms import TIMED_FORMS, benchmark_forms, make_forms
    from results.export.measured import measured_models
    from results.records.benchmark_row import benchmark_columns
    from results.terminal.cells import benchmark_view
    from search.review.model_source import corpus_of_search
    from spaces.files.atomic import write_text_atomically
    from spaces.files.errors import ConfigError
    from trainable.cost.quiet_rounds import machine_load
    from trainable.deployment.onnx_graph import require_onnx
    from trainable.machine.hardware import describe_hardware

    hardware = describe_hardware() | {"load_at_start": machine_load()}
    forms = TIMED_FORMS
    try:
        require_onnx()
    except ConfigError as error:
        forms = ()
        console.print(f"only PyTorch is measured: {error}", highlight=False, soft_wrap=True)
    corpus = corpus_of_search(view)
    with console.status("converting and timing"):
        made, lines = make_forms(measured_models(view, top), forms, _training_audio(corpus, forms))
        rows = benchmark_forms(made, config)
    with progress_bar("utterances of all forms") as progress:
        values, missing = measured_forms(made, corpus, progress)
    rows = with_values(rows, values)
    for line in [*lines, *missing]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    recorded = [row.recorded() for row in rows]
    outcome = {"hardware": hardware, "missing": [*lines, *missing], "rows": recorded}
    write_text_atomically(view.folder.path / FORMS_FILE, json.dumps(outcome, indent=2) + "\n")
    shown = [row.as_dict() for row in rows]
    console.print(benchmark_view(shown, benchmark_columns(rows), console.width))
    for line in [*_why_missing(rows), *front_lines(form_points(rows))]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"on {', '.join(f'{k} {v}' for k, v in hardware.items())}", highlight=False)


def _why_missing(rows: Sequence[BenchmarkRow]) -> list[str]:
    """Return a line on each kind of value that some row lacks by its nature."""
    lines = []
    if any(row.load_ms is None for row in rows):
        lines.append("torch has no load time and no cosine: it is in memory, and compared with")
    if all(row.teacher_form is None for row in rows):
        lines.append("no speed / teacher: there is no teacher that is a network of Veer's")
    elif any(row.speed_ratio is None for row in rows):
        lines.append("a speed / teacher is missing where the machine was too busy for one")
    return lines


def _training_audio(corpus: CorpusConfig | None, forms: tuple[Form, ...]) -> list[Path]:
    """Return the files of the training that a form is calibrated on; empty where it is unknown."""
    from spaces.files.errors import CorpusError
    from trainable.corpus.corpus import read_corpus

    if corpus is None or not forms:
        return []
    try:
        return [corpus.train_dir / each.path for each in read_corpus(corpus).train]
    except CorpusError as error:
        line = f"no training audio to calibrate on: {error}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
        return []
