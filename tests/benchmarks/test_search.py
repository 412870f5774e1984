"""The benchmark `search`: arms, incumbents, kept searches, figures and bars."""

import argparse
import json
from itertools import islice

import numpy as np
import pytest

from tests.benchmarks.peer_tools import PeerProcess, PeerTool, fitting, plain_dimension
from tests.benchmarks.search import by_arm, finished, run_arms, setup_of
from tests.benchmarks.search_arms import AFTER, ARMS, RANDOM, Arm, search
from tests.benchmarks.search_bars import verdicts
from tests.benchmarks.search_cases import Bank, Case, best_of_random
from tests.benchmarks.search_figures import (
    Search,
    crossing,
    crossing_ratio,
    difference_line,
    keep,
    kept_searches,
    ratio_to,
)
from tests.benchmarks.search_play import Played, incumbents
from tests.benchmarks.search_problem import Student

FAKE_PEER = """
import os, sys
sys.path.insert(0, os.getcwd())
from protocol import serve

class Fake:
    def __init__(self, asked):
        self.asked, self.num, self.told = asked, 0, []
    def ask(self):
        self.num += 1
        # Trial 0 is promoted: asked for a second time.
        params = {each["name"]: each["low"] - 1e-9 for each in self.asked["space"]}
        return (0 if self.num == 3 else min(self.num - 1, 2)), params
    def tell(self, trial, epoch, figure_pct, *, diverged):
        print("a tool's own output")
        return epoch % 3 != 0 and not diverged

serve(Fake)
"""


class Line:
    """A problem with one parameter, which is the true value; the noise is none."""

    max_epochs = 6

    def __init__(self):
        from spaces.dimensions import Float
        from spaces.space import Space

        self.space = Space(
            name="line", fixed={}, dimensions=(Float(name="loss.margin", low=0.0, high=1.0),)
        )

    def student(self, params):
        true_pct = 10 + 10 * params["loss.margin"] + 6.0 / np.arange(1, self.max_epochs + 1)
        return Student(veer_pct=true_pct, dprime=None, true_pct=true_pct, epoch_s=1.0)


def case(target_pct=12.0, budget=200, seed=0):
    return Case(
        name=f"line {seed}",
        group="line",
        seed=seed,
        make=lambda _: Line(),
        target_pct=target_pct,
        budget=budget,
    )


def bank(*cases, ends_at_target=True):
    return Bank(name="A", size=1, cases=cases, ends_at_target=ends_at_target)


def arm(name="random", **settings):
    return Arm(name=name, settings={"sampler": "random", "scheduler": {"kind": "none"}} | settings)


def made_search(epochs, *, name="x", case="0", group="g", values=((1, 9.0),)):
    return Search(
        setup=f"{name}{case}", arm=name, bank="A", case=case, group=group, reached=epochs,
        budget=1000, cpu_s=0.0, incumbents=tuple(values),
    )  # fmt: skip


class TestPlaying:
    def test_an_incumbent_is_the_lowest_figure_so_far(self):
        figures = [9.0, float("nan"), 8.0, 8.0, 9.5, 7.0]
        played = [
            Played(time_s=n, worker=0, trial=n, epoch=1, figure_pct=f, true_pct=10.0 * n)
            for n, f in enumerate(figures)
        ]
        assert list(incumbents(played, 100)) == [(1, 0.0), (3, 20.0), (6, 50.0)]
        assert list(incumbents(played, 5)) == [(1, 0.0), (3, 20.0)]

    def test_a_search_succeeds_with_the_first_true_incumbent(self):
        found = finished(arm(), bank(case()), case(), search(arm(), case()))
        played = list(islice(search(arm(), case()), 200))
        first = next(n for n, each in enumerate(played, start=1) if each.true_pct <= 12)
        assert found.reached == first == found.incumbents[-1][0]
        assert found.epochs == first
        assert finished(arm(), bank(case(9.0)), case(9.0), search(arm(), case())).reached is None

    def test_where_quality_counts_a_search_goes_on(self):
        one = bank(case(), ends_at_target=False)
        found = finished(arm(), one, case(), search(arm(), case()))
        assert found.reached is not None
        assert min(pct for _, pct in found.incumbents) < 12

    def test_the_target_is_that_of_the_best_of_64(self):
        drawn = best_of_random([Line], 200)
        # The median of the least of 64 uniform numbers, after the last of six epochs.
        assert drawn == pytest.approx(11 + 10 * (1 - 0.5 ** (1 / 64)), abs=0.03)

    @pytest.mark.parametrize("each", [a for a in ARMS if not a.is_peer], ids=lambda a: a.name)
    def test_each_arm_plays_the_same_search_again(self, each):
        one, again = (list(islice(search(each, case()), 60)) for _ in range(2))
        assert one == again
        assert len(one) == 60
        assert {epoch.trial for epoch in one} >= set(range(8))

    def test_another_setting_bank_or_target_is_another_search(self):
        setups = {
            setup_of(arm(), bank(case()), case()),
            setup_of(arm(scheduler={"grace_epochs": 1}), bank(case()), case()),
            setup_of(arm(), bank(case()), case(11.0)),
            setup_of(arm(), bank(case()), case(seed=1)),
            setup_of(arm(), Bank(name="A", size=2, cases=(), ends_at_target=True), case()),
        }
        assert len(setups) == 5

    def test_names_of_arms_are_unique(self):
        assert len({each.name for each in ARMS}) == len(ARMS)


