"""The guided sampler: where its suggestions come from."""

from collections import Counter

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from results.records.earlier_trial import EarlierTrial
from search.guided.guided import LOCAL_SHARE, NUM_JUDGING, NUM_STARTUP, RANDOM_SHARE, Guided
from search.guided.outcomes import OutcomeReader
from search.guided.prior import Prior
from search.guided.unit_space import UnitSpace
from search.suggest.suggestions import Suggestions
from spaces.dimensions import Choice, Float
from spaces.space import Space

SPACE = Space(
    name="s",
    fixed={},
    dimensions=(
        Choice(name="kind", choices=("a", "b")),
        Float(name="depth", low=0.0, high=1.0, when={"kind": "b"}),
        Float(name="lr", low=0.0, high=1.0),
    ),
)
DISTRIBUTIONS = {
    "kind": CategoricalDistribution(("a", "b")),
    "depth": FloatDistribution(0, 1),
    "lr": FloatDistribution(0, 1),
}
GOOD = {"kind": "b", "depth": 0.8, "lr": 0.3}
BAD = {"kind": "a", "lr": 0.95}
RNG_SEEDS = range(400)


def trial(number, params, value=None, *, state=TrialState.COMPLETE, epochs=None, excess=0.0):
    made = create_trial(
        state=state,
        value=value,
        params=params,
        distributions={name: DISTRIBUTIONS[name] for name in params},
        intermediate_values=epochs or {},
        constraints={"max_params": excess} if excess else None,
    )
    made.number = number
    return made


def study(best=GOOD, number=40):
    """Random trials; their figure is the distance from `best`, a wrong kind counts 0.5."""
    rng = np.random.default_rng(1)
    found = []
    for place in range(number):
        params = SPACE.sample(
            lambda each: "ab"[rng.integers(2)] if each.name == "kind" else float(rng.random())
        )
        off = abs(params["lr"] - best["lr"]) + 0.5 * (params["kind"] != best["kind"])
        if "depth" in params and "depth" in best:
            off += abs(params["depth"] - best["depth"])
        found.append(trial(place, params, off))
    return found


def drawn(guided, trials):
    return [guided.draw(trials, np.random.default_rng(seed)) for seed in RNG_SEEDS]


def shares(draws):
    counted = Counter(component for _, component in draws)
    return {name: number / len(draws) for name, number in counted.items()}


def near(draws, params, within=0.3):
    close = [
        each["kind"] == params["kind"] and abs(each["lr"] - params["lr"]) < within
        for each, _ in draws
    ]
    return sum(close) / len(close)


class TestComponents:
    def test_all_is_chance_before_anything_is_known(self):
        assert shares(drawn(Guided(SPACE), [])) == {"random": 1.0}
        few = study(number=NUM_STARTUP - 1)
        assert shares(drawn(Guided(SPACE), few)) == {"random": 1.0}

    def test_a_starting_point_is_moved_before_any_trial_has_ended(self):
        draws = drawn(Guided(SPACE, Prior(first=[GOOD])), [])
        assert shares(draws) == pytest.approx({"local": 1 / 3, "random": 2 / 3}, abs=0.08)
        local = [each for each in draws if each[1] == "local"]
        assert near(local, GOOD) > 0.75
        assert len({each["lr"] for each, _ in local}) == len(local)

    def test_without_a_prior_all_but_a_tenth_is_the_models(self):
        draws = drawn(Guided(SPACE), study())
        expected = {"tpe": 1 - RANDOM_SHARE, "random": RANDOM_SHARE}
        assert shares(draws) == pytest.approx(expected, abs=0.05)
        assert RANDOM_SHARE >= 0.1

    def test_shares_with_a_prior_that_explains_the_best_trials(self):
        found = shares(drawn(Guided(SPACE, Prior(first=[GOOD])), study()))
        # Of the prior's third as much as the best trials are nearer to it than all are.
        assert LOCAL_SHARE / 3 < found["local"] < LOCAL_SHARE
        assert found["random"] == pytest.approx(RANDOM_SHARE, abs=0.05)


