"""Sections of a run's page about the search itself: what it cost, whether it stopped rightly."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from results.analysis.cost import TrialCost, search_cost
from results.audit.findings import Audit, Correlation
from results.audit.verdict import verdict
from results.journal.journal import Record
from results.page.table import Cells, Facts, plain_cells
from results.terminal.cells import MISSING
from spaces.files.errors import VeerError

RUNG_HEADS = (
    "rung, epochs",
    "reached",
    "stopped",
    "complete",
    "rank correlation with the end",
    "with controls",
)
Auditor = Callable[[Sequence[Record]], Audit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Something to say under a heading.

    Attributes:
        id: Of the section on the page, a word of ours.
        title: The heading.
        lines: Paragraphs.
        facts: Pairs below them.
        cells: A table below those.
    """

    id: str
    title: str
    lines: tuple[str, ...] = ()
    facts: Facts = ()
    cells: Cells | None = None


def search_sections(records: Sequence[Record], audit: Auditor | None) -> Iterable[Section]:
    """What there is to say of the search; nothing before its first epoch.

    Args:
        records: The journal's.
        audit: What audits early stopping; without it that section is left out.
    """
    if not any(record["event"] == "epoch" for record in records):
        return
    if audit is not None:
        yield audit_section(records, audit)
    yield cost_section(records)


def audit_section(records: Sequence[Record], audit: Auditor) -> Section:
    """Whether early stopping was right; where that cannot be said, why."""
    rows: list[tuple[object, ...]] = []
    try:
        found = audit(records)
    except (VeerError, ValueError) as error:  # a damaged journal's settings
        lines = [f"This cannot be said: {error}"]
    else:
        lines = [f"{each[:1].upper()}{each[1:]}." for each in verdict(found)]
        for rung in found.rungs:
            counts = (rung.epoch, rung.num_reached, rung.num_stopped, rung.complete.num)
            rows.append((*counts, _spearman(rung.complete), _spearman(rung.with_controls)))
    return Section(
        id="audit",
        title="Was early stopping right?",
        lines=tuple(lines),
        cells=plain_cells(RUNG_HEADS, rows) if rows else None,
    )


def cost_section(records: Sequence[Record]) -> Section:
    """What the search took, and what it was spared."""
    cost = search_cost(records)
    lines = [f"{cost.wall_h:,.2f} hours from start to end, pauses left out."]
    if cost.saved_epochs:
        hours = cost.saved_core_hours
        told = "" if hours is None else f", about {hours:,.2f} core-hours"
        lines.append(f"Early stopping saved {cost.saved_epochs:,} epochs{told}.")
    parts = {"all trials": cost.total, "stopped early": cost.stopped, "failed": cost.failed}
    rows = [
        (name, *_figures(part))
        for name, part in parts.items()
        if part.num_epochs or name == "all trials"
    ]
    heads = ("", "epochs", "training crops", "core-hours", "GPU-hours")
    return Section(id="cost", title="Cost", lines=tuple(lines), cells=plain_cells(heads, rows))


def _figures(cost: TrialCost) -> list[str]:
    hours = (cost.core_hours, cost.gpu_hours)
    samples = MISSING if cost.num_samples is None else f"{cost.num_samples:,}"
    told = [MISSING if each is None else f"{each:,.2f}" for each in hours]
    return [f"{cost.num_epochs:,}", samples, *told]


def _spearman(found: Correlation | None) -> str:
    return MISSING if found is None or found.spearman is None else f"{found.spearman:.2f}"
