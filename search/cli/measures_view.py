"""Tables of systems on one list, and of error rates by condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search.cli.console import table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from trainable.calibration.conditions import ConditionEER
    from trainable.calibration.measures import SystemMeasures
    from trainable.verification.intervals import Interval

MISSING = "-"


def measures_view(systems: Sequence[SystemMeasures]) -> RenderableType:
    """Return a table with a row a system; the columns of a calibration only where there is one."""
    priors, is_calibrated = list(systems[0].min_dcf), systems[0].cllr is not None
    headings = ["scores", "EER %", "(95 %)", "behind\nthe first", "(95 %)"]
    headings += [f"minDCF\np={prior:g}" for prior in priors]
    if is_calibrated:
        headings += [f"DCF\np={prior:g}" for prior in priors] + ["Cllr"]
    headings.append("min\nCllr")
    rows = []
    for each in systems:
        behind = each.behind
        row = [each.name, f"{each.eer_pct:.2f}", _in_words(each.interval)]
        row += [
            MISSING if behind is None else f"{behind.behind_pct:+.2f}",
            _in_words(None if behind is None else behind.interval, "+"),
        ]
        row += [f"{each.min_dcf[prior]:.4f}" for prior in priors]
        if is_calibrated:
            row += [f"{each.actual_dcf[prior]:.4f}" for prior in priors]
            row.append(f"{each.cllr:.4f}")
        rows.append([*row, f"{each.min_cllr:.4f}"])
    return table_of(headings, rows)


def conditions_view(conditions: Sequence[ConditionEER]) -> RenderableType:
    """Return a table with a row a condition."""
    rows = [
        (
            each.column,
            each.condition,
            f"{each.num_target:,}",
            f"{each.num_nontarget:,}",
            MISSING if each.eer_pct is None else f"{each.eer_pct:.2f}",
            _in_words(each.interval),
        )
        for each in conditions
    ]
    headings = ("by", "condition", "target\npairs", "non-target\npairs", "EER %", "(95 %)")
    return table_of(headings, rows, texts=(0, 1))


def _in_words(found: Interval | None, sign: str = "") -> str:
    if found is None:
        return MISSING
    return f"{found.low_pct:{sign}.2f} to {found.high_pct:{sign}.2f}"