class TestKeeping:
    def options(self, tmp_path, part=1):
        return argparse.Namespace(out=tmp_path / "s.jsonl", part=part, peers=tmp_path)

    def test_finished_searches_are_skipped(self, tmp_path, monkeypatch):
        one = bank(case(), case(seed=1), case(seed=2))
        first = run_arms([arm()], one, self.options(tmp_path))
        assert len(first) == 3
        monkeypatch.setattr("tests.benchmarks.search.search", None)
        assert run_arms([arm()], one, self.options(tmp_path)) == first
        assert run_arms([arm()], one, self.options(tmp_path, part=3)) == first[:1]

    def test_a_torn_line_is_run_again(self, tmp_path):
        file = tmp_path / "s.jsonl"
        searches = [made_search(5, case=str(n)) for n in range(2)]
        for each in searches:
            keep(file, each)
        file.write_text(file.read_text()[:-9])
        assert list(kept_searches(file).values()) == searches[:1]

    def test_a_slow_tool_has_fewer_cases(self, tmp_path):
        slow = Arm(name="slow", settings=arm().settings, most=2)
        found = run_arms([slow], bank(*(case(seed=n) for n in range(3))), self.options(tmp_path))
        assert [each.case for each in found] == ["line 0", "line 1"]

    def test_an_arm_is_run_only_on_its_banks(self, tmp_path):
        elsewhere = Arm(name="c", settings=arm().settings, banks="C")
        assert run_arms([elsewhere], bank(case()), self.options(tmp_path)) == []


