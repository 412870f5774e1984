"""What the page about a run says, put together from its journal, as plain data."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results.benchmark import BENCHMARK_COLUMNS
from results.curves import Chart, curve_points, learning_curves
from results.faults import Tally, fault_tallies, utc
from results.history import TrialHistory, latest, ranked, trial_histories
from results.page import render_page
from results.page_table import Cells, Facts, cells_of, facts_of
from results.remarks import latest_settings, run_remarks, success_criteria
from results.render import trial_listing
from results.report_parts import (
    Command,
    Stage,
    best_facts,
    fault_cells,
    next_commands,
    searched_facts,
    space_text,
    stages_of,
    state_of,
    unranked_cells,
)
from results.run_folder import RunFolder
from results.trials import trials_table
from spaces.atomic import write_text_atomically
from spaces.errors import DiskFullError
from spaces.yaml_file import yaml_text
from trainable.errors import RunError

VEER_DECIMALS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything on the page, in its order.

    Attributes:
        name: The run folder's.
        written: When the page was made, UTC.
        state: How the search stands.
        best: The best trial, empty where none has a VEER.
        commands: What the person may want to do next.
        chart: Learning curves, None without a VEER.
        trials: The trial table.
        remarks: What is said below it.
        tallies: Faults by kind.
        faults: A row a fault, oldest first.
        unranked: A row a failed or diverged trial.
        benchmark: Its rows.
        hardware: What it ran on.
        searched: What was searched, with what.
        settings: The search's settings as YAML.
        space: The text of space.yaml, None where it is gone.
        stages: Where each stretch of the search came from.
        data: What the page embeds for programs: VEER by epoch of every trial.
    """

    name: str
    written: str
    state: str
    best: Facts
    commands: tuple[Command, ...]
    chart: Chart | None
    trials: Cells
    remarks: tuple[str, ...]
    tallies: tuple[Tally, ...]
    faults: Cells
    unranked: Cells
    benchmark: Cells
    hardware: Facts
    searched: Facts
    settings: str
    space: str | None
    stages: tuple[Stage, ...]
    data: Mapping[str, Any]


def write_report(run: RunFolder, out: Path | None = None) -> Path:
    """Writes the page about a run in one step, and returns where: report.html in its folder.

    It stands by itself: it loads nothing, and runs no script.

    Raises:
        RunError: The journal is damaged, or the file cannot be written.
        DiskFullError: There is no room for it.
    """
    out = out or run.report
    page = render_page(make_report(run))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(out, page)
    except DiskFullError:
        raise
    except OSError as error:
        raise RunError(f"{out}: cannot write the page: {error.strerror or error}") from error
    return out


def make_report(run: RunFolder) -> Report:
    """What the page says of a run, whether it goes on, was killed, or has ended.

    Raises:
        RunError: The journal is damaged.
    """
    records = run.read()
    trials, settings = trial_histories(records), latest_settings(records)
    teacher, benchmark = latest(records, "teacher"), latest(records, "benchmark") or {}
    listing = trial_listing(trials_table(records), teacher, run_remarks(records))
    best = next(iter(ranked(trials)), None)
    teacher_pct = None if teacher is None else teacher["veer_pct"]
    return Report(
        name=run.path.absolute().name,
        written=utc(time.time()),
        state=state_of(records),
        best=best_facts(best, teacher_pct, success_criteria(records)),
        commands=tuple(next_commands(run, records, trials)),
        chart=learning_curves(trials, settings, teacher_pct),
        trials=cells_of(listing.rows, listing.columns),
        remarks=tuple(listing.remarks),
        tallies=tuple(fault_tallies(trials)),
        faults=fault_cells(records),
        unranked=unranked_cells(trials),
        benchmark=cells_of(benchmark.get("rows", ()), BENCHMARK_COLUMNS),
        hardware=facts_of(benchmark.get("hardware", {})),
        searched=searched_facts(records, settings, teacher),
        settings=yaml_text(settings) if settings else "",
        space=space_text(run.space),
        stages=tuple(stages_of(records)),
        data={"curves": [_curve_data(trial) for trial in trials]},
    )


def _curve_data(trial: TrialHistory) -> dict[str, Any]:
    points = curve_points(trial)
    return {
        "trial": trial.trial,
        "state": trial.state,
        "epochs": [epoch for epoch, _ in points],
        "veer_pct": [round(veer, VEER_DECIMALS) for _, veer in points],
    }
