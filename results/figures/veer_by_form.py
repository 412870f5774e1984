"""Chart of VEER against latency of the forms of deployment, with the front of the students."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from results.analysis.form_front import FormPoint, form_points, read_form_rows
from results.analysis.run_view import RunView
from results.figures.style import (
    FRONT_COLOUR,
    NO_BOX,
    SERIES_COLOURS,
    axis,
    escape_template,
    label_text,
    log_ticks,
    new_figure,
    spans_decades,
)
from results.records.benchmark_row import TIMED_FORMS, TORCH
from spaces.files.errors import RunError

# Area of a mark over megabytes of its file, square pixels, and the ends of its diameter.
_AREA_PER_MB = 60.0
_LEAST_PX, _MOST_PX = 8.0, 40.0
_COLOURS = dict(zip((TORCH, *TIMED_FORMS), SERIES_COLOURS, strict=False))


def veer_by_form(view: RunView) -> go.Figure | None:
    """Draw VEER against latency of each form, its size as the mark's area; None without forms."""
    points = drawn_forms(view)
    if not points:
        return None
    title = "median latency of one utterance of 2 s, one thread, ms"
    figure = new_figure(title, "VEER, %")
    front = [each for each in points if each.is_on_front]
    if front:
        figure.add_trace(_front(front))
    for form in dict.fromkeys(each.row.form or TORCH for each in points):
        own = [each for each in points if (each.row.form or TORCH) == form]
        # The legend has the symbol of the first: that of students.
        figure.add_trace(_marks(sorted(own, key=lambda each: not each.is_student), form))
    latencies = [each.row.latency_median_ms for each in points]
    if spans_decades(latencies):
        figure.update_xaxes(**axis(f"{title}, log scale", **log_ticks(latencies)))
    return figure


def drawn_forms(view: RunView) -> list[FormPoint]:
    """Return the forms that were measured with their VEER; none where the file is damaged."""
    try:
        return form_points(read_form_rows(view.folder.path))
    except RunError:  # the page says so in their section
        return []


def _front(points: Sequence[FormPoint]) -> go.Scatter:
    return go.Scatter(
        x=[round(each.row.latency_median_ms, 4) for each in points],
        y=[round(each.row.form_veer_pct or 0.0, 4) for each in points],
        customdata=[[_trial(each)] for each in points],
        mode="markers",
        marker={
            "size": [_diameter_px(each) + 7 for each in points],
            "symbol": "circle-open",
            "color": FRONT_COLOUR,
            "line": {"width": 1.5},
        },
        name="front: no other form of a student beats it in VEER, latency and size",
        hoverinfo="skip",
    )


def _marks(points: Sequence[FormPoint], form: str) -> go.Scatter:
    colour = _COLOURS.get(form, SERIES_COLOURS[-1])
    return go.Scatter(
        x=[round(each.row.latency_median_ms, 4) for each in points],
        y=[round(each.row.form_veer_pct or 0.0, 4) for each in points],
        error_y=_bars(points, colour),
        customdata=[[_trial(each), _hover(each)] for each in points],
        mode="markers",
        marker={
            "size": [_diameter_px(each) for each in points],
            "symbol": ["circle" if _trial(each) is not None else "star" for each in points],
            "color": colour,
            "line": {"width": 0},
        },
        name=label_text(form),
        hovertemplate=f"%{{customdata[1]}}{NO_BOX}",
    )


def _trial(point: FormPoint) -> int | None:
    """Return the number of a student's trial; None for the teacher."""
    word, _, number = point.row.model.partition(" ")
    return int(number) if word == "trial" and number.isdecimal() else None


def _hover(point: FormPoint) -> str:
    row, ends = point.row, point.interval
    within = "" if ends is None else f" ({ends[0]:.2f} to {ends[1]:.2f})"
    lines = [
        f"<b>{label_text(row.model)}</b>, {label_text(row.form or TORCH)}",
        f"VEER: {row.form_veer_pct:.2f} %{within}",
        f"latency: {row.latency_median_ms:.2f} ms, p95 {row.latency_p95_ms:.2f} ms",
        f"size: {row.file_mb:.2f} MB",
    ]
    return escape_template("<br>".join(lines))


def _diameter_px(point: FormPoint) -> float:
    diameter_px = math.sqrt(_AREA_PER_MB * (point.row.file_mb or 0.0))
    return round(min(_MOST_PX, max(_LEAST_PX, diameter_px)), 1)


def _bars(points: Sequence[FormPoint], colour: str) -> dict[str, object] | None:
    """Return Plotly's error bars for the 95 % intervals; None where no form has one."""
    if all(each.interval is None for each in points):
        return None
    ends = [(each.row.form_veer_pct or 0.0, each.interval) for each in points]
    return {
        "type": "data",
        "symmetric": False,
        "array": [None if own is None else round(own[1] - veer, 4) for veer, own in ends],
        "arrayminus": [None if own is None else round(veer - own[0], 4) for veer, own in ends],
        "thickness": 1,
        "width": 3,
        "color": colour,
    }
