"""Importance of parameters for the VEER of complete trials, by Optuna's fANOVA.

fANOVA (Hutter, Hoos and Leyton-Brown, 2014) divides the variance of the VEER, as a random forest
predicts it, among the parameters. It needs parameters that all its trials have. A conditional
parameter, which only some trials have, is evaluated on those trials, together with the parameters
that all trials have. Its share is one of their variance, and the colour of its bar shows that.

The few complete trials of a search are a small sample. So the forest is trained several times, on
bootstrap samples of the trials and with different seeds. A bar is the mean of the shares, its line
their standard deviation.
"""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, pstdev
from textwrap import wrap

import optuna
import plotly.graph_objects as go
from optuna.trial import FrozenTrial

from results.analysis.run_view import RunView
from results.figures.style import NO_BOX, SERIES_COLOURS, axis, label_text, new_figure
from results.trackers.distributions import to_distribution

MIN_TRIALS = 5
# Trials in a bootstrap sample: more would add little but time, which grows with their square.
_MAX_DRAWN = 80
_NUM_DRAWS = 5
_NUM_TREES = 12
_MAX_DEPTH = 8
_MAX_BARS = 20
_MAX_NAMED = 6
# Fits a narrow screen.
_MAX_LINE_CHARS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """The share of the variance of the VEER that a parameter explains.

    Attributes:
        name: Dotted name of the parameter.
        share: Mean of the shares over the bootstrap samples, 0 to 1.
        spread: Standard deviation of those shares.
        num_trials: Number of complete trials that have the parameter.
        is_conditional: Whether only some of the complete trials have it.
    """

    name: str
    share: float
    spread: float
    num_trials: int
    is_conditional: bool


def importance(view: RunView) -> go.Figure | None:
    """Draw the importance of parameters; None below 5 complete trials or 2 parameters."""
    every = importances(view)
    if not every:
        return None
    found = every[:_MAX_BARS]
    figure = new_figure("", "", height_px=110 + 28 * len(found))
    for is_conditional, colour in ((False, SERIES_COLOURS[0]), (True, SERIES_COLOURS[3])):
        bars = [each for each in reversed(found) if each.is_conditional == is_conditional]
        if bars:
            figure.add_trace(_bars(view, bars, colour))
            only = "the trials where it has an effect"
            every_one = f"all {bars[0].num_trials} complete trials"
            figure.data[-1].name = only if is_conditional else every_one
    title = "share of the variance of the VEER (fANOVA)" + _left_out_note(view, every)
    figure.update_xaxes(**axis(title, tickformat=".0%", rangemode="tozero"))
    order = [label_text(view.short_names[each.name]) for each in reversed(found)]
    figure.update_yaxes(showgrid=False, categoryorder="array", categoryarray=order)
    return figure


def _left_out_note(view: RunView, found: Sequence[Importance]) -> str:
    """Return a note on parameters that varied but have no bar; empty if there are none."""
    known = {each.name for each in found}
    rest = [label_text(view.short_names[name]) for name in view.varied if name not in known]
    if not rest:
        return ""
    more = f" and {len(rest) - _MAX_NAMED} more" * (len(rest) > _MAX_NAMED)
    names = ", ".join(rest[:_MAX_NAMED])
    note = f"no bar, since too few complete trials differ in it: {names}{more}"
    return "".join(f"<br>{line}" for line in wrap(note, _MAX_LINE_CHARS))


def importances(view: RunView, seed: int = 0) -> list[Importance]:
    """Return the importance of each sampled parameter that varied, the largest share first.

    The list is empty below 5 complete trials, and where fewer than two parameters varied in them.

    Args:
        view: The run. Only complete trials of the search itself count, no follow-ups.
        seed: Seed of the bootstrap samples and the forests.
    """
    distributions = {each.name: to_distribution(each) for each in view.dimensions}
    complete = [
        optuna.trial.create_trial(
            params=trial.params,
            distributions={name: distributions[name] for name in trial.params},
            value=trial.best_veer_pct,
        )
        for trial in view.own
        if trial.state == "complete" and trial.best_veer_pct is not None
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
            others = [each for each in common if _varies(each, having)]
            shares = _shares(having, [*others, name], seed).get(name)
            if shares is not None:
                found.append(_importance(name, shares, len(having), is_conditional=True))
    return sorted(found, key=lambda each: -each.share)


def _varies(name: str, trials: Sequence[FrozenTrial]) -> bool:
    return len({repr(trial.params[name]) for trial in trials if name in trial.params}) > 1


def _shares(
    trials: Sequence[FrozenTrial], names: Sequence[str], seed: int
) -> Mapping[str, list[float]]:
    """Return the shares of each parameter in all bootstrap samples.

    Empty for fewer than two parameters: a single one would always have all of the variance.
    """
    if len(names) < 2:
        return {}
    # At INFO, Optuna logs a line for each study that it creates.
    logging.getLogger("optuna").setLevel(logging.WARNING)
    shares: dict[str, list[float]] = {name: [] for name in names}
    rng = random.Random(seed)
    for draw in range(_NUM_DRAWS):
        drawn = rng.choices(trials, k=min(len(trials), _MAX_DRAWN))
        found = _fanova(drawn, names, seed + draw)
        for name in names:
            shares[name].append(found.get(name, 0.0))
    return shares


def _fanova(trials: Sequence[FrozenTrial], names: Sequence[str], seed: int) -> Mapping[str, float]:
    """Return shares that add up to 1; empty where all trials have the same VEER."""
    # Without variance fANOVA would divide by zero.
    if len({trial.value for trial in trials}) == 1:
        return {}
    # Not at the top: it imports scikit-learn and SciPy's statistics, which takes a second.
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    study = optuna.create_study(direction="minimize")
    study.add_trials(trials)
    evaluator = FanovaImportanceEvaluator(n_trees=_NUM_TREES, max_depth=_MAX_DEPTH, seed=seed)
    shares = get_param_importances(study, evaluator=evaluator, params=list(names))
    return {name: float(share) for name, share in shares.items()}


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
    hover = "<b>%{y}</b>: %{x:.1%} ± %{customdata[2]:.1%}<br>on %{customdata[1]} complete trials"
    return go.Bar(
        x=[round(each.share, 4) for each in bars],
        y=[label_text(view.short_names[each.name]) for each in bars],
        # A share is between 0 and 1, so the line of its spread is cut there.
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
        hovertemplate=hover + NO_BOX,
    )
