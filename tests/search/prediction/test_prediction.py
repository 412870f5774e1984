import dataclasses

import numpy as np
import pytest

from search.config.reading import read_search_config
from search.prediction.advice import advice
from search.prediction.estimates import Estimate, chance, mean_of, of_searches
from search.prediction.played_search import play_search
from search.prediction.prediction import predict, prepare, races_of
from search.prediction.prediction_page import write_prediction_page
from search.prediction.prediction_table import basis_lines, result_rows
from search.prediction.questions import make_question
from search.prediction.scaling import ScalingPoint, end_of_scaling, run_races
from search.prediction.variants import Question, make_variants
from spaces.files.errors import ConfigError
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
    prediction = dataclasses.replace(found[1], seeds=tuple(range(20)))
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
    many = dataclasses.replace(prediction, seeds=tuple(range(20)))
    poor = dataclasses.replace(prediction.quality, low=-0.1)
    assert "do not show which configs" in advice(dataclasses.replace(many, quality=poor))
    lines = " ".join(basis_lines(dataclasses.replace(many, quality=poor)))
    assert "WARNING: which configs are better is hardly known" in lines
    alone = dataclasses.replace(many, results=prediction.results[:2])
    assert "no other settings" in advice(alone)


def test_the_usual_changes_are_those_of_early_stopping_and_epochs(view):
    _, variants = make_variants(asked(view), 9)
    assert [each.name for each in variants] == [
        "as given", "kind asha, grace_epochs auto", "kind asha, grace_epochs 1",
        "kind asha, grace_epochs 3", "max_epochs 4", "max_epochs 18",
    ]  # fmt: skip
    stops = ("scheduler.kind=asha",)
    _, variants = make_variants(asked(view, assignments=stops), 9)
    assert [each.name for each in variants[1:]] == [
        "kind none", "grace_epochs 1", "grace_epochs 3", "reduction_factor 2",
        "reduction_factor 4", "max_epochs 4", "max_epochs 18",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [({"workers": "1,2000"}, "--workers takes whole numbers from 1 to 1,024.*got '1,2000'"),
     ({"workers": "two"}, "got 'two'"),
     ({"vary": ["max_epochs"]}, "--vary takes KEY=VALUE.*max_epochs=9,27, got 'max_epochs'"),
     ({"vary": ["seed=1,2"]}, "--vary seed: all searches .* vary another setting"),
     ({"assignments": ["max_epochs=19"]}, "max_epochs must be at most 18, 2 times .* got 19"),
     ({"vary": ["scheduler.grace_epoch=1"]}, "did you mean 'grace_epochs'")],
    ids=str,
)  # fmt: skip
def test_bad_questions_are_refused(view, words, message):
    with pytest.raises(ConfigError, match=message):
        make_variants(asked(view, **words), 9)


def test_workers_are_those_of_the_settings_by_default(view):
    own = make_question(view, None, assignments=("max_concurrent=3",), vary=(), workers=None)
    assert own.workers == (3,)
    assert make_question(view, None, assignments=(), vary=(), workers=None).workers == (1,)


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


def test_the_page_has_tables_and_charts_of_both_themes(found, tmp_path):
    setup, prediction = found
    races = [dataclasses.replace(each, until_pct=15.0) for each in races_of(setup, prediction)]
    points = run_races(races, setup.variants[0].settings, ["random"], [1, 4], SILENT)
    out = tmp_path / "page.html"
    write_prediction_page(out, prediction, "a <b>sentence</b>", points)
    text = out.read_text()
    for part in ("a &lt;b&gt;sentence", "kind asha", 'data-chart="variants"',
                 'data-chart="scaling"', "prefers-color-scheme: dark", "of linear"):  # fmt: skip
        assert part in text


def test_a_question_keeps_the_settings_file(view, tmp_path):
    file = tmp_path / "mine.yaml"
    own = (view.folder.path / "search.yaml").read_text()
    file.write_text(own.replace("num_trials: 24", "num_trials: 5"))
    (tmp_path / "space.yaml").write_text((view.folder.path / "space.yaml").read_text())
    question = make_question(view, file, assignments=(), vary=("num_trials=7",), workers="2")
    assert isinstance(question, Question)
    _, variants = make_variants(question, 9)
    assert [each.settings.num_trials for each in variants] == [5, 7]
    assert {each.num_workers for each in variants} == {2}


def test_several_goals_are_refused_with_the_way_out(view):
    message = r"plays searches with the one goal veer.*got objective veer, params; add --set obj"
    with pytest.raises(ConfigError, match=message):
        make_variants(asked(view, assignments=("objective=veer,params",)), MAX_EPOCHS)
