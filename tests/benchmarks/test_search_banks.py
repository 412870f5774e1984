"""The banks of the benchmark `search`, and the command that makes more of one."""

import json
import math

import numpy as np
import pytest

from tests.benchmarks.curve_configs import drawn_configs, planned_runs
from tests.benchmarks.curve_masks import ALL, LISTED, NUM_CUTS, all_pairs_list, bank_pairs
from tests.benchmarks.made_up_bank import MadeUpProblem, true_curve_pct
from tests.benchmarks.minivox_bank import SPACE as STUDENTS
from tests.benchmarks.minivox_bank import MinivoxBank, MinivoxProblem
from tests.benchmarks.search_problem import (
    NearestConfigs,
    equivalent_dprime,
    random_params,
    unit_value,
)
from tests.benchmarks.taskset_bank import CHANCE_PCT, RANGES, TasksetProblem, load_tasks
from trainable.verification.metrics import equal_error_rate

RNG = np.random.default_rng(0)


class TestNearest:
    def test_each_config_is_handed_out_once_the_nearest_first(self):
        params = [random_params(STUDENTS, RNG) for _ in range(30)]
        configs = NearestConfigs(STUDENTS, params)
        assert configs.take(params[7]) == 7
        other = configs.take(params[7])
        assert other != 7
        taken = [7, other, *(configs.take(params[7]) for _ in range(28))]
        assert sorted(taken) == list(range(30))
        assert configs.take(params[7]) is None
        configs.renew()
        assert configs.take(params[7]) == 7

    def test_distance_is_that_of_the_places_and_words_count_one(self):
        student = next(
            p for p in iter(lambda: random_params(STUDENTS, RNG), None)
            if p["loss.distillation"] == "infonce" and p["training.lr"] < 4e-3
        )  # fmt: skip
        near = student | {"training.lr": student["training.lr"] * 2}
        another = {k: v for k, v in student.items() if k != "loss.contrast_temperature"}
        word = another | {"loss.distillation": "rkd"}
        configs = NearestConfigs(STUDENTS, [word, near])
        # The log axis of lr has a length of 3.3 doublings; a condition that one lacks is free.
        assert configs.take(student) == 1
        assert configs.take(student) == 0

    def test_places_are_even_on_the_axis_of_the_range(self):
        by_name = {each.name: each for each in STUDENTS.dimensions}
        lr, width = by_name["training.lr"], by_name["model.hidden_dim"]
        assert unit_value(lr, math.sqrt(lr.low * lr.high)) == pytest.approx(0.5)
        assert [unit_value(width, each) for each in width.choices] == [0, 0.25, 0.5, 0.75, 1]
        assert unit_value(by_name["loss.alpha"], 0.95) == pytest.approx(1)


class TestTaskset:
    @pytest.fixture
    def file(self, tmp_path):
        num = 12
        hp = np.array([
            [10 ** RNG.uniform(math.log10(low), math.log10(high)) for low, high in RANGES.values()]
            for _ in range(num)
        ])  # fmt: skip
        hp[:, 1:3] = 1 - hp[:, 1:3]
        loss = np.linspace(0.7, RNG.uniform(0.2, 0.9, num), 50).T.astype(np.float32)
        loss[3, 20:] = np.nan
        loss[4, 30] = np.inf
        loss[5] = 80.0
        file = tmp_path / "taskset.npz"
        np.savez(file, **{"T/hp": hp, "T/valid_loss": loss}, hp_names=list(RANGES))
        return file

    def test_losses_are_percents_of_chance_and_diverged_ones_end(self, file):
        (task,) = load_tasks(file)
        assert np.isnan(task.true_pct[3, 20:]).all()
        assert np.isfinite(task.true_pct[3, :20]).all()
        assert np.isnan(task.true_pct[4, 30:]).all()
        assert (task.true_pct[5] == CHANCE_PCT).all()
        assert task.true_pct[0, 0] == pytest.approx(min(50, 50 * 0.7 / math.log(2)))

    def test_noise_belongs_to_the_seed_and_the_config(self, file):
        (task,) = load_tasks(file)
        one, other = TasksetProblem(task, 0), TasksetProblem(task, 1)
        assert np.array_equal(one.nth(2).veer_pct, TasksetProblem(task, 0).nth(2).veer_pct)
        assert not np.array_equal(one.nth(2).veer_pct, other.nth(2).veer_pct)
        assert np.array_equal(one.nth(2).true_pct, other.nth(2).true_pct)

    def test_a_new_problem_has_all_configs_again(self, file):
        (task,) = load_tasks(file)
        for _ in range(2):
            problem = TasksetProblem(task, 0)
            found = [problem.student(task.params[0]) for _ in range(13)]
            assert [each is None for each in found] == [False] * 12 + [True]


