"""A prediction as text: lines and rows for the terminal and the page."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from search.prediction.estimates import Estimate
from search.prediction.prediction import Prediction
from search.prediction.scaling import ScalingPoint, by_arm, end_of_scaling

HEADINGS = (
    "search",
    "workers",
    "trials",
    "epochs",
    "hours",
    "CPU-hours",
    "GPU-hours",
    "true VEER %\nof the chosen",
    "its VEER %\nas shown",
    "chance % of\nmissing the best",
)
SCALING_HEADINGS = (
    "search", "workers", "hours", "speedup", "of linear", "epochs", "not reached"
)  # fmt: skip
UNKNOWN = "-"
SAME = " (same)"
WELL_SCALED = 0.8


def basis_lines(found: Prediction) -> Iterator[str]:
    """Yield from what the prediction was made, and how good it is."""
    model = found.quality
    diverged = f"; {model.num_diverged} diverged" if model.num_diverged else ""
    yield (
        f"fitted to {model.num_curves} trials of {model.num_configs} configs "
        f"({model.num_repeated} with several seeds), {model.num_complete} of them to the end, "
        f"epoch {model.longest}{diverged}"
    )
    yield (
        f"a config that was left out is predicted with rank correlation "
        f"{model.rank_correlation:.2f} (95 % interval {model.low:.2f} to {model.high:.2f}), "
        f"{model.error_pct:.2f} points off in the median"
    )
    if model.low <= 0:
        yield (
            "WARNING: which configs are better is hardly known: differences between samplers "
            "mean nothing"
        )
    unknown = "" if model.num_repeated else " (what settings do not explain: none ran twice)"
    yield (
        f"noise at the median VEER: {model.epoch_noise_pct:.2f} points from epoch to epoch, "
        f"{model.seed_noise_pct:.2f} from seed to seed{unknown}"
    )
    yield (
        f"seeds {found.seeds[0]} to {found.seeds[-1]}; brackets hold 95 % of the searches, those "
        f"of the chance are its interval; missed: more than {found.within_pct:g} points worse "
        "than the best of 256 random configs"
    )
    yield from found.remarks


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTable:
    """A table of a prediction.

    Attributes:
        title: Its title.
        headings: Headings of the columns, with line breaks.
        rows: Its cells.
        lines: Lines that follow from it.
    """

    title: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]
    lines: tuple[str, ...] = ()


def result_table(found: Prediction) -> TextTable:
    """Return the table of the searches."""
    lines = []
    if any(each.is_same for each in found.results):
        lines.append(
            "same: each search is the one of the given settings, so this change has no effect"
        )
    if found.total_epochs is not None:
        lines.append(
            f"total_epochs {found.total_epochs:,} ends every search of the given settings: rows "
            "differ in what they find with these epochs"
        )
    rows = result_rows(found)
    return TextTable(title="Searches", headings=HEADINGS, rows=rows, lines=tuple(lines))


def scaling_tables(points: Sequence[ScalingPoint]) -> list[TextTable]:
    """Return the table of the time to a VEER by workers; none without points."""
    if not points:
        return []
    return [
        TextTable(
            title="Time to a VEER",
            headings=SCALING_HEADINGS,
            rows=scaling_rows(points),
            lines=tuple(scaling_lines(points)),
        )
    ]


def result_rows(found: Prediction) -> list[tuple[str, ...]]:
    """Return a row for each variant."""
    return [
        (
            each.name + SAME * each.is_same,
            f"{each.num_workers:,}",
            _text(each.trials, "{:,.0f}"),
            _text(each.epochs, "{:,.0f}"),
            _text(each.wall_h, "{:,.2f}"),
            _text(each.core_h, "{:,.2f}"),
            UNKNOWN if each.gpu_h is None else _text(each.gpu_h, "{:,.2f}"),
            _text(each.true_pct, "{:.2f}"),
            _text(each.shown_pct, "{:.2f}"),
            _text(_in_percent(each.missed), "{:.0f}"),
        )
        for each in found.results
    ]


def scaling_rows(points: Iterable[ScalingPoint]) -> list[tuple[str, ...]]:
    """Return a row for each arm and number of workers."""
    return [
        (
            each.arm,
            f"{each.num_workers:,}",
            _text(_in_hours(each.time_s), "{:,.3g}"),
            _text(each.speedup, "{:,.1f}"),
            f"{each.efficiency:.0%}",
            f"{each.epochs:,.0f}",
            f"{each.num_failed} of {each.num_races}",
        )
        for each in points
    ]


def scaling_lines(points: Sequence[ScalingPoint]) -> Iterator[str]:
    """Yield for each arm up to how many workers it scales."""
    for arm, own in by_arm(points):
        yield (
            f"{arm}: at least {WELL_SCALED:.0%} of linear up to "
            f"{end_of_scaling(own, WELL_SCALED):,} workers"
        )


def _text(estimate: Estimate, form: str) -> str:
    value, low, high = (form.format(v) for v in (estimate.value, estimate.low, estimate.high))
    return value if low == value == high else f"{value} ({low}-{high})"


def _in_percent(share: Estimate) -> Estimate:
    return Estimate(value=100 * share.value, low=100 * share.low, high=100 * share.high)


def _in_hours(seconds: Estimate) -> Estimate:
    return Estimate(
        value=seconds.value / 3600, low=seconds.low / 3600, high=seconds.high / 3600
    )
