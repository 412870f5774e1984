"""The content of a run's page as plain data, collected from its journal."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results.analysis.faults import Tally, fault_tallies, utc
from results.analysis.remarks import run_remarks
from results.analysis.run_view import RunView
from results.page.charts import PageFigures, draw_figures
from results.page.page import render_page, write_page
from results.page.parts import (
    Command,
    SearchStart,
    Tile,
    best_tiles,
    faults_table,
    next_commands,
    search_facts,
    search_starts,
    search_state,
    space_text,
    unranked_table,
)
from results.page.sections import Auditor, Section, search_sections
from results.page.table import Facts, PageTable, flat_facts, results_table
from results.page.trials import trials_data
from results.records.benchmark_row import benchmark_columns
from results.tables.trials import trials_table
from results.terminal.facts import sampled_facts
from results.terminal.listing import trial_listing
from spaces.files.yaml_file import yaml_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything on the page, in its order.

    Attributes:
        name: Name of the run folder.
        written: Time at which the page was made, UTC.
        state: Whether the search runs, or how it ended.
        best: Numbers of the best trial; empty if no trial has a VEER.
        best_sampled: Sampled values of the best trial.
        commands: Useful next commands.
        trials: The trials table.
        trial_column: Index of the column with the trial's number.
        states: States of all trials by number.
        remarks: Remarks below the trials table.
        charts: The charts.
        sections: Further sections on the search.
        tallies: Numbers of faults by kind.
        faults: Faults, the oldest first.
        unranked: Failed and diverged trials.
        benchmark: Rows of the benchmark.
        hardware: Machine of the benchmark.
        starts: Provenance of each start of the search.
        search_facts: Parameters, sampler, corpus and teacher of the search.
        settings: Settings of the search as YAML.
        space: Text of space.yaml; None if there is none.
        data: Data that the page embeds for the details of all trials.
    """

    name: str
    written: str
    state: str
    best: tuple[Tile, ...]
    best_sampled: Facts
    commands: tuple[Command, ...]
    trials: PageTable
    trial_column: int
    states: Mapping[int, str]
    remarks: tuple[str, ...]
    charts: PageFigures
    sections: tuple[Section, ...]
    tallies: tuple[Tally, ...]
    faults: PageTable
    unranked: PageTable
    benchmark: PageTable
    hardware: Facts
    starts: tuple[SearchStart, ...]
    search_facts: Facts
    settings: str
    space: str | None
    data: Mapping[str, Any]


def write_report(view: RunView, out: Path | None = None, *, audit: Auditor | None = None) -> Path:
    """Write the page of a run atomically, and return its path.

    The page is a single file that loads nothing else.

    Args:
        view: The run, which may be running, killed or ended.
        out: Path of the page; by default report.html in the run folder.
        audit: Function that audits early stopping; without it that section is left out.

    Raises:
        RunError: The file cannot be written.
        DiskFullError: The disk is full.
    """
    out = out or view.folder.report
    page = render_page(make_report(view, audit))
    write_page(out, page)
    return out


def make_report(view: RunView, audit: Auditor | None = None) -> Report:
    """Collect the content of the page of a run.

    Args:
        view: The run.
        audit: Function that audits early stopping; without it that section is left out.
    """
    # Plotly takes a second to import, which other commands need not wait for.
    from results.figures import FIGURES

    trials, benchmark = view.histories, view.benchmark
    measured = [] if benchmark is None else benchmark.rows
    table = trials_table(view)
    rows = table.to_pylist()
    listing = trial_listing(table, view.teacher, run_remarks(view))
    best = rows[0] if rows and rows[0]["rank"] == 1 else None
    return Report(
        name=view.folder.path.absolute().name,
        written=utc(time.time()),
        state=search_state(view),
        best=tuple(best_tiles(view, rows)),
        best_sampled=() if best is None else flat_facts(sampled_facts(best)),
        commands=tuple(next_commands(view)),
        trials=results_table(listing.rows, listing.columns),
        trial_column=listing.columns.index("trial"),
        states={trial.trial: trial.state for trial in trials},
        remarks=tuple(listing.remarks),
        charts=draw_figures(FIGURES, view),
        sections=tuple(search_sections(view, audit)),
        tallies=tuple(fault_tallies(trials)),
        faults=faults_table(view),
        unranked=unranked_table(trials),
        benchmark=results_table(
            [row.as_dict() for row in measured], benchmark_columns(measured)
        ),
        hardware=flat_facts({} if benchmark is None else benchmark.hardware),
        starts=tuple(search_starts(view)),
        search_facts=search_facts(view),
        settings=yaml_text(view.settings) if view.settings else "",
        space=space_text(view.folder.space),
        data=trials_data(view.folder.path.absolute(), rows, trials),
    )
