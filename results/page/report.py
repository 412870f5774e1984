"""What the page about a run says, put together from its journal, as plain data."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results.analysis.faults import Tally, fault_tallies, utc
from results.analysis.remarks import run_remarks
from results.export.benchmark import BENCHMARK_COLUMNS
from results.journal.run_folder import RunFolder
from results.page.charts import PageFigures, draw_figures
from results.page.page import render_page
from results.page.parts import (
    Command,
    Stage,
    Tile,
    best_tiles,
    fault_cells,
    next_commands,
    searched_facts,
    space_text,
    stages_of,
    state_of,
    unranked_cells,
)
from results.page.sections import Auditor, Section, search_sections
from results.page.table import Cells, Facts, cells_of, facts_of
from results.page.trials import trials_data
from results.terminal.facts import sampled_facts
from results.terminal.listing import trial_listing
from spaces.files.atomic import write_text_atomically
from spaces.files.errors import DiskFullError, RunError
from spaces.files.yaml_file import yaml_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything on the page, in its order.

    Attributes:
        name: The run folder's.
        written: When the page was made, UTC.
        state: How the search stands.
        best: The best trial, empty where none has a VEER.
        best_sampled: Its sampled values.
        commands: What the person may want to do next.
        trials: The trial table.
        trial_column: Which of its columns is the trial's number.
        states: Of every trial, by number.
        remarks: What is said below it.
        charts: Plotly's figures.
        sections: What else there is to say, each under a heading.
        tallies: Faults by kind.
        faults: A row a fault, oldest first.
        unranked: A row a failed or diverged trial.
        benchmark: Its rows.
        hardware: What it ran on.
        stages: Where each stretch of the search came from.
        searched: What was searched, with what.
        settings: The search's settings as YAML.
        space: The text of space.yaml, None where it is gone.
        data: What the page embeds for the details of every trial.
    """

    name: str
    written: str
    state: str
    best: tuple[Tile, ...]
    best_sampled: Facts
    commands: tuple[Command, ...]
    trials: Cells
    trial_column: int
    states: Mapping[int, str]
    remarks: tuple[str, ...]
    charts: PageFigures
    sections: tuple[Section, ...]
    tallies: tuple[Tally, ...]
    faults: Cells
    unranked: Cells
    benchmark: Cells
    hardware: Facts
    stages: tuple[Stage, ...]
    searched: Facts
    settings: str
    space: str | None
    data: Mapping[str, Any]


def write_report(
    run: RunFolder, out: Path | None = None, *, audit: Auditor | None = None
) -> Path:
    """Writes the page about a run in one step, and returns where.

    It stands by itself: it loads nothing.

    Args:
        run: The run's folder.
        out: The file; report.html in the folder unless given.
        audit: What audits early stopping; without it that section is left out.

    Raises:
        RunError: The journal is damaged, or the file cannot be written.
        DiskFullError: There is no room for it.
    """
    out = out or run.report
    page = render_page(make_report(run, audit))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(out, page)
    except DiskFullError:
        raise
    except OSError as error:
        raise RunError(f"{out}: cannot write the page: {error.strerror or error}") from error
    return out


def make_report(run: RunFolder, audit: Auditor | None = None) -> Report:
    """What the page says of a run, whether it goes on, was killed, or has ended.

    Args:
        run: The run's folder.
        audit: What audits early stopping; without it that section is left out.

    Raises:
        RunError: The journal is damaged.
    """
    # Plotly and pandas take a second to import, which other commands need not wait for.
    from results.figures import FIGURES
    from results.tables.run_view import RunView

    view = RunView.read(run)
    records, trials, settings = view.records, view.histories, view.settings
    teacher, benchmark = view.teacher, view.benchmark or {}
    rows = view.table.to_pylist()
    listing = trial_listing(view.table, teacher, run_remarks(records))
    best = rows[0] if rows and rows[0]["rank"] == 1 else None
    return Report(
        name=run.path.absolute().name,
        written=utc(time.time()),
        state=state_of(records),
        best=tuple(best_tiles(rows, trials, records)),
        best_sampled=() if best is None else facts_of(sampled_facts(best)),
        commands=tuple(next_commands(run, records, trials)),
        trials=cells_of(listing.rows, listing.columns),
        trial_column=listing.columns.index("trial"),
        states={trial.trial: trial.state for trial in trials},
        remarks=tuple(listing.remarks),
        charts=draw_figures(FIGURES, view),
        sections=tuple(search_sections(records, audit)),
        tallies=tuple(fault_tallies(trials)),
        faults=fault_cells(records),
        unranked=unranked_cells(trials),
        benchmark=cells_of(benchmark.get("rows", ()), BENCHMARK_COLUMNS),
        hardware=facts_of(benchmark.get("hardware", {})),
        stages=tuple(stages_of(records)),
        searched=searched_facts(records, settings, teacher),
        settings=yaml_text(settings) if settings else "",
        space=space_text(run.space),
        data=trials_data(run.path.absolute(), rows, trials),
    )
