"""Common parts of all charts: colours, axes, hover text.

Charts have no background and no font colour, so that a page can set its own theme. The colours
contrast with white and with near-black, and colour-blind readers can distinguish them (after the
palette of Okabe and Ito).
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from types import MappingProxyType
from typing import Any

import plotly.graph_objects as go

from results.analysis.faults import counted
from results.analysis.ranking import Repeats
from results.analysis.run_view import RunView, interval_of
from results.journal.history import RUNNING, TrialHistory
from spaces.files.visible import visible

BEST_COLOUR = "#e6550d"
TEACHER_COLOUR = "#b8860b"
FRONT_COLOUR = "#7a7a7a"
STATE_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "complete": "#2b83c6",
        "stopped_early": "#8c8c8c",
        "failed": "#c2548a",
        "diverged": "#c2548a",
        RUNNING: "#0f9d76",
    }
)
STATE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "complete": "complete",
        "stopped_early": "stopped early",
        "failed": "failed",
        "diverged": "diverged",
        RUNNING: "unfinished",
    }
)
SERIES_COLOURS = (
    "#2b83c6",
    "#e6550d",
    "#0f9d76",
    "#b8860b",
    "#c2548a",
    "#8a6fd1",
    "#5aa9a9",
    "#8c8c8c",
)
# From low to high VEER. Neither end is `BEST_COLOUR`, which marks one trial.
VEER_SCALE = ((0.0, "#0f9d76"), (0.5, "#93a0ad"), (1.0, "#8a5fd1"))
_GRID_COLOUR = "rgba(128,128,128,0.25)"
AXIS_COLOUR = "rgba(128,128,128,0.7)"
_TRANSPARENT = "rgba(0,0,0,0)"
# In a hover template this hides the second box, in which Plotly repeats the name of the trace.
NO_BOX = "<extra></extra>"
_MAX_TEXT_CHARS = 60
_HEIGHT_PX = 440


def new_figure(x_title: str, y_title: str, height_px: int = _HEIGHT_PX) -> go.Figure:
    """Return an empty chart with two named axes."""
    figure = go.Figure()
    figure.update_layout(**base_layout(height_px))
    figure.update_xaxes(**axis(x_title))
    figure.update_yaxes(**axis(y_title))
    return figure


def base_layout(height_px: int = _HEIGHT_PX) -> dict[str, Any]:
    """Return a layout that leaves the colours of text and background to the page.

    Plotly's default template would set both, so the template here is empty.
    """
    return {
        "template": go.layout.Template(),
        "paper_bgcolor": _TRANSPARENT,
        "plot_bgcolor": _TRANSPARENT,
        "height": height_px,
        "margin": {"l": 60, "r": 20, "t": 30, "b": 60},
        "hovermode": "closest",
        "legend": {
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "bgcolor": _TRANSPARENT,
            "itemsizing": "constant",
        },
        "hoverlabel": {"align": "left"},
    }


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis with a thin grid; `more` are further keys of Plotly's axes."""
    return {
        "title": {"text": title},
        "gridcolor": _GRID_COLOUR,
        "linecolor": AXIS_COLOUR,
        "showline": True,
        "zeroline": False,
        "automargin": True,
        **more,
    }


def format_value(value: Any, max_chars: int = _MAX_TEXT_CHARS) -> str:
    """Return a sampled value with few digits, or as text that Plotly does not read as markup.

    Args:
        value: The value.
        max_chars: Length at which text is cut.
    """
    match value:
        case None:
            return "none"
        case bool():  # before int, of which it is a subclass
            return "yes" if value else "no"
        case int() if abs(value) >= 10_000:
            return f"{value:,}"
        case int():
            return str(value)
        case float():
            return f"{value:.4g}"
        case _:
            return label_text(str(value), max_chars)


def label_text(text: str, max_chars: int = _MAX_TEXT_CHARS) -> str:
    """Return text from a run for Plotly's labels: cut, escaped, with control characters visible.

    Plotly reads some HTML in labels, so text of a foreign run could otherwise add links.
    """
    safe = visible(text)
    cut = safe if len(safe) <= max_chars else f"{safe[: max_chars - 1]}…"
    return escape(cut, quote=False)


