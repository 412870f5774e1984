"""Suggestions that need not or must not be run."""

import pytest
from optuna.trial import TrialState

from results.journal.journal import read_journal
from results.records.earlier_trial import EarlierTrial
from search.loop.proposals import MAX_IN_A_ROW
from spaces.dimensions import Choice, Integer
from spaces.space import Space
from tests.worlds.proposing import BOTH_WEIGHTS, NINE, WIDE, at_most_64_wide, events, never
from tests.worlds.views import rebuild_study

NARROW = {"model.hidden_dim": 32, "training.lr": 1e-3}
# Of the simulated searches; a prior that is not among the best gets no local moves.
BEST = NARROW | {"model.hidden_dim": 256}
EARLIER = [
    EarlierTrial(
        source="r", trial=n, params=NARROW | {"model.hidden_dim": 256 - 8 * n}, place=n / 7
    )
    for n in range(8)
]


class TestRepeats:
    def test_same_config_is_not_run_twice(self, begin, tmp_path):
        search = begin(NINE)
        search.run()
        hashes = [course.config.recipe_hash() for course in search.coordinator.trials]
        assert len(hashes) == len(set(hashes)) == 9
        repeated = events(tmp_path / "journal", "repeated")
        assert repeated
        for record in repeated:
            twin = search.coordinator.trials[record["same_as"]]
            assert twin.suggestion.params == record["params"]

    def test_sampler_gets_the_known_value(self, begin):
        search = begin(NINE)
        search.run()
        for trial in search.suggestions.study.trials:
            width, blocks = trial.params["model.hidden_dim"], trial.params["model.num_blocks"]
            assert trial.state is TrialState.COMPLETE
            assert trial.value == 30.0 - width / 16 - blocks - 3
            assert len(trial.intermediate_values) == 3

    def test_repeat_of_a_running_trial_gets_its_value_when_that_ends(self, begin):
        search = begin(NINE)
        courses = [search.coordinator.next_trial() for _ in range(9)]
        assert search.coordinator.next_trial() is None
        waiting = [t for t in search.suggestions.study.trials if t.state is TrialState.RUNNING]
        assert len(waiting) == search.suggestions.num_suggested > 9
        for course in courses:
            for epoch in (1, 2, 3):
                search.coordinator.report(course.trial, epoch, 20.0 + course.trial, {})
        states = {trial.state for trial in search.suggestions.study.trials}
        assert states == {TrialState.COMPLETE}

    def test_failed_trial_does_not_rule_out_its_config(self, begin):
        search = begin(NINE, first=[{"model.hidden_dim": 16, "model.num_blocks": 1}] * 2)
        first = search.coordinator.next_trial()
        search.coordinator.end(first.trial, "failed", "the node was lost")
        second = search.coordinator.next_trial()
        assert second.config.recipe_hash() == first.config.recipe_hash()

    def test_repetitions_have_seeds_of_their_own(self, begin):
        search = begin(NINE, num_trials=27, repetitions=3)
        search.run()
        by_recipe: dict[str, set[int]] = {}
        for course in search.coordinator.trials:
            by_recipe.setdefault(course.config.recipe_hash(), set()).add(course.config.seed)
        assert [len(seeds) for seeds in by_recipe.values()] == [3] * 9

    def test_search_ends_when_a_small_space_has_been_run(self, begin, tmp_path):
        search = begin(NINE, num_trials=50)
        search.run()
        assert len(search.coordinator.trials) == 9
        assert search.coordinator.is_finished
        assert search.coordinator.exhausted.startswith(
            "200 suggestions in a row broke a limit or had been run before (the last: the config "
            "of trial "
        )
        assert len(events(tmp_path / "journal", "repeated")) >= MAX_IN_A_ROW

    @pytest.mark.parametrize("kind", ["tpe", "guided"])
    def test_settled_sampler_is_helped_by_chance(self, begin, kind):
        search = begin(NINE, kind=kind, num_trials=9)
        search.run()
        assert len(search.coordinator.trials) == 9


class TestLimits:
    def test_config_outside_the_limits_costs_no_trial(self, begin, tmp_path):
        search = begin(WIDE, num_trials=12, check=at_most_64_wide)
        search.run()
        assert [course.trial for course in search.coordinator.trials] == list(range(12))
        assert all(course.config.model.hidden_dim <= 64 for course in search.coordinator.trials)
        infeasible = events(tmp_path / "journal", "infeasible")
        assert infeasible
        for record in infeasible:
            (violation,) = record["violations"]
            width = record["params"]["model.hidden_dim"]
            assert violation == {
                "limit": "max_width",
                "value": width,
                "allowed": 64,
                "is_estimated": False,
                "text": None,
            }

    def test_study_knows_how_far_a_config_is_outside(self, begin):
        search = begin(WIDE, num_trials=5, check=at_most_64_wide)
        search.run()
        outside = [t for t in search.suggestions.study.trials if t.constraints]
        assert outside
        for trial in outside:
            assert trial.state is TrialState.PRUNED
            assert trial.constraints == {"max_width": trial.params["model.hidden_dim"] / 64 - 1}

    def test_samplers_learn_where_the_limits_are(self, begin):
        drawn = {}
        for kind in ("tpe", "guided", "random"):
            search = begin(WIDE, name=kind, kind=kind, num_trials=40, check=at_most_64_wide)
            search.run()
            drawn[kind] = search.suggestions.num_suggested
        assert drawn["tpe"] < drawn["random"] / 1.5
        assert drawn["guided"] < drawn["random"] / 1.5

    def test_space_without_a_config_inside_ends_the_search(self, begin):
        search = begin(WIDE, check=never)
        search.run()
        assert search.coordinator.trials == []
        assert "the last: max_params is 1, the config has 2" in search.coordinator.exhausted
        assert search.suggestions.num_suggested == MAX_IN_A_ROW

    def test_rule_of_the_config_that_a_combination_breaks_rejects_it(self, begin, tmp_path):
        search = begin(BOTH_WEIGHTS, num_trials=12)
        courses = [search.coordinator.next_trial() for _ in range(12)]
        assert all(c.config.loss.alpha + c.config.loss.beta <= 1 for c in courses)
        violation = events(tmp_path / "journal", "infeasible")[0]["violations"][0]
        assert violation["limit"] == "config"
        assert "alpha + beta must be at most 1, got alpha=" in violation["text"]


