"""Sections of a run's page on the search as a whole: audit of early stopping, cost."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from results.analysis.cost import SearchCost, TrialCost
from results.analysis.form_front import FormPoint, form_points, read_form_rows
from results.analysis.front import cost_of
from results.analysis.run_view import RunView, interval_of
from results.audit.findings import Audit, Correlation
from results.audit.verdict import verdict
from results.journal.goals import GOAL_NAMES, cost_goals
from results.page.table import Facts, PageTable, plain_table
from results.terminal.cells import MISSING, STATE_LABELS, cell
from results.terminal.front import COST_COLUMNS, front_remarks
from spaces.files.errors import RunError, VeerError

_RUNG_HEADINGS = (
    "rung, epochs",
    "reached",
    "stopped",
    "complete",
    "rank correlation with the end",
    "with controls",
)
Auditor = Callable[[RunView], Audit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of the page.

    Attributes:
        id: HTML id of the section; a fixed word, never text of a run.
        title: Heading of the section.
        lines: Paragraphs.
        facts: Pairs of name and value below the paragraphs.
        table: A table below the facts.
    """

    id: str
    title: str
    lines: tuple[str, ...] = ()
    facts: Facts = ()
    table: PageTable | None = None


def search_sections(view: RunView, audit: Auditor | None) -> Iterable[Section]:
    """Yield the sections on the search; none before its first epoch.

    Args:
        view: The run.
        audit: Function that audits early stopping; without it that section is left out.
    """
    if not any(trial.epochs for trial in view.histories):
        return
    if view.front:
        yield front_section(view)
    try:
        points = form_points(read_form_rows(view.folder.path))
    except RunError as error:  # the page is worth writing without it
        yield Section(id="forms", title="Forms of deployment", lines=(f"{error}.",))
    else:
        if points:
            yield forms_section(points)
    if audit is not None:
        yield audit_section(view, audit)
    yield cost_section(view.cost)


def front_section(view: RunView) -> Section:
    """Return the section with the front of a search with several goals."""
    rows = [
        (
            trial.trial,
            f"{trial.best_veer_pct:.2f}",
            MISSING if (ends := interval_of(trial)) is None else f"{ends[0]:.2f} to {ends[1]:.2f}",
            *(cell(COST_COLUMNS[goal], cost_of(trial, goal)) for goal in cost_goals(view.goals)),
            STATE_LABELS.get(trial.state, trial.state),
        )
        for trial in view.front
    ]
    costs = [GOAL_NAMES[goal] for goal in cost_goals(view.goals)]
    heads = ("trial", "VEER, %", "95 % interval", *costs, "state")
    lines = tuple(f"{each[:1].upper()}{each[1:]}." for each in front_remarks(view))
    return Section(id="front", title="The front", lines=lines, table=plain_table(heads, rows))


def forms_section(points: Sequence[FormPoint]) -> Section:
    """Return the section with the forms of deployment, at one utterance and one thread."""
    rows = [
        (
            each.row.model,
            each.row.form or "",
            f"{each.row.form_veer_pct:.2f}",
            MISSING if (ends := each.interval) is None else f"{ends[0]:.2f} to {ends[1]:.2f}",
            f"{each.row.latency_median_ms:.2f}",
            f"{each.row.file_mb:.2f}",
            "yes" if each.is_on_front else "",
        )
        for each in points
    ]
    heads = ("model", "form", "VEER, %", "95 % interval", "latency, ms", "MB", "on the front")
    line = (
        "One utterance of 2 s on one thread. On the front are the forms that no other form of a "
        "student beats in VEER, latency and size."
    )
    return Section(
        id="forms", title="Forms of deployment", lines=(line,), table=plain_table(heads, rows)
    )


def audit_section(view: RunView, audit: Auditor) -> Section:
    """Return the section with the verdict on early stopping, or why there is none."""
    rows: list[tuple[object, ...]] = []
    try:
        found = audit(view)
    except (VeerError, ValueError) as error:  # from settings of a damaged journal
        lines = [f"This is unknown: {error}"]
    else:
        lines = [f"{each[:1].upper()}{each[1:]}." for each in verdict(found)]
        for rung in found.rungs:
            counts = (rung.epoch, rung.num_reached, rung.num_stopped, rung.complete.num)
            rows.append((*counts, _spearman(rung.complete), _spearman(rung.with_controls)))
    return Section(
        id="audit",
        title="Was early stopping right?",
        lines=tuple(lines),
        table=plain_table(_RUNG_HEADINGS, rows) if rows else None,
    )


def cost_section(cost: SearchCost) -> Section:
    """Return the section on the cost of the search, and on what early stopping saved."""
    lines = [f"{cost.wall_h:,.2f} hours from start to end, without pauses."]
    if cost.saved_epochs:
        hours = cost.saved_core_hours
        in_hours = "" if hours is None else f", about {hours:,.2f} core-hours"
        lines.append(f"Early stopping saved {cost.saved_epochs:,} epochs{in_hours}.")
    parts = {"all trials": cost.total, "stopped early": cost.stopped, "failed": cost.failed}
    rows = [
        (name, *_cost_texts(part))
        for name, part in parts.items()
        if part.num_epochs or name == "all trials"
    ]
    heads = ("", "epochs", "training crops", "core-hours", "GPU-hours")
    return Section(id="cost", title="Cost", lines=tuple(lines), table=plain_table(heads, rows))


def _cost_texts(cost: TrialCost) -> list[str]:
    hours = (cost.core_hours, cost.gpu_hours)
    samples = MISSING if cost.num_samples is None else f"{cost.num_samples:,}"
    hour_texts = [MISSING if each is None else f"{each:,.2f}" for each in hours]
    return [f"{cost.num_epochs:,}", samples, *hour_texts]


def _spearman(found: Correlation | None) -> str:
    return MISSING if found is None or found.spearman is None else f"{found.spearman:.2f}"
