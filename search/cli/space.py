"""`veer space`: inspect a space before training."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from search.cli.console import console, progress_bar, table_of
from search.cli.groups import command_group

if TYPE_CHECKING:
    from search.estimates.space_report import CostRange, RandomConfigs, SpaceReport
    from spaces.dimensions import Condition, Dimension

app = command_group("List the bundled spaces, and check a space.")

_COST_TITLES: Mapping[str, str] = {
    "max_cpu_latency_vs_teacher": "CPU time / teacher",
    "max_gpu_memory": "GPU memory of a step",
}


@app.command(name="list")
def list_() -> None:
    """List the bundled spaces, each with the first line of its file."""
    from spaces.reading.space_file import bundled_spaces

    rows = [(name, _first_comment(path)) for name, path in bundled_spaces().items()]
    console.print(table_of(("space", "what it is"), rows, texts=(0, 1)))


@app.command()
def check(
    space: Annotated[
        str,
        typer.Argument(
            metavar="SPACE", help="A YAML file, or the name of a bundled space, e.g. mixer."
        ),
    ],
    teacher: Annotated[
        Path | None,
        typer.Option(help="Teacher for the limits: a model file, or a training run's folder."),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, help="Random configs to check against the limits.")
    ] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random configs.")] = 0,
) -> None:
    """Check a space file, and print its dimensions and the costs of its models.

    Nothing is trained and no corpus is read. If the space limits CPU time, it is measured on this
    machine against the teacher. The memory of a training step is estimated.
    """
    from search.config.reading import check_suggested
    from search.estimates.feasibility import LimitChecker
    from search.estimates.space_report import ReportConfig, describe_space
    from search.loop.setup import start_points
    from spaces.reading.space_file import space_file
    from trainable.config.reading import read_trial_space
    from trainable.machine.cache_dir import cache_dir

    read, file = read_trial_space(space), space_file(space)
    # Also here: a wrong suggestion would otherwise be found only by the search.
    check_suggested(file)
    points = start_points(read, file, ())
    checker = LimitChecker(read.limits, teacher=teacher, cache_dir=cache_dir())
    config = ReportConfig(num_samples=samples, seed=seed)
    console.print(_dimension_table(read.dimensions))
    for point in points:
        fits = "; ".join(point.remarks) or "fits unchanged"
        console.print(f"start from {point.source}: {fits}", highlight=False, soft_wrap=True)
    for name, value in read.fixed_values().items():
        console.print(f"fixed: {name} = {_text(value)}", highlight=False)
    with progress_bar("measured") as progress:
        report = describe_space(read, checker, config, progress)
    console.print(_count_text(report), highlight=False, soft_wrap=True)
    console.print(_cost_table(report))
    if (families := _family_table(report)) is not None:
        console.print(families)
    for line in _limit_lines(report.random, read.limits.model_dump()):
        console.print(line, highlight=False, soft_wrap=True)


def _dimension_table(dimensions: tuple[Dimension, ...]) -> RenderableType:
    by_name = {each.name: each for each in dimensions}
    rows = [
        (
            dimension.name,
            type(dimension).__name__.lower(),
            _values(dimension),
            _scale(dimension),
            " and ".join(_condition(each, by_name) for each in dimension.when),
        )
        for dimension in dimensions
    ]
    return table_of(("dimension", "kind", "values", "scale", "where"), rows, texts=range(5))


def _values(dimension: Dimension) -> str:
    from spaces.dimensions import Choice

    if isinstance(dimension, Choice):
        return ", ".join(map(_text, dimension.choices))
    return f"{_text(dimension.low)} to {_text(dimension.high)}"


def _scale(dimension: Dimension) -> str:
    from spaces.dimensions import Choice

    if isinstance(dimension, Choice):
        return ""
    if dimension.log:
        return "log"
    return "" if dimension.step in (None, 1) else f"steps of {dimension.step:g}"


def _condition(condition: Condition, by_name: Mapping[str, Dimension]) -> str:
    """Format a condition in words, the shorter way: `loss.distillation is mse or cosine`."""
    from spaces.dimensions import Choice

    verb = "is not" if condition.excluded else "is"
    values = condition.excluded or condition.values
    other = by_name.get(condition.parameter)
    if condition.excluded and isinstance(other, Choice):
        rest = tuple(value for value in other.choices if value not in values)
        if 0 < len(rest) < len(values):
            verb, values = "is", rest
    # Only a parameter that has a condition itself can be absent.
    may_lack = condition.otherwise and other is not None and bool(other.when)
    otherwise = " or has no effect" if may_lack else ""
    return f"{condition.parameter} {verb} {' or '.join(map(_text, values))}{otherwise}"


def _count_text(report: SpaceReport) -> str:
    number = report.num_configs
    configs = "continuous, so no number of configs" if number is None else f"{number:,} configs"
    found = report.architectures
    how = "all of the space" if found.is_all else f"from {report.random.num_drawn} random configs"
    refused = (
        f", {found.num_refused} settings of the model rejected by its rules"
        if found.num_refused
        else ""
    )
    return f"{configs}; {len(found.models):,} architectures ({how}){refused}"


def _cost_table(report: SpaceReport) -> RenderableType:
    rows = [
        _range_row("parameters", "max_params", report.params),
        _range_row("MACs, 2 s", "max_macs", report.macs),
        *(
            _range_row(_COST_TITLES[limit], limit, range_)
            for limit, range_ in report.random.ranges.items()
        ),
    ]
    return table_of(("cost", "smallest", "largest", "of"), rows, texts=range(4))


def _family_table(report: SpaceReport) -> RenderableType | None:
    """Return what the limits leave of each family; None of one family, or without limits."""
    from collections import Counter

    architectures = Counter(model.family for model in report.architectures.models)
    found = report.random
    if len(architectures) < 2 or not found.num_breaking:
        return None
    rows = [
        (family, f"{number:,}", str(found.drawn_of.get(family, 0)), _inside(family, found))
        for family, number in architectures.items()
    ]
    headings = ("family", "architectures", "random configs", "of them inside the limits")
    return table_of(headings, rows, texts=range(1))


def _inside(family: str, found: RandomConfigs) -> str:
    drawn, inside = found.drawn_of.get(family, 0), found.inside_of.get(family, 0)
    return f"{inside} ({inside / drawn:.0%})" if drawn else "-"


def _range_row(title: str, limit: str, range_: CostRange) -> tuple[str, ...]:
    from spaces.limits import limit_text

    what = "random configs" if limit in _COST_TITLES else "architectures"
    of = f"{'all ' if range_.is_all else ''}{range_.num_measured:,} {what}"
    notes = [
        note
        for note, holds in (
            ("sampled", not range_.is_all and limit not in _COST_TITLES),
            ("estimated", range_.is_estimated),
        )
        if holds
    ]
    cells = [
        "\n".join([limit_text(limit, end.value), *_lines(end.settings)])
        for end in (range_.smallest, range_.largest)
    ]
    return title, *cells, "\n".join([of, *notes])


def _limit_lines(found: RandomConfigs, limits: Mapping[str, Any]) -> list[str]:
    from spaces.limits import limit_text

    lines = [
        f"{found.num_inside} of {found.num_drawn} random configs are inside the limits "
        f"({found.fraction_inside:.1%})"
    ]
    if not found.num_breaking:
        lines = ["no limits are set"]
    lines += [
        f"  {num} break {limit}: {limit_text(limit, limits[limit])}"
        for limit, num in found.num_breaking.items()
    ]
    if found.num_refused:
        lines.append(f"  {found.num_refused} break a rule of the config itself")
    return lines


def _lines(settings: Mapping[str, Any]) -> list[str]:
    return [f"{name} {_text(value)}" for name, value in settings.items()]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _first_comment(path: Path) -> str:
    match = re.match(r"#\s*(.*)", path.read_text(encoding="utf-8"))
    return match[1] if match else ""