class TestGrid:
    # 4 of 9 points break alpha + beta <= 1; the first 300 of the long one are too wide.
    WEIGHTS = Space(
        name="weights",
        fixed={"model": {"family": "mlp_mixer_autoencoder"}},
        dimensions=(
            Choice(name="loss.alpha", choices=(0.5, 0.75, 0.9)),
            Choice(name="loss.beta", choices=(0.1, 0.3, 0.4)),
        ),
    )
    LONG = Space(
        name="long",
        fixed={"model": {"family": "mlp_mixer", "num_blocks": 1}},
        dimensions=(
            Choice(name="model.hidden_dim", choices=(128, 64)),
            Integer(name="training.batch_size", low=2, high=301),
        ),
    )

    def test_points_that_no_config_can_have_are_passed_over(self, begin, tmp_path):
        search = begin(self.WEIGHTS, kind="grid", num_trials=5)
        search.run()
        assert len(search.coordinator.trials) == 5
        assert search.coordinator.is_finished
        assert len(events(tmp_path / "journal", "infeasible")) == 4
        # 0.9 and 0.1 add up to 1 but for rounding.
        assert search.coordinator.trials[-1].config.loss.classification_weight == 0
        study = rebuild_study(read_journal(tmp_path / "journal"), self.WEIGHTS.dimensions)
        broken = [t for t in study.trials if t.constraints]
        assert [trial.constraints for trial in broken] == [{"config": 1.0}] * 4
        assert "alpha + beta must be at most 1" in broken[0].user_attrs["infeasible"]

    def test_long_run_of_rejected_points_does_not_end_it(self, begin):
        search = begin(self.LONG, kind="grid", num_trials=600, check=at_most_64_wide)
        for _ in range(300):
            course = search.coordinator.next_trial()
            assert course.config.model.hidden_dim == 64
            search.coordinator.end(course.trial, "diverged", "not run here")
        assert search.coordinator.next_trial() is None
        assert search.coordinator.exhausted == "every config of the grid has been tried"


@pytest.mark.parametrize(
    ("space", "options"),
    [
        (NINE, {"num_trials": 50}),
        (NINE, {"num_trials": 18, "repetitions": 2}),
        (WIDE, {"num_trials": 10, "check": at_most_64_wide}),
        (WIDE, {"num_trials": 13, "kind": "tpe", "check": at_most_64_wide}),
        (NINE, {"num_trials": 50, "kind": "guided"}),
        (WIDE, {"num_trials": 20, "kind": "guided", "check": at_most_64_wide}),
        (WIDE, {"num_trials": 20, "kind": "guided", "first": [NARROW], "earlier": EARLIER}),
    ],
)
def test_search_resumed_after_each_trial_ends_as_an_undisturbed_one(
    begin, tmp_path, space, options
):
    whole = begin(space, name="whole", **options)
    whole.run()
    for _ in range(len(whole.coordinator.trials) + 2):
        begin(space, name="parts", **options).run(most=1)
    assert events(tmp_path / "parts") == events(tmp_path / "whole")


@pytest.mark.parametrize("kind", ["tpe", "guided"])
def test_first_suggestions_are_the_given_ones(begin, kind):
    first = [{"model.hidden_dim": 24, "training.lr": 1e-3}]
    search = begin(WIDE, kind=kind, first=first)
    assert search.coordinator.next_trial().suggestion.params == first[0]
    assert search.coordinator.next_trial().suggestion.params != first[0]


def test_the_start_of_a_trial_names_what_drew_it(begin, tmp_path):
    search = begin(WIDE, kind="guided", num_trials=30, first=[BEST])
    search.run()
    drawn_by = [record["drawn_by"] for record in events(tmp_path / "journal", "trial_started")]
    assert drawn_by[0] == "start"
    assert set(drawn_by[1:]) == {"tpe", "local", "random"}
    again = begin(WIDE, kind="guided", num_trials=30, first=[BEST])
    courses = again.coordinator.trials
    assert [course.suggestion.drawn_by for course in courses] == drawn_by
