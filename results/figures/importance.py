"""Which parameters the VEER of complete trials depends on, by Optuna's fANOVA.

fANOVA (Hutter, Hoos and Leyton-Brown, 2014) shares out the variance of the VEER, as a random
forest predicts it, over the parameters. It takes parameters that all its trials have. One that
only some had, by the space's conditions, is judged among those that had it, next to the ones that
all have: its share is of their variance, and its bar says so.

The few complete trials of a search are one draw of many. So the forest is grown several times,
each time on trials drawn anew from them, with another seed: a bar is the mean, its line the
spread.
"""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, pstdev
from textwrap import wrap

import optuna
import plotly.graph_objects as go
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import FrozenTrial

from results.figures.style import NO_BOX, SERIES, axis, new_figure, words
from results.tables.run_view import RunView
from results.trackers.distributions import to_distribution

MIN_TRIALS = 5
# More trials than these add little but time: it grows with the square of their number.
MOST_DRAWN = 80
NUM_DRAWS = 5
NUM_TREES = 12
MAX_DEPTH = 8
MOST_BARS = 20
MOST_NAMED = 6
# What a narrow screen has room for.
LINE_CHARS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """How much of the variance a parameter explains.

    Attributes:
        name: The parameter's dotted name.
        share: Mean over the draws, 0 to 1.
        spread: Their standard deviation.
        num_trials: Complete trials that it rests on.
        is_conditional: Whether these are some of the complete trials only.
    """

    name: str
    share: float
    spread: float
    num_trials: int
    is_conditional: bool


def importance(view: RunView) -> go.Figure | None:
    """Bars of every parameter's importance; None below 5 complete trials or 2 parameters."""
    every = importances(view)
    if not every:
        return None
    found = every[:MOST_BARS]
    figure = new_figure("", "", height_px=110 + 28 * len(found))
    for is_conditional, colour in ((False, SERIES[0]), (True, SERIES[3])):
        bars = [each for each in reversed(found) if each.is_conditional == is_conditional]
        if bars:
            figure.add_trace(_bars(view, bars, colour))
            only = "those where it has an effect"
            every_one = f"all {bars[0].num_trials} complete trials"
            figure.data[-1].name = only if is_conditional else every_one
    title = "share of the VEER's variance (fANOVA)" + _left_out(view, every)
    figure.update_xaxes(**axis(title, tickformat=".0%", rangemode="tozero"))
    order = [words(view.short_names[each.name]) for each in reversed(found)]
    figure.update_yaxes(showgrid=False, categoryorder="array", categoryarray=order)
    return figure


def _left_out(view: RunView, found: Sequence[Importance]) -> str:
    """What varied and has no bar, for the axis; empty where nothing is left out."""
    told = {each.name for each in found}
    rest = [words(view.short_names[name]) for name in view.varied if name not in told]
    if not rest:
        return ""
    more = f" and {len(rest) - MOST_NAMED} more" * (len(rest) > MOST_NAMED)
    names = ", ".join(rest[:MOST_NAMED])
    said = f"no bar, since too few complete trials differ in it: {names}{more}"
    return "".join(f"<br>{line}" for line in wrap(said, LINE_CHARS))


def importances(view: RunView, seed: int = 0) -> list[Importance]:
    """Of every sampled parameter that varied, the largest share first.

    Empty below 5 complete trials, and where fewer than two parameters varied among them.

    Args:
        view: The run; its own complete trials count, follow-ups and stopped ones do not.
        seed: Of the draws and the forests.
    """
    distributions = {each.name: to_distribution(each) for each in view.dimensions}
    complete = [
        optuna.trial.create_trial(
            params=trial.params,
            distributions={name: distributions[name] for name in trial.params},
            value=trial.best["veer_pct"],
        )
        for trial in view.own
        if trial.state == "complete" and trial.best is not None
    ]
    if len(complete) < MIN_TRIALS:
        return []
    varied = [name for name in view.varied if _varies(name, complete)]
    common = [name for name in varied if all(name in trial.params for trial in complete)]
    found = [
        _importance(name, shares, len(complete), is_conditional=False)
        for name, shares in _shares(complete, common, seed).items()
    ]
    for name in (each for each in varied if each not in common):
        having = [trial for trial in complete if name in trial.params]
        if len(having) >= MIN_TRIALS:
            beside = [each for each in common if _varies(each, having)]
            shares = _shares(having, [*beside, name], seed).get(name)
            if shares is not None:
                found.append(_importance(name, shares, len(having), is_conditional=True))
    return sorted(found, key=lambda each: -each.share)


def _varies(name: str, trials: Sequence[FrozenTrial]) -> bool:
    return len({repr(trial.params[name]) for trial in trials if name in trial.params}) > 1


def _shares(
    trials: Sequence[FrozenTrial], names: Sequence[str], seed: int
) -> Mapping[str, list[float]]:
    """Every parameter's share in each of the draws; none below two, which share nothing."""
    if len(names) < 2:
        return {}
    logging.getLogger("optuna").setLevel(logging.WARNING)
    shares: dict[str, list[float]] = {name: [] for name in names}
    rng = random.Random(seed)
    for draw in range(NUM_DRAWS):
        drawn = rng.choices(trials, k=min(len(trials), MOST_DRAWN))
        told = _fanova(drawn, names, seed + draw)
        for name in names:
            shares[name].append(told.get(name, 0.0))
    return shares


def _fanova(
    trials: Sequence[FrozenTrial], names: Sequence[str], seed: int
) -> Mapping[str, float]:
    """Shares that add up to 1, or none where all the trials drawn had one VEER."""
    if len({trial.value for trial in trials}) == 1:
        return {}
    study = optuna.create_study(direction="minimize")
    study.add_trials(trials)
    evaluator = FanovaImportanceEvaluator(n_trees=NUM_TREES, max_depth=MAX_DEPTH, seed=seed)
    told = optuna.importance.get_param_importances(study, evaluator=evaluator, params=list(names))
    return {name: float(share) for name, share in told.items()}


def _importance(
    name: str, shares: Sequence[float], num_trials: int, *, is_conditional: bool
) -> Importance:
    return Importance(
        name=name,
        share=mean(shares),
        spread=pstdev(shares),
        num_trials=num_trials,
        is_conditional=is_conditional,
    )


def _bars(view: RunView, bars: Sequence[Importance], colour: str) -> go.Bar:
    said = "<b>%{y}</b>: %{x:.1%} ± %{customdata[2]:.1%}<br>on %{customdata[1]} complete trials"
    return go.Bar(
        x=[round(each.share, 4) for each in bars],
        y=[words(view.short_names[each.name]) for each in bars],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [round(min(each.spread, 1 - each.share), 4) for each in bars],
            "arrayminus": [round(min(each.spread, each.share), 4) for each in bars],
            "color": "#8c8c8c",
            "thickness": 1.5,
            "width": 4,
        },
        customdata=[[None, each.num_trials, round(each.spread, 4)] for each in bars],
        orientation="h",
        marker={"color": colour},
        hovertemplate=said + NO_BOX,
    )
