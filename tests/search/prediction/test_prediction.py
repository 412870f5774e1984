import dataclasses
from datetime import UTC, datetime

import numpy as np
import pytest

from search.config.reading import read_search_config
from search.prediction.advice import advice
from search.prediction.estimates import Estimate, chance, mean_of, of_searches
from search.prediction.played_search import play_search
from search.prediction.prediction import predict, prepare, races_of
from search.prediction.prediction_page import Answer, write_prediction_page
from search.prediction.prediction_table import basis_lines, result_rows, result_table
from search.prediction.questions import asked_lines, make_question
from search.prediction.scaling import (
    ARMS,
    ScalingPoint,
    effort_in_words,
    end_of_scaling,
    run_races,
)
from tests.worlds.simulated_run import MAX_EPOCHS, KnownStudents

SILENT = lambda *_: None  # noqa: E731


NUM_TRIALS = 12


def asked(view, *, vary=(), workers="1", assignments=()):
    return make_question(view, None, assignments=assignments, vary=vary, workers=workers)


@pytest.fixture(scope="module")
def found(view):
    """Early stopping, fewer epochs and more workers against the given settings."""
    vary = ("scheduler.kind=asha", "max_epochs=3")
    given = (f"num_trials={NUM_TRIALS}", "repeat=0")
    setup = prepare([view], asked(view, vary=vary, workers="1,4", assignments=given))
    return setup, predict(setup, range(6), 0.5, SILENT)


def without_repeats(view, **settings):
    read = read_search_config(view.folder.settings)
    return read.model_copy(update={"repeat": 0, **settings})


class KnownWorld(KnownStudents):
    """The students of the run themselves."""

    def true_pct(self, trial, epoch):
        return 1000.0 * trial + epoch


def test_a_search_is_played_to_its_end(view, space):
    found = play_search(without_repeats(view), space, KnownWorld(), num_workers=1)
    assert (found.num_trials, found.epochs) == (24, 24 * MAX_EPOCHS)
    # Seeds, suggestions and students are those of the run, so the best is too.
    best = min(view.own, key=lambda trial: trial.best_decision_pct)
    assert found.shown_pct == pytest.approx(best.best_veer_pct)
    assert found.true_pct == 1000.0 * best.trial + best.best.epoch
    seconds = sum(epoch.duration_s for trial in view.own for epoch in trial.in_order)
    assert found.wall_s == found.worker_s == pytest.approx(seconds)


def test_repeats_count_and_choose(view, space):
    settings = read_search_config(view.folder.settings)
    found = play_search(settings, space, KnownWorld(), num_workers=1)
    assert (found.num_trials, found.epochs) == (27, 27 * MAX_EPOCHS)
    assert found.true_pct // 1000 == view.best.trial


def test_a_search_ends_at_the_veer_that_it_was_to_reach(view, space):
    settings = without_repeats(view)
    found = play_search(settings, space, KnownWorld(), num_workers=2, until_pct=1002.0)
    # The first epoch of trial 0 is worth 1: it is the incumbent at once.
    assert (found.reached_epochs, found.epochs, found.reached_s) == (1, 1, found.wall_s)
    unreached = play_search(settings, space, KnownWorld(), num_workers=2, until_pct=0.0)
    assert (unreached.reached_s, unreached.epochs) == (None, 24 * MAX_EPOCHS)


def test_a_prediction_has_what_each_search_takes(found):
    _, prediction = found
    given, parallel, stopped, short = prediction.results
    names = [each.name for each in prediction.results]
    assert names == ["as given", "4 workers", "kind asha", "max_epochs 3"]
    assert given.epochs == Estimate(value=108.0, low=108.0, high=108.0)
    assert short.epochs.value == 36.0
    assert stopped.epochs.high < 85
    assert parallel.epochs == given.epochs
    assert 2.5 < given.wall_h.value / parallel.wall_h.value <= 4
    # Two CPUs for a trial, which do nothing else.
    assert given.core_h.value == pytest.approx(2 * given.wall_h.value)
    assert given.gpu_h.value == 0
    assert short.behind_pct.low > 0.5
    assert (stopped.num_fewer, given.num_fewer) == (6, 0)


