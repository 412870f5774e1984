"""What all figures have in common: colours, axes, what is said on hovering.

Figures have no background and no font colour, so that a page may theme them. The colours stand
out on white and on near-black, and are told apart by the colour-blind (after Okabe and Ito's set).
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from types import MappingProxyType
from typing import Any

import plotly.graph_objects as go

from results.analysis.faults import counted
from results.analysis.ranking import Repeats
from results.journal.history import RUNNING, TrialHistory
from results.tables.run_view import RunView, interval_of
from spaces.files.visible import visible

BEST = "#e6550d"
TEACHER = "#b8860b"
FRONT = "#7a7a7a"
STATE_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "complete": "#2b83c6",
        "stopped_early": "#8c8c8c",
        "failed": "#c2548a",
        "diverged": "#c2548a",
        RUNNING: "#0f9d76",
    }
)
STATE_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "complete": "complete",
        "stopped_early": "stopped early",
        "failed": "failed",
        "diverged": "diverged",
        RUNNING: "unfinished",
    }
)
SERIES = ("#2b83c6", "#e6550d", "#0f9d76", "#b8860b", "#c2548a", "#8a6fd1", "#5aa9a9", "#8c8c8c")
# VEER, low to high; neither end is the best's own colour.
VEER_SCALE = ((0.0, "#0f9d76"), (0.5, "#93a0ad"), (1.0, "#8a5fd1"))
GRID = "rgba(128,128,128,0.25)"
AXIS_LINE = "rgba(128,128,128,0.7)"
CLEAR = "rgba(0,0,0,0)"
NO_BOX = "<extra></extra>"
MOST_TEXT = 60
HEIGHT_PX = 440


def new_figure(x_title: str, y_title: str, height_px: int = HEIGHT_PX) -> go.Figure:
    """An empty figure with two named axes."""
    figure = go.Figure()
    figure.update_layout(**base_layout(height_px))
    figure.update_xaxes(**axis(x_title))
    figure.update_yaxes(**axis(y_title))
    return figure


def base_layout(height_px: int = HEIGHT_PX) -> dict[str, Any]:
    """Layout that leaves colours of text and ground to the page.

    The empty template keeps Plotly's own, which sets both, away.
    """
    return {
        "template": go.layout.Template(),
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "height": height_px,
        "margin": {"l": 60, "r": 20, "t": 30, "b": 60},
        "hovermode": "closest",
        "legend": {
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "bgcolor": CLEAR,
            "itemsizing": "constant",
        },
        "hoverlabel": {"align": "left"},
    }


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with a thin grid; `more` are Plotly's own keys."""
    return {
        "title": {"text": title},
        "gridcolor": GRID,
        "linecolor": AXIS_LINE,
        "showline": True,
        "zeroline": False,
        "automargin": True,
        **more,
    }


def digits(value: Any, most: int = MOST_TEXT) -> str:
    """A sampled value in few digits, or as text that Plotly does not take for markup.

    Args:
        value: The value.
        most: Characters of a text.
    """
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int() if abs(value) >= 10_000:
            return f"{value:,}"
        case int():
            return str(value)
        case float():
            return f"{value:.4g}"
        case _:
            return words(str(value), most)


def words(text: str, most: int = MOST_TEXT) -> str:
    """Text of elsewhere: cut, controls shown, and no markup to Plotly's labels."""
    shown = visible(text)
    cut = shown if len(shown) <= most else f"{shown[: most - 1]}…"
    return escape(cut, quote=False)


def config_lines(view: RunView, trial: TrialHistory) -> str:
    """The values of a trial that differ between trials, a line each."""
    params = trial.params
    return "<br>".join(
        f"{words(view.short_names[name])}: {digits(params[name])}"
        for name in view.varied
        if name in params
    )


def trial_lines(view: RunView, trial: TrialHistory) -> str:
    """What is said of a trial on hovering: number, state, VEER, epochs, config."""
    best = trial.best
    state = STATE_WORDS.get(trial.state, words(trial.state))
    lines = [f"<b>trial {trial.trial}</b>, {state}"]
    if best is not None:
        ends = interval_of(trial)
        within = "" if ends is None else f" ({ends[0]:.2f} to {ends[1]:.2f})"
        lines.append(f"VEER: {best['veer_pct']:.2f} %{within}, epoch {best['epoch']}")
    if (repeats := view.repeats.get(trial.trial)) is not None:
        lines.append(f"with other seeds: {repeats_in_words(repeats)}")
    if (last := trial.last) is not None and last.get("num_params"):
        lines.append(f"parameters: {last['num_params']:,}")
    config = config_lines(view, trial)
    return "<br>".join([*lines, config] if config else lines)


def repeats_in_words(repeats: Repeats) -> str:
    """Mean and spread of a finalist's repeats."""
    spread = "" if repeats.sd_pct is None else f" ± {repeats.sd_pct:.2f}"
    num_repeats = counted(len(repeats.veer_pct), "repeat")
    return f"{repeats.mean_pct:.2f} %{spread}, {num_repeats}"


def literal(text: str) -> str:
    """Text for a hover template as it stands: Plotly fills in `%{...}`."""
    return text.replace("%{", "%\u200b{")


def teacher_line(figure: go.Figure, veer_pct: float | None) -> None:
    """Draws the teacher's VEER, percent, across, and widens the axis to it."""
    if veer_pct is None:
        return
    figure.add_hline(
        y=veer_pct,
        line={"color": TEACHER, "dash": "dash", "width": 1.5},
        # Curves begin high, so there is room on the left.
        annotation={"text": f"teacher {veer_pct:.2f} %", "yanchor": "bottom"},
        annotation_position="top left",
    )


def error_bars(trials: Iterable[TrialHistory]) -> dict[str, Any] | None:
    """Plotly's error bars up and down to the 95 % interval; None where no trial has one."""
    up: list[float | None] = []
    down: list[float | None] = []
    for trial in trials:
        ends, best = interval_of(trial), trial.best
        known = ends is not None and best is not None
        up.append(round(ends[1] - best["veer_pct"], 4) if known and ends and best else None)
        down.append(round(best["veer_pct"] - ends[0], 4) if known and ends and best else None)
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


def spans_decades(values: Sequence[float], most: float = 10.0) -> bool:
    """Whether positive values span so many times that a log axis shows them better."""
    return min(values, default=0.0) > 0 and max(values) / min(values) > most


def log_ticks(values: Sequence[float], least: int = 3) -> dict[str, Any]:
    """A log axis with ticks at round numbers, written out.

    Plotly itself writes a lone digit for most of them.

    Args:
        values: All that is drawn, above 0.
        least: Ticks to have between the values: as few per power of ten as give so many.
    """
    low, high = min(values), max(values)
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    ticks: list[float] = []
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [step * 10.0**power for power in powers for step in steps]
        if sum(low <= tick <= high for tick in ticks) >= least:
            break
    return {"type": "log", "tickvals": ticks, "ticktext": [short_number(tick) for tick in ticks]}


def short_number(value: float) -> str:
    """A number for a tick: `0.0001` as `1e-4`, 20000 as `20k`, 2000000 as `2M`."""
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    if value >= 1e4:
        return f"{value / 1e3:g}k"
    if value < 1e-3:
        power = floor(log10(value) + 1e-9)
        return f"{value / 10**power:.3g}e{power}"
    return f"{value:g}"