class TestMinivox:
    @pytest.fixture
    def folder(self, tmp_path):
        for number, config in enumerate(drawn_configs(6)):
            metrics = {
                f"metrics_{kind}": RNG.uniform(5, 15, (12, LISTED + 1, 3)).astype(np.float32)
                for kind in ("raw", "ema")
            }
            file = tmp_path / f"{number:03d}.npz"
            np.savez(file, **metrics, cfg=json.dumps(config), num_params=1000 * number)
        np.savez(tmp_path / "000b.npz", cfg="not a run of its own")
        return tmp_path

    def test_one_half_decides_and_the_other_judges(self, folder):
        bank = MinivoxBank(folder)
        assert len(bank.params) == 6
        for side, (decides, judges) in {0: (1, 2), 1: (2, 1), 4: (5, 6), 5: (6, 5)}.items():
            student = MinivoxProblem(bank, side, "ema").nth(2)
            assert student.veer_pct.tolist() == bank.metrics["ema"][2, :, decides, 0].tolist()
            assert student.dprime.tolist() == bank.metrics["ema"][2, :, decides, 1].tolist()
            eer_pct = bank.metrics["ema"][2, :, judges, 0]
            ratio = student.true_pct[6] / eer_pct[5:8].mean()
            assert student.true_pct[11] / eer_pct[9:].mean() == pytest.approx(ratio)

    def test_halves_are_made_equally_hard(self, folder):
        bank = MinivoxBank(folder)
        bank.metrics["raw"][:, :, 2] *= 3
        late = [bank.judged_pct("raw", half)[:, -1].mean() for half in (1, 2, 3)]
        assert late == pytest.approx([late[0]] * 3)

    def test_an_empty_folder_is_named(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=f"{tmp_path}: no run of the bank"):
            MinivoxBank(tmp_path)


class TestExtension:
    def test_the_sequence_of_configs_never_changes(self):
        configs = drawn_configs(100)
        assert configs[:40] == drawn_configs(40)
        assert configs[0]["loss"]["distillation"] == "rkd"
        assert configs[0]["training"]["lr"] == 0.0008038018316258679
        assert configs[0]["loss"]["scale"] == 20.49649013727299
        for config in configs:
            STUDENTS.params_of(config)

    def test_every_fourth_config_has_a_second_seed(self):
        runs = dict(planned_runs(9))
        assert list(runs) == ["000", "000b", "001", "002", "003", "004", "004b", "005", "006",
                              "007", "008", "008b"]  # fmt: skip
        assert runs["004b"] == runs["004"] | {"seed": runs["004"]["seed"] + 5000}

    def test_figures_are_those_of_the_product(self, tmp_path):
        speakers, each = 8, 5
        paths = [f"s{s}/{u}.wav" for s in range(speakers) for u in range(each)]
        listed = tmp_path / "list.txt"
        chosen = [(1, 0, 1), (0, 0, 9), (1, 6, 5), (0, 2, 11)]
        listed.write_text("".join(f"{label} {paths[a]} {paths[b]}\n" for label, a, b in chosen))
        lines = listed.read_text() + "".join(f"0 {paths[0]} {path}\n" for path in paths[1:])
        (tmp_path / "all.txt").write_text(lines)
        file = all_pairs_list(tmp_path / "all.txt", tmp_path)
        rows = [line.split() for line in file.read_text().splitlines()]
        assert len(rows) == math.comb(len(paths), 2)
        order = sorted(paths)

        class Data:
            val_paths = order
            val_a = np.array([order.index(a) for _, a, _ in rows])
            val_b = np.array([order.index(b) for _, _, b in rows])
            val_is_target = np.array([label == "1" for label, _, _ in rows])

        pairs = bank_pairs(Data, listed)
        scores = RNG.normal(size=len(rows)) + 1.5 * Data.val_is_target
        found = pairs.metrics(scores)
        assert found.shape == (2 * NUM_CUTS + 2, 3)
        assert found[ALL, 0] == pytest.approx(equal_error_rate(scores, Data.val_is_target), abs=1)
        target, other = scores[Data.val_is_target], scores[~Data.val_is_target]
        wins = (target[:, None] > other).mean()
        assert found[ALL, 2] == pytest.approx(1 - wins, abs=1e-5)
        one, two = pairs.masks[1], pairs.masks[2]
        assert not (one & two).any()
        assert one.sum() == two.sum() == math.comb(each * speakers // 2, 2)
        found = [(rows[k][0], set(rows[k][1:])) for k in pairs.listed]
        assert found == [(str(label), {paths[a], paths[b]}) for label, a, b in chosen]


class TestMadeUp:
    def test_noise_belongs_to_the_seed_the_params_and_the_weights(self):
        params = random_params(MadeUpProblem.space, RNG)
        one = MadeUpProblem(0, 12, "raw").student(params)
        again = MadeUpProblem(0, 12, "raw").student(dict(reversed(params.items())))
        assert np.array_equal(one.veer_pct, again.veer_pct)
        other = MadeUpProblem(1, 12, "raw").student(params)
        assert not np.array_equal(one.veer_pct, other.veer_pct)
        calm = MadeUpProblem(0, 12, "ema").student(params)
        assert np.std(np.diff(calm.veer_pct - calm.true_pct)) < np.std(
            np.diff(one.veer_pct - one.true_pct)
        )

    def test_a_longer_training_continues_the_same_curve(self):
        params = random_params(MadeUpProblem.space, RNG)
        assert true_curve_pct(params, 100)[:12].tolist() == true_curve_pct(params, 12).tolist()
        assert np.all(np.diff(true_curve_pct(params, 100)) < 0)

    def test_dprime_is_that_of_normal_distributions(self):
        assert equivalent_dprime(np.array([50.0]))[0] == pytest.approx(0)
        # Phi(-1) = 15.87 %
        assert equivalent_dprime(np.array([15.865525]))[0] == pytest.approx(2, abs=1e-6)