def test_the_same_seeds_give_the_same_table(found):
    setup = dataclasses.replace(found[0], variants=found[0].variants[2:3])
    one, again, other = (predict(setup, seeds, 0.5, SILENT) for seeds in ((0, 1), (0, 1), (2, 3)))
    assert one == again
    assert result_rows(other) != result_rows(one)


def test_searches_of_the_true_students_come_out_as_predicted(found, space):
    stopped, settings = found[1].results[2], found[0].variants[2].settings
    true = [
        play_search(settings.model_copy(update={"seed": seed}), space, KnownWorld(), num_workers=1)
        for seed in range(6)
    ]
    assert np.mean([each.epochs for each in true]) == pytest.approx(stopped.epochs.value, rel=0.25)
    shown = np.mean([each.shown_pct for each in true])
    assert shown == pytest.approx(stopped.shown_pct.value, rel=0.07)
    hours = np.mean([each.wall_s for each in true]) / 3600
    assert hours == pytest.approx(stopped.wall_h.value, rel=0.3)


def test_advice_names_what_saves_epochs_and_how_sure_that_is(found):
    prediction = with_seeds(found[1])
    given, _, stopped, short = prediction.results
    sure = dataclasses.replace(stopped, fewer=Estimate(value=0.5, low=0.4, high=0.6),
                               behind_pct=Estimate(value=0.1, low=-0.1, high=0.2))  # fmt: skip
    text = advice(dataclasses.replace(prediction, results=(given, sure, short)))
    assert text == (
        "kind asha would save 50 % of the epochs (95 % interval of the mean 40 % to 60 %; fewer "
        "in 6 of 20 simulated searches), with a student +0.10 points from that of the given "
        "settings (-0.10 to +0.20)"
    )
    unsure = dataclasses.replace(sure, behind_pct=Estimate(value=0.1, low=-0.1, high=0.3))
    text = advice(dataclasses.replace(prediction, results=(given, unsure, short)))
    assert text.startswith("none of the 2 changes is shown to save epochs")
    assert "; kind asha comes nearest: 50 % fewer" in text


def test_advice_is_not_given_where_nothing_is_known(found):
    prediction = found[1]
    assert "cannot be said from 6 simulated searches" in advice(prediction)
    many = with_seeds(prediction)
    poor = dataclasses.replace(prediction.quality, low=-0.1)
    assert "do not show which configs" in advice(dataclasses.replace(many, quality=poor))
    lines = " ".join(basis_lines(dataclasses.replace(many, quality=poor)))
    assert "WARNING: which configs are better is hardly known" in lines
    alone = dataclasses.replace(many, results=prediction.results[:2])
    assert "no other settings" in advice(alone)


def with_seeds(prediction):
    """As if it were of as many searches as a sentence needs."""
    return dataclasses.replace(prediction, seeds=tuple(range(20)))


def test_a_change_without_effect_is_marked_and_counts_for_nothing(view):
    # There is no early stopping, so that its settings do nothing.
    vary = ("scheduler.reduction_factor=4", "repeat=0")
    given = ("num_trials=3", "repeat=0")
    setup = prepare([view], asked(view, vary=vary, assignments=given))
    prediction = with_seeds(predict(setup, range(2), 0.5, SILENT))
    assert [row[0] for row in result_rows(prediction)] == [
        "as given", "reduction_factor 4 (same)", "repeat 0 (same)",
    ]  # fmt: skip
    (line,) = result_table(prediction).lines
    assert line.startswith("same: each search is the one of the given settings")
    assert advice(prediction).startswith("no change has an effect")


def test_a_limit_of_epochs_that_ends_every_search_is_named(view):
    given = ("num_trials=9", "repeat=0", "total_epochs=20")
    setup = prepare([view], asked(view, vary=("max_epochs=4",), assignments=given))
    prediction = with_seeds(predict(setup, range(2), 0.5, SILENT))
    (line,) = result_table(prediction).lines
    assert line.startswith("total_epochs 20 ends every search of the given settings")
    sentence = advice(prediction)
    assert "total_epochs ends every search at 20; add --set total_epochs=null" in sentence
    free = dataclasses.replace(prediction, total_epochs=None)
    assert advice(free).startswith("none of the 1 changes is shown")


