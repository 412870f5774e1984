"""A comparison of searches for the terminal: tables with one column per run."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from results.analysis.faults import counted
from results.compare.compare import WHY_NO_IMPORTANCE, Comparison, RunFacts
from results.compare.parts import ComparisonRow
from results.tables.schema import PARAM_PREFIX
from results.terminal.cells import MISSING, NOTE_STYLE, STATE_LABELS, cell, in_words
from results.terminal.grid import GridColumn, grid_or_blocks
from results.terminal.trials import interval_text, repeats_text
from spaces.files.visible import visible

_COST_NAMES = {
    "duration_s": "training and validation, h",
    "num_samples": "training crops",
    "core_hours": "core-hours",
    "gpu_hours": "GPU-hours",
}
_COLUMNS_IN_HOURS = ("duration_s", "core_hours", "gpu_hours")
_S_PER_H = 3600


def comparison_view(comparison: Comparison, width: int | None = None) -> RenderableType:
    """Return all parts of a comparison, for printing with rich.

    Args:
        comparison: The comparison of two or more runs.
        width: Width of the screen in characters; longer values are wrapped.
    """
    runs = comparison.runs
    names = [run.name for run in runs]

    def table(rows: Sequence[ComparisonRow]) -> RenderableType:
        return _table(names, rows, width)

    parts: list[RenderableType] = [
        Text(visible(warning), f"bold {NOTE_STYLE}") for warning in comparison.warnings
    ]
    parts += [Text(each, "dim") for each in comparison.same]
    parts += [_title("Costs and results"), table(_found_rows(runs))]
    parts += [Text(visible(line)) for line in _bests_behind(comparison)]
    best = [
        ComparisonRow(name=row.name, values=tuple(cell("veer_pct", value) for value in row.values))
        for row in comparison.anytime
    ]
    parts += _section("Best VEER % after the same number of epochs", best, table)
    differences = {
        "Differences between the settings": comparison.settings,
        "Differences between the spaces": comparison.space,
        "Differences between the configs of the best trials": comparison.best_configs,
    }
    for title, rows in differences.items():
        parts += _section(title, rows, table)
    seed = comparison.importance_seed
    title = f"Importance: share of the variance of the VEER (fANOVA, seed {seed})"
    parts += _section(title, _importance_rows(runs), table)
    parts += [
        Text(visible(f"{run.name}: no importance: {WHY_NO_IMPORTANCE}"), "dim")
        for run in runs
        if run.importance is None
    ]
    title = "How often each value is in the best quarter of the trials"
    parts += _section(title, comparison.favoured, table)
    parts += [
        _title("Configs that only one run tried"),
        *(_trials_of_one_run(run) for run in runs),
    ]
    return Group(*parts)


def _bests_behind(comparison: Comparison) -> list[str]:
    """Return one line per run with the difference between its best and the first run's best."""
    first, *others = (run.name for run in comparison.runs)
    lines = []
    for name, behind in zip(others, comparison.bests_behind, strict=True):
        if behind is None or behind.low_pct is None or behind.high_pct is None:
            continue
        tied = "; the difference may be due to chance" if behind.is_tied else ""
        lines.append(
            f"the best of {name}: VEER {behind.behind_pct:+.2f} points from the best of {first} "
            f"(95 % interval {behind.low_pct:+.2f} to {behind.high_pct:+.2f}, on the same "
            f"bootstrap replicates){tied}"
        )
    return lines


def _title(text: str) -> Text:
    return Text(f"\n{text}", "bold")


def _section(title: str, rows: Sequence[ComparisonRow], table: Any) -> list[RenderableType]:
    return [_title(title), table(rows)] if rows else []


def _table(
    names: Sequence[str], rows: Sequence[ComparisonRow], width: int | None
) -> RenderableType:
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
    return grid_or_blocks(columns, width=width)


def value_text(value: Any) -> str:
    """Return a value of a row as text: a mapping as its pairs, a list as its items."""
    match value:
        case Mapping() if value:
            return visible(", ".join(f"{key} {value_text(each)}" for key, each in value.items()))
        case list() | tuple():
            return " ".join(value_text(each) for each in value)
        case bool() | None:  # before int, of which bool is a subclass
            return cell("", value)
        case int():
            return str(value)  # without separators, as in the YAML file
        case Mapping():
            return MISSING
        case _:
            return cell("", value)


def _found_rows(runs: Sequence[RunFacts]) -> list[ComparisonRow]:
    rows = [
        ComparisonRow(
            name="search", values=tuple("not ended" if run.is_running else "ended" for run in runs)
        ),
        ComparisonRow(name="trials", values=tuple(_trials(run) for run in runs)),
        ComparisonRow(
            name="epochs, including stopped trials",
            values=_each(runs, lambda run: cell("", run.epochs)),
        ),
        ComparisonRow(
            name="different configs", values=_each(runs, lambda run: cell("", run.num_configs))
        ),
    ]
    for name, words in _COST_NAMES.items():
        if any(name in run.costs for run in runs):
            rows.append(ComparisonRow(name=words, values=tuple(_cost(run, name) for run in runs)))
    rows += [
        ComparisonRow(name="teacher's VEER %", values=tuple(_teacher(run) for run in runs)),
        ComparisonRow(
            name="best trial", values=_best(runs, lambda best: cell("trial", best["trial"]))
        ),
        ComparisonRow(name="its VEER % (95 % interval)", values=_best(runs, _veer)),
        ComparisonRow(
            name="median of its last 5 epochs", values=_best(runs, _value("median_veer_pct"))
        ),
        ComparisonRow(name="repeats, mean ± sd (n)", values=_best(runs, repeats_text)),
        ComparisonRow(name="parameters", values=_best(runs, _value("num_params"))),
        ComparisonRow(name="speed / teacher", values=_best(runs, _value("speed_ratio"))),
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
    if isinstance(value, int) and name not in _COLUMNS_IN_HOURS:
        return f"{value:,}"
    hours = value / _S_PER_H if name == "duration_s" else value
    # Short searches take less than 0.01 h, so they get significant digits.
    return f"{hours:,.2f}" if hours >= 1 or hours == 0 else f"{hours:.2g}"


def _importance_rows(runs: Sequence[RunFacts]) -> list[ComparisonRow]:
    known = [run.importance or {} for run in runs]
    highest = {
        name: max(each[name][0] for each in known if name in each)
        for name in dict.fromkeys(name for each in known for name in each)
    }
    # By the highest share in any run, so that no run decides the order by itself.
    names = sorted(highest, key=lambda name: -highest[name])
    return [
        ComparisonRow(name=name, values=tuple(_share(each.get(name)) for each in known))
        for name in names
    ]


def _share(found: tuple[float, float] | None) -> str:
    return MISSING if found is None else f"{found[0]:.0%} ± {found[1]:.0%}"


def _trials_of_one_run(run: RunFacts) -> Text:
    trials = "\n".join(
        f"  trial {found['trial']}, VEER {cell('veer_pct', found['veer_pct'])} %: "
        + in_words({key: value for key, value in found.items() if key.startswith(PARAM_PREFIX)})
        for found in run.only_here
    )
    count = counted(run.num_only_here, "trial")
    what = "with a config that no other run tried" + ("; the best:" if trials else "")
    return Text(visible(f"{run.name}: {count} {what}\n{trials}".rstrip(), keep="\n"))