class TestFigures:
    def test_a_ratio_is_over_the_cases_that_both_have(self):
        one = [made_search(n, case=str(k)) for k, n in enumerate((100, 400, 7))]
        other = [made_search(n, case=str(k)) for k, n in enumerate((100, 100))]
        assert ratio_to(one, other).value == pytest.approx(2.0)

    def test_a_failed_search_counts_with_its_budget(self):
        assert made_search(None).epochs == 1000
        one, other = [made_search(None)], [made_search(100)]
        assert ratio_to(one, other).value == pytest.approx(10)

    def test_quality_by_epochs_is_that_of_the_incumbent_at_the_time(self):
        found = made_search(None, values=[(2, 9.0), (4, 8.0), (5, 8.5)]).true_pct(6)
        assert found.tolist() == [9.0, 9.0, 9.0, 8.0, 8.5, 8.5]

    def test_a_curve_crosses_a_target_or_counts_with_its_length(self):
        assert crossing(np.array([9.0, 8.0, 8.5, 7.0]), 8.0) == 2
        assert crossing(np.array([9.0, 8.0, 8.5, 7.0]), 6.0) == 4

    def test_the_ratio_of_crossings_is_of_means_over_searches(self):
        def searches(name, at):
            return [
                made_search(1, name=name, case=str(k), values=[(1, 9.0), (at, 7.0 + k / 10)])
                for k in range(4)
            ]

        random = searches(RANDOM, 80)
        ratio = crossing_ratio(searches("slow", 60), searches("fast", 20), random, 100)
        assert (ratio.value, ratio.low, ratio.high) == (3.0, 3.0, 3.0)
        # Not in the order of the lines: cases are paired by name.
        turned = searches("slow", 60)[::-1]
        assert crossing_ratio(turned, searches("fast", 20), random, 100) == ratio

    def test_a_difference_is_paired_and_over_groups(self):
        worse = [made_search(1, case=str(k), group=str(k // 2), values=[(1, 9.0 + k // 2)])
                 for k in range(4)]  # fmt: skip
        better = [made_search(1, case=str(k), values=[(1, 8.0)]) for k in range(4)]
        # Groups differ by 1 and 2 points, so an interval over them reaches from one to the other.
        assert difference_line("x", worse, better, [5]).split(maxsplit=1)[1] == (
            "+1.50 (+1.00 to +2.00)"
        )

    def test_bars_name_the_best_peer(self):
        arms = {
            AFTER: [made_search(100, case=str(n)) for n in range(10)],
            RANDOM: [made_search(500, case=str(n)) for n in range(10)],
            "SMAC multi-fidelity": [made_search(130, case=str(n)) for n in range(10)],
            # Too few searches to be judged.
            "NePS PriorBand": [made_search(50, case=str(n)) for n in range(9)],
            "Syne Tune BOHB": [made_search(110, case=str(n)) for n in range(10)],
        }
        over_random, best, low = verdicts({"A": arms})
        assert (over_random.ratio, over_random.is_met) == (pytest.approx(5), True)
        assert "Syne Tune BOHB" in best.name
        assert (best.ratio, best.is_met) == (pytest.approx(1.1), False)
        assert low.is_met
        assert verdicts({"A": {RANDOM: arms[RANDOM]}}) == []

    def test_searches_are_grouped_by_arm(self):
        found = by_arm([made_search(1, name="x"), made_search(2, name="y"), made_search(3)])
        assert {name: [each.reached for each in group] for name, group in found.items()} == {
            "x": [1, 3],
            "y": [2],
        }


class TestPeers:
    @pytest.fixture
    def process(self, tmp_path):
        import sys
        from pathlib import Path

        script = tmp_path / "fake.py"
        script.write_text(FAKE_PEER)
        process = PeerProcess(Path(sys.executable), str(script))
        yield process
        process.close()

    def test_a_tool_is_asked_and_gets_each_epoch(self, process):
        tool = PeerTool(process, "fake", Line().space, max_epochs=6, seed=0)
        assert tool.suggest() == (0, {"loss.margin": 0.0})
        assert [tool.report(0, epoch, 20.0) for epoch in (1, 2, 3)] == [True, True, False]
        assert tool.suggest()[0] == 1
        assert tool.report(1, 1, float("nan")) is False
        assert tool.suggest()[0] == 0

    def test_a_promoted_trial_continues_where_it_stopped(self, process):
        from tests.benchmarks.search_play import play, tool_source

        problem = Line()
        tool = PeerTool(process, "fake", problem.space, max_epochs=6, seed=0)
        played = list(islice(play(problem, tool_source(tool)), 9))
        course = [(each.trial, each.epoch) for each in played]
        assert course == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (0, 4), (0, 5), (0, 6)]

    def test_a_script_that_dies_is_an_error_with_its_last_lines(self, tmp_path):
        import sys
        from pathlib import Path

        script = tmp_path / "dead.py"
        script.write_text("raise SystemExit('no such tool')")
        process = PeerProcess(Path(sys.executable), str(script))
        with pytest.raises((RuntimeError, BrokenPipeError), match=r"no such tool|Broken pipe"):
            process.answer({"ask": None})

    def test_a_space_is_plain_data_with_its_conditions(self):
        from tests.benchmarks.minivox_bank import SPACE

        plain = {each["name"]: each for each in map(plain_dimension, SPACE.dimensions)}
        json.dumps(plain)
        assert plain["loss.contrast_temperature"]["when"] == {"loss.distillation": ["infonce"]}
        assert plain["training.lr"]["log"]
        assert plain["model.hidden_dim"]["choices"] == [16, 24, 32, 48, 64]
        lr = next(each for each in SPACE.dimensions if each.name == "training.lr")
        assert fitting(lr, 1.0) == lr.high
