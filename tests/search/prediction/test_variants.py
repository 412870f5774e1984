"""The question of a command line, and the searches that follow from it."""

import pytest

from search.prediction.questions import make_question
from search.prediction.variants import Question, make_variants
from spaces.files.errors import ConfigError
from tests.worlds.simulated_run import MAX_EPOCHS


def asked(view, *, vary=(), workers="1", assignments=()):
    return make_question(view, None, assignments=assignments, vary=vary, workers=workers)


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
     ({"vary": ["objective=veer,params"]},
      "--vary objective: veer simulate plays searches with the one goal veer, .* vary another"),
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