class TestPrior:
    def test_a_prior_that_misleads_is_left(self):
        few = study(GOOD, number=NUM_JUDGING)
        assert shares(drawn(Guided(SPACE, Prior(first=[BAD])), few))["random"] > 0.95
        late = shares(drawn(Guided(SPACE, Prior(first=[BAD])), study(GOOD)))
        assert late.get("local", 0) < 0.05
        assert late["random"] < RANDOM_SHARE + 0.05

    def test_local_moves_start_from_the_best_trials_too(self):
        # The best trials of all are elsewhere, most of the best third is near the prior.
        trials = [*study(GOOD), *(trial(40 + n, BAD, -1.0) for n in range(3))]
        local = [e for e in drawn(Guided(SPACE, Prior(first=[GOOD])), trials) if e[1] == "local"]
        assert 0.2 < near(local, BAD) < near(local, GOOD)

    def test_earlier_trials_teach_the_model_at_a_discount(self):
        earlier = [
            EarlierTrial(source="r", trial=n, params=GOOD if n < 3 else BAD, place=n / 9)
            for n in range(10)
        ]
        first = drawn(Guided(SPACE, Prior(earlier=earlier)), [])
        assert shares(first) == pytest.approx(
            {"local": 1 / 6, "tpe": 1 / 6, "random": 2 / 3}, abs=0.08
        )
        assert near([each for each in first if each[1] == "tpe"], GOOD) > 0.7
        # Own results that contradict them outweigh them.
        own = study(BAD, number=100)
        taught = Guided(SPACE, Prior(earlier=earlier))
        late = [each for each in drawn(taught, own) if each[1] == "tpe"]
        assert near(late, BAD) > 0.8


    def test_earlier_trials_that_the_own_ones_contradict_are_not_heeded(self):
        own = study(GOOD)
        by_figure = sorted(own, key=lambda each: each.value)
        places = {each.number: place / 39 for place, each in enumerate(by_figure)}
        agreeing, reversed_ = (
            [
                EarlierTrial(source="r", trial=each.number, params=each.params, place=place)
                for each in own
                for place in [abs(turn - places[each.number])]
            ]
            for turn in (0, 1)
        )
        alone = drawn(Guided(SPACE), own)
        assert drawn(Guided(SPACE, Prior(earlier=reversed_)), own) == alone
        assert drawn(Guided(SPACE, Prior(earlier=agreeing)), own) != alone


class TestModel:
    def test_it_draws_where_the_good_trials_are(self):
        assert near(self.draws(study()), GOOD) > 0.9

    def test_running_trials_are_kept_away_from(self):
        running = [trial(40 + place, GOOD, state=TrialState.RUNNING) for place in range(10)]
        alone, beside = self.draws(study()), self.draws(study() + running)
        assert near(beside, GOOD, 0.1) < near(alone, GOOD, 0.1) / 2

    def draws(self, trials):
        draws = drawn(Guided(SPACE), trials)
        return [each for each in draws if each[1] == "tpe"]


class TestOutcomes:
    def test_order_of_the_trials(self):
        pruned, fail = TrialState.PRUNED, TrialState.FAIL
        trials = [
            trial(0, {"kind": "a", "lr": 0.0}, 9.0),
            trial(1, {"kind": "a", "lr": 0.1}, state=pruned, epochs={1: 30.0, 3: 8.0}),
            trial(2, {"kind": "a", "lr": 0.2}, state=pruned, epochs={9: 8.5}),
            trial(3, {"kind": "a", "lr": 0.3}, state=pruned, excess=0.5),
            trial(4, {"kind": "a", "lr": 0.4}, state=fail),
            trial(5, {"kind": "a", "lr": 0.5}, state=TrialState.RUNNING),
            trial(6, {"kind": "a", "lr": 0.6}, 7.0),
            trial(7, {"kind": "a", "lr": 0.7}, state=pruned, epochs={9: 8.2}),
            trial(8, {"kind": "a", "lr": 0.8}, state=pruned, excess=0.1),
        ]
        outcomes = OutcomeReader(UnitSpace(SPACE)).read(trials)
        assert outcomes.ended[:, 2].tolist() == [0.6, 0.0, 0.7, 0.2, 0.1, 0.8, 0.3]
        assert outcomes.age.tolist() == [4, 0, 5, 2, 1, 6, 3]
        assert outcomes.running[:, 2].tolist() == [0.5]
        assert len(outcomes.best(99)) == outcomes.num_inside == 5

    def test_only_trials_outside_the_limits_are_no_centre(self):
        outside = [
            trial(n, GOOD, state=TrialState.PRUNED, excess=1.0) for n in range(NUM_STARTUP)
        ]
        assert "local" not in shares(drawn(Guided(SPACE), outside))


def test_suggestions_name_what_drew_them():
    suggestions = Suggestions(SPACE, kind="guided", seed=0, prior=Prior(first=[GOOD]))
    asked = []
    for number in range(40):
        asked.append(suggestions.suggest())
        veer_pct = 10 + abs(asked[-1].params["lr"] - GOOD["lr"])
        suggestions.report(number, 1, veer_pct)
        suggestions.end(number, "complete", veer_pct)
    assert asked[0].params == GOOD
    assert asked[0].drawn_by == "start"
    assert {each.drawn_by for each in asked[1:]} == {"random", "local", "tpe"}
    assert suggestions.suggest(at_random=True).drawn_by == "random"
