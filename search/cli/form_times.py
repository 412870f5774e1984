"""`veer benchmark --forms`: networks and their ONNX forms, timed beside each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from search.cli.console import console

if TYPE_CHECKING:
    from results.analysis.run_view import RunView
    from results.export.benchmark import BenchmarkConfig

FILE = "forms.json"


def print_forms(view: RunView, top: int, config: BenchmarkConfig) -> None:
    """Time the forms of the best trials and of the teacher, print the table and write the file.

    Where the extra is missing, only the networks are timed, and a line says so.
    """
    from results.export.forms import TIMED_FORMS, benchmark_forms, make_forms
    from results.export.measured import measured_models
    from results.records.benchmark_row import benchmark_columns
    from results.terminal.cells import benchmark_view
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
    with console.status("converting and timing"):
        made, lines = make_forms(measured_models(view, top), forms)
        rows = benchmark_forms(made, config)
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    outcome = {"hardware": hardware, "rows": [row.recorded() for row in rows]}
    write_text_atomically(view.folder.path / FILE, json.dumps(outcome, indent=2) + "\n")
    shown = [row.as_dict() for row in rows]
    console.print(benchmark_view(shown, benchmark_columns(rows), console.width))
    console.print(f"on {', '.join(f'{k} {v}' for k, v in hardware.items())}", highlight=False)
