"""DET curves and histograms against scikit-learn and by hand."""

from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import det_curve as sklearn_det_curve

from results.analysis.run_view import RunView
from results.figures.det_curves import MAX_DET_POINTS, TICKS_PCT, det_curve, det_curves
from results.figures.score_histograms import NUM_BINS, score_histograms
from tests.results.figures.drawing import named
from tests.worlds.made_up_run import MadeUpScores, made_up_scores
from trainable.verification.metrics import eer_threshold, equal_error_rate

GAUSS = NormalDist()


def pairs(targets: list[float], others: list[float]) -> MadeUpScores:
    scores = np.array([*targets, *others], dtype=np.float32)
    is_target = np.array([True] * len(targets) + [False] * len(others))
    return MadeUpScores(scores, is_target)


def test_a_curve_by_hand() -> None:
    # From the highest score down: target .9, other .8, targets .7 .6, others .5 .4 .3.
    curve = det_curve(pairs([0.9, 0.7, 0.6], [0.8, 0.5, 0.4, 0.3]))
    assert curve.fpr_pct.tolist() == pytest.approx([25, 25])
    assert curve.fnr_pct.tolist() == pytest.approx([200 / 3, 100 / 3])


def test_every_point_is_one_of_scikit_learns() -> None:
    found = made_up_scores(3, num_pairs=400)
    fpr, fnr, _ = sklearn_det_curve(found.is_target, found.scores)
    theirs = {(round(100 * x, 9), round(100 * y, 9)) for x, y in zip(fpr, fnr, strict=True)}
    curve = det_curve(found)
    points = zip(curve.fpr_pct, curve.fnr_pct, strict=True)
    assert {(round(x, 9), round(y, 9)) for x, y in points} <= theirs


def test_thinning_keeps_the_ends_and_strays_little() -> None:
    found = made_up_scores(4, num_pairs=20_000)
    fpr, fnr, _ = sklearn_det_curve(found.is_target, found.scores)
    inside = (fpr > 0) & (fpr < 1) & (fnr > 0) & (fnr < 1)
    curve = det_curve(found)
    assert MAX_DET_POINTS / 2 < curve.fpr_pct.size <= MAX_DET_POINTS
    for ours, theirs in ((curve.fpr_pct, fpr[inside]), (curve.fnr_pct, fnr[inside])):
        ends = [100 * theirs.min(), 100 * theirs.max()]
        assert sorted([ours[0], ours[-1]]) == pytest.approx(ends)
    # On the whole curve the rate between two kept points is that of a straight line, nearly.
    order = np.argsort(fpr[inside])
    between = np.interp(fpr[inside][order], curve.fpr_pct / 100, curve.fnr_pct / 100)
    middle = (fpr[inside][order] > 0.01) & (fpr[inside][order] < 0.5)
    assert np.abs(between - fnr[inside][order])[middle].max() < 0.01


def test_the_figure_has_probit_axes_with_percent_and_marks_the_eer(view: RunView) -> None:
    figure = det_curves(view)
    assert figure is not None
    assert figure.layout.xaxis.ticktext == tuple(f"{pct:g}" for pct in TICKS_PCT)
    assert figure.layout.xaxis.tickvals[TICKS_PCT.index(20)] == pytest.approx(-0.8416, abs=1e-4)
    assert view.best is not None
    found = made_up_scores(view.best.trial)
    eer_pct = equal_error_rate(found.scores, found.is_target)
    line = named(figure, f"best: trial {view.best.trial}, EER {eer_pct:.2f} %")
    x, (number, fpr_pct, _) = line.x[7], line.customdata[7]
    assert number == view.best.trial
    assert x == pytest.approx(GAUSS.inv_cdf(fpr_pct / 100), abs=1e-3)
    mark = figure.data[list(figure.data).index(line) + 1]
    assert mark.x == mark.y == (pytest.approx(GAUSS.inv_cdf(eer_pct / 100), abs=1e-4),)
    assert named(figure, "teacher").line.dash == "dash"


def test_scores_that_part_without_error_make_no_curve_and_no_fault() -> None:
    curve = det_curve(pairs([0.9, 0.8], [0.2, 0.1]))
    assert curve.fpr_pct.size == curve.fnr_pct.size == 0


def test_histograms_hold_every_pair_once(view: RunView) -> None:
    figure = score_histograms(view)
    assert figure is not None
    assert view.best is not None
    found = made_up_scores(view.best.trial)
    others, targets, *_ = figure.data
    assert len(targets.x) == NUM_BINS
    assert sum(targets.y) == pytest.approx(1, abs=1e-3)
    assert sum(count for _, count in targets.customdata) == found.is_target.sum()
    assert sum(count for _, count in others.customdata) == (~found.is_target).sum()


def test_the_line_stands_at_the_threshold_of_the_eer(view: RunView) -> None:
    figure = score_histograms(view)
    assert figure is not None
    assert view.best is not None
    found = made_up_scores(view.best.trial)
    line = figure.layout.shapes[0]
    assert line.x0 == line.x1 == pytest.approx(eer_threshold(found.scores, found.is_target))
    rejected = (found.scores[found.is_target] < line.x0).mean()
    accepted = (found.scores[~found.is_target] >= line.x0).mean()
    eer_pct = equal_error_rate(found.scores, found.is_target)
    assert 100 * rejected == pytest.approx(eer_pct, abs=0.2)
    assert 100 * accepted == pytest.approx(eer_pct, abs=0.2)
