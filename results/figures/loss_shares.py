"""Charts of the share of each term in the training loss, by epoch, for the best trials."""

from collections.abc import Mapping
from math import ceil
from types import MappingProxyType

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from results.analysis.run_view import RunView
from results.figures.style import NO_BOX, SERIES_COLOURS, axis, base_layout
from results.journal.history import TrialHistory
from results.records.trial_records import EpochEnded

MAX_TRIALS = 6
_NUM_COLUMNS = 2
_ROW_PX = 210
# The shares of the journal that make up the loss, with their names in the chart.
_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "classification_share": "classification",
        "distill_share": "distillation",
        "reconstruction_share": "reconstruction",
    }
)


def loss_shares(view: RunView) -> go.Figure | None:
    """Draw stacked shares of the loss of the best trials; None where no trial reported any."""
    shares = {trial.trial: shares_of(trial) for trial in view.ranked}
    trials = [trial for trial in view.ranked if shares[trial.trial]][:MAX_TRIALS]
    if not trials:
        return None
    columns = min(_NUM_COLUMNS, len(trials))
    rows = ceil(len(trials) / columns)
    figure = make_subplots(
        rows=rows, cols=columns, shared_yaxes=True, horizontal_spacing=0.05,
        vertical_spacing=min(0.4, 60 / (_ROW_PX * rows)),
        subplot_titles=[_title(trial) for trial in trials],
    )  # fmt: skip
    figure.update_layout(**base_layout(100 + _ROW_PX * rows))
    figure.update_annotations(font={"size": 12})
    figure.update_layout(legend={"y": -60 / (_ROW_PX * rows), "yanchor": "top"})
    figure.update_yaxes(**axis("", range=[0, 1], tickformat=".0%"))
    figure.update_xaxes(**axis(""))
    colours = _colours([name for trial in trials for name in shares[trial.trial]])
    shown: set[str] = set()
    for index, trial in enumerate(trials):
        for name, by_epoch in shares[trial.trial].items():
            trace = _area(trial, name, by_epoch, colours[name])
            trace.showlegend = name not in shown
            shown.add(name)
            figure.add_trace(trace, row=index // columns + 1, col=index % columns + 1)
    figure.update_xaxes(title={"text": "epoch"}, row=rows)
    return figure


def shares_of(trial: TrialHistory) -> dict[str, dict[int, float]]:
    """Return the shares of the loss, 0 to 1, by term and epoch, without terms that are always 0.

    Where the stages of distillation have shares, these replace the share of distillation, which
    is their sum.
    """
    found: dict[str, dict[int, float]] = {}
    for record in trial.in_order:
        for name, share in _term_shares(record):
            found.setdefault(name, {})[record.epoch] = share
    return {name: by_epoch for name, by_epoch in found.items() if any(by_epoch.values())}


def _term_shares(record: EpochEnded) -> list[tuple[str, float]]:
    stages = [share for share in record.stage_shares or () if share is not None]
    parts = []
    for key, name in _PARTS.items():
        share = getattr(record, key)
        # The last stage is the embedding. If it is the only one, its share is `distill_share`.
        if key == "distill_share" and len(stages) > 1:
            own = [f"{name}, stage {number}" for number in range(1, len(stages))]
            parts += list(zip([*own, f"{name}, embedding"], stages, strict=True))
        elif share is not None:
            parts.append((name, share))
    return parts


def _colours(names: list[str]) -> dict[str, str]:
    """Return a colour per term; the common terms have the same colours in every run."""
    order = dict.fromkeys([*_PARTS.values(), *names])
    return {name: SERIES_COLOURS[index % len(SERIES_COLOURS)] for index, name in enumerate(order)}


def _title(trial: TrialHistory) -> str:
    return f"trial {trial.trial}: {trial.best_veer_pct or 0.0:.2f} %"


def _area(
    trial: TrialHistory, name: str, by_epoch: Mapping[int, float], colour: str
) -> go.Scatter:
    return go.Scatter(
        x=list(by_epoch),
        y=[round(share, 5) for share in by_epoch.values()],
        customdata=[[trial.trial]] * len(by_epoch),
        # A line through a single point is not visible.
        mode="lines+markers" if len(by_epoch) == 1 else "lines",
        stackgroup=str(trial.trial),
        line={"width": 1, "color": colour},
        fillcolor=f"{colour}99",
        name=name,
        legendgroup=name,
        hovertemplate=f"trial {trial.trial}, epoch %{{x}}<br>{name}: %{{y:.2%}}{NO_BOX}",
    )
