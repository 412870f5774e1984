"""A comparison of searches in the terminal: a row a thing, a column a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from results.analysis.faults import counted
from results.compare.compare import TOO_FEW, Comparison, RunFacts
from results.compare.parts import Row
from results.tables.schema import PARAM_PREFIX
from results.terminal.cells import MISSING, NOTE_STYLE, STATE_LABELS, cell, in_words
from results.terminal.grid import GridColumn, grid
from results.terminal.trials import interval_text, repeats_text
from spaces.files.visible import visible

COST_WORDS = {
    "duration_s": "training and validation, h",
    "num_samples": "training crops",
    "core_hours": "core-hours",
    "gpu_hours": "GPU-hours",
}
HOURS = ("duration_s", "core_hours", "gpu_hours")
S_PER_H = 3600


def comparison_view(comparison: Comparison, width: int | None = None) -> RenderableType:
    """All of a comparison.

    Args:
        comparison: Of two or more runs.
        width: Characters of the screen; long values are wrapped to fit it.
    """
    runs = comparison.runs
    names = [run.name for run in runs]

    def table(rows: Sequence[Row]) -> RenderableType:
        return _table(names, rows, width)

    parts: list[RenderableType] = [
        Text(visible(warning), f"bold {NOTE_STYLE}") for warning in comparison.warnings
    ]
    parts += [Text(each, "dim") for each in comparison.same]
    parts += [_title("What they did and found"), table(_found_rows(runs))]
    parts += [Text(visible(line)) for line in _pairs(comparison)]
    best = [
        Row(name=row.name, values=tuple(cell("veer_pct", value) for value in row.values))
        for row in comparison.anytime
    ]
    parts += _section("Best VEER % after the same number of epochs", best, table)
    told = "Settings that differ", "The spaces differ in", "The best configs differ in"
    tables = comparison.settings, comparison.space, comparison.best_configs
    for title, rows in zip(told, tables, strict=True):
        parts += _section(title, rows, table)
    title = f"Importance: share of the VEER's variance (fANOVA, seed {comparison.importance_seed})"
    parts += _section(title, _importance_rows(runs), table)
    parts += [
        Text(visible(f"{run.name}: no importance, {TOO_FEW}"), "dim")
        for run in runs
        if run.importance is None
    ]
    parts += _section("Values in the best quarter of the trials", comparison.favoured, table)
    parts += [_title("Tried in one run only"), *(_only_here(run) for run in runs)]
    return Group(*parts)


def _pairs(comparison: Comparison) -> list[str]:
    """How far each best is behind the first run's, a line each, where it is known."""
    first, *others = (run.name for run in comparison.runs)
    lines = []
    for name, told in zip(others, comparison.bests_behind, strict=True):
        if told is None or told.low_pct is None or told.high_pct is None:
            continue
        tied = ": they cannot be told apart" if told.is_tied else ""
        lines.append(
            f"the best of {name}: VEER {told.behind_pct:+.2f} points from the best of {first} "
            f"(95 % interval {told.low_pct:+.2f} to {told.high_pct:+.2f}, on the same bootstrap "
            f"replicates){tied}"
        )
    return lines


def _title(text: str) -> Text:
    return Text(f"\n{text}", "bold")


def _section(title: str, rows: Sequence[Row], table: Any) -> list[RenderableType]:
    return [_title(title), table(rows)] if rows else []


def _table(names: Sequence[str], rows: Sequence[Row], width: int | None) -> RenderableType:
    columns = [
        GridColumn(
            name="", heading="", cells=[visible(row.name) for row in rows], wraps=True
        ),
        *(
            GridColumn(
                name=name,
                heading=visible(name),
                cells=[value_text(row.values[number]) for row in rows],
                wraps=True,
            )
            for number, name in enumerate(names)
        ),
    ]  # fmt: skip
    return grid(columns, width=width)


def value_text(value: Any) -> str:
    """A value of a row: a mapping as its pairs, a list as its items."""
    match value:
        case Mapping() if value:
            return visible(", ".join(f"{key} {value_text(each)}" for key, each in value.items()))
        case list() | tuple():
            return " ".join(value_text(each) for each in value)
        case bool() | None:
            return cell("", value)
        case int():
            return str(value)  # as in the file
        case Mapping():
            return MISSING
        case _:
            return cell("", value)