def test_the_effort_is_estimated_from_two_searches_of_each_kind(found):
    setup, prediction = found
    races = [dataclasses.replace(each, until_pct=40.0) for each in races_of(setup, prediction)]
    ticks = iter((0.0, 4.0))
    text = effort_in_words(races, setup.variants[0].settings, lambda: next(ticks))
    # 6 seeds and 11 numbers of workers take 33 times the 4 seconds of two seeds.
    assert f"{66 * len(ARMS)} searches (6 seeds, 4 kinds, 11 numbers" in text
    assert "about 2 min; fewer" in text


def test_more_workers_reach_a_veer_sooner_and_less_than_linearly(found):
    setup, prediction = found
    races = [
        dataclasses.replace(each, until_pct=each.until_pct + 0.5)
        for each in races_of(setup, prediction)[:2]
    ]
    done = []
    points = run_races(races, setup.variants[0].settings, ["random, ASHA"], [1, 16],
                       lambda *each: done.append(each))  # fmt: skip
    assert done[-1] == (4, 4)
    assert [(each.num_workers, each.num_failed, each.num_races) for each in points] == [
        (1, 0, 2), (16, 0, 2)
    ]  # fmt: skip
    assert points[0].time_s.value > points[1].time_s.value
    assert points[0].efficiency == pytest.approx(1)
    assert points[1].efficiency < 1


def test_scaling_ends_where_it_first_falls_below_the_share():
    one = Estimate(value=1.0, low=1.0, high=1.0)
    points = [
        ScalingPoint(arm="random", num_workers=workers, time_s=one, epochs=1.0, num_failed=0,
                     speedup=Estimate(value=speedup, low=0, high=0), num_races=1)
        for workers, speedup in ((1, 1.0), (8, 7.0), (64, 40.0), (128, 120.0))
    ]  # fmt: skip
    assert end_of_scaling(points) == 8


def test_intervals_are_those_of_their_definitions():
    assert of_searches(list(range(101))) == Estimate(value=50.0, low=2.5, high=97.5)
    # Student's t with 3 degrees of freedom: 3.182.
    found = mean_of([1.0, 2.0, 3.0, 4.0])
    error = np.std([1, 2, 3, 4], ddof=1) / 2
    assert (found.high - 2.5) / error == pytest.approx(3.182, abs=1e-3)
    assert mean_of([1.0]).high == np.inf
    # 0 of 5 leaves up to 52 % possible, as docs/trust.md has it.
    assert chance(0, 5).high == pytest.approx(0.52, abs=0.005)


def test_the_page_has_what_was_asked_tables_and_charts_of_both_themes(view, found, tmp_path):
    setup, prediction = found
    races = [dataclasses.replace(each, until_pct=15.0) for each in races_of(setup, prediction)]
    points = run_races(races, setup.variants[0].settings, ["random"], [1, 4], SILENT)
    question = asked(view, vary=("max_epochs=3",), assignments=(f"num_trials={NUM_TRIALS}",))
    now = datetime(2026, 12, 1, 9, 5, tzinfo=UTC)
    lines = tuple(asked_lines([view], question, setup.variants[0].settings, now))
    out = tmp_path / "page.html"
    answer = Answer(asked=lines, found=prediction, sentence="a <b>sentence</b>")
    write_prediction_page(out, answer, points)
    text = out.read_text()
    for part in ("<p>A &lt;b&gt;sentence", "<li>fitted to 27 trials", "kind asha",
                 'data-chart="variants"',
                 'data-chart="scaling"', "prefers-color-scheme: dark", "of linear",
                 f"{view.folder.path} (24 trials) on 2026-12-01 at 09:05 UTC",
                 "num_trials 12", "scheduler.kind none",
                 "varied on the command line: num_trials=12; max_epochs=3"):  # fmt: skip
        assert part in text