def config_lines(view: RunView, trial: TrialHistory) -> str:
    """Return one line per sampled value of a trial, for the parameters that varied."""
    params = trial.params
    return "<br>".join(
        f"{label_text(view.short_names[name])}: {format_value(params[name])}"
        for name in view.varied
        if name in params
    )


def trial_lines(view: RunView, trial: TrialHistory) -> str:
    """Return the hover text of a trial: number, state, VEER, epoch, config."""
    best = trial.best
    state = STATE_NAMES.get(trial.state, label_text(trial.state))
    lines = [f"<b>trial {trial.trial}</b>, {state}"]
    if best is not None:
        ends = interval_of(trial)
        within = "" if ends is None else f" ({ends[0]:.2f} to {ends[1]:.2f})"
        lines.append(f"VEER: {best.veer_pct:.2f} %{within}, epoch {best.epoch}")
    if (repeats := view.repeats.get(trial.trial)) is not None:
        lines.append(f"with other seeds: {repeats_in_words(repeats)}")
    if (last := trial.last) is not None and last.num_params:
        lines.append(f"parameters: {last.num_params:,}")
    config = config_lines(view, trial)
    return "<br>".join([*lines, config] if config else lines)


def repeats_in_words(repeats: Repeats) -> str:
    """Return mean, standard deviation and number of the repeats of a trial."""
    spread = "" if repeats.sd_pct is None else f" ± {repeats.sd_pct:.2f}"
    num_repeats = counted(len(repeats.veer_pct), "repeat")
    return f"{repeats.mean_pct:.2f} %{spread}, {num_repeats}"


def escape_template(text: str) -> str:
    """Return text that a hover template shows unchanged, since Plotly replaces `%{...}`."""
    return text.replace("%{", "%\u200b{")


def teacher_line(figure: go.Figure, veer_pct: float | None) -> None:
    """Draw a horizontal line at the teacher's VEER in percent, and include it in the axis."""
    if veer_pct is None:
        return
    figure.add_hline(
        y=veer_pct,
        line={"color": TEACHER_COLOUR, "dash": "dash", "width": 1.5},
        # Curves start high, so there is room on the left.
        annotation={"text": f"teacher {veer_pct:.2f} %", "yanchor": "bottom"},
        annotation_position="top left",
    )


def error_bars(trials: Iterable[TrialHistory]) -> dict[str, Any] | None:
    """Return Plotly's error bars for the 95 % intervals; None where no trial has one."""
    up: list[float | None] = []
    down: list[float | None] = []
    for trial in trials:
        ends, veer_pct = interval_of(trial), trial.best_veer_pct
        if ends is None or veer_pct is None:
            up.append(None)
            down.append(None)
        else:  # rounded, like all values of the charts, to keep the page small
            up.append(round(ends[1] - veer_pct, 4))
            down.append(round(veer_pct - ends[0], 4))
    if all(value is None for value in up):
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": up,
        "arrayminus": down,
        "thickness": 1,
        "width": 3,
    }


def spans_decades(values: Sequence[float], min_ratio: float = 10.0) -> bool:
    """Return whether values are positive and differ by more than a ratio, so suit a log axis."""
    return min(values, default=0.0) > 0 and max(values) / min(values) > min_ratio


def log_ticks(values: Sequence[float], min_ticks: int = 3) -> dict[str, Any]:
    """Return a log axis with ticks at round numbers.

    Plotly's own labels are single digits for most ticks of a log axis, so these are written out.

    Args:
        values: All values in the chart, above 0.
        min_ticks: Ticks wanted within the range of the values. The steps per power of ten are the
            fewest that give so many.
    """
    low, high = min(values), max(values)
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    ticks: list[float] = []
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [step * 10.0**power for power in powers for step in steps]
        if sum(low <= tick <= high for tick in ticks) >= min_ticks:
            break
    return {"type": "log", "tickvals": ticks, "ticktext": [short_number(tick) for tick in ticks]}


def short_number(value: float) -> str:
    """Return a number for a tick: 0.0001 as `1e-4`, 20000 as `20k`, 2000000 as `2M`."""
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    if value >= 1e4:
        return f"{value / 1e3:g}k"
    if value < 1e-3:
        # log10(1e-6) may be a little below -6, which floor would make -7.
        power = floor(log10(value) + 1e-9)
        return f"{value / 10**power:.3g}e{power}"
    return f"{value:g}"