def _found_rows(runs: Sequence[RunFacts]) -> list[Row]:
    rows = [
        Row(
            name="search", values=tuple("not ended" if run.is_running else "ended" for run in runs)
        ),
        Row(name="trials", values=tuple(_trials(run) for run in runs)),
        Row(
            name="epochs, stopped trials counted in",
            values=_each(runs, lambda run: cell("", run.epochs)),
        ),
        Row(name="different configs", values=_each(runs, lambda run: cell("", run.num_configs))),
    ]
    for name, words in COST_WORDS.items():
        if any(name in run.costs for run in runs):
            rows.append(Row(name=words, values=tuple(_cost(run, name) for run in runs)))
    rows += [
        Row(name="teacher's VEER %", values=tuple(_teacher(run) for run in runs)),
        Row(name="best trial", values=_best(runs, lambda best: cell("trial", best["trial"]))),
        Row(name="its VEER % (95 %)", values=_best(runs, _veer)),
        Row(name="median of its last 5", values=_best(runs, _value("median_veer_pct"))),
        Row(name="repeats, mean ± sd (n)", values=_best(runs, repeats_text)),
        Row(name="parameters", values=_best(runs, _value("num_params"))),
        Row(name="speed / teacher", values=_best(runs, _value("speed_ratio"))),
    ]
    return [row for row in rows if set(row.values) != {MISSING}]


def _each(runs: Sequence[RunFacts], text: Any) -> tuple[str, ...]:
    return tuple(text(run) for run in runs)


def _best(runs: Sequence[RunFacts], text: Any) -> tuple[str, ...]:
    return tuple(MISSING if run.best is None else text(run.best) for run in runs)


def _value(name: str) -> Any:
    return lambda best: cell(name, best[name])


def _veer(best: Mapping[str, Any]) -> str:
    return f"{cell('veer_pct', best['veer_pct'])} {interval_text(dict(best))}".rstrip()


def _teacher(run: RunFacts) -> str:
    return MISSING if run.teacher is None else cell("veer_pct", run.teacher["veer_pct"])


def _trials(run: RunFacts) -> str:
    states = ", ".join(
        f"{count} {STATE_LABELS.get(state, state)}" for state, count in run.trials.items()
    )
    total = sum(run.trials.values())
    more = f"; {counted(run.follow_ups, 'follow-up')}" if run.follow_ups else ""
    return f"{total} ({states}){more}" if states else f"{total}{more}"


def _cost(run: RunFacts, name: str) -> str:
    value = run.costs.get(name)
    if value is None:
        return MISSING
    if isinstance(value, int) and name not in HOURS:
        return f"{value:,}"
    hours = value / S_PER_H if name == "duration_s" else value
    return f"{hours:,.2f}" if hours >= 1 or hours == 0 else f"{hours:.2g}"


def _importance_rows(runs: Sequence[RunFacts]) -> list[Row]:
    known = [run.importance or {} for run in runs]
    highest = {
        name: max(each[name][0] for each in known if name in each)
        for name in dict.fromkeys(name for each in known for name in each)
    }
    names = sorted(highest, key=lambda name: -highest[name])
    return [
        Row(name=name, values=tuple(_share(each.get(name)) for each in known)) for name in names
    ]


def _share(found: tuple[float, float] | None) -> str:
    return MISSING if found is None else f"{found[0]:.0%} ± {found[1]:.0%}"


def _only_here(run: RunFacts) -> Text:
    trials = "\n".join(
        f"  trial {found['trial']}, VEER {cell('veer_pct', found['veer_pct'])} %: "
        + in_words({key: value for key, value in found.items() if key.startswith(PARAM_PREFIX)})
        for found in run.only_here
    )
    what = "trials with a config that no other run tried" + (", the best:" if trials else "")
    return Text(visible(f"{run.name}: {run.num_only_here} {what}\n{trials}".rstrip(), keep="\n"))
