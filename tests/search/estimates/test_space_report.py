"""Numbers of a space against a brute force over its configs."""

import statistics
from pathlib import Path
from typing import Any

import pytest
import torch

from models import count_parameters
from models.catalogue import build_model
from search.estimates import space_report as module
from search.estimates.architectures import drawn_trees
from search.estimates.feasibility import LimitChecker
from search.estimates.space_report import ReportConfig, SpaceReport, describe_space
from spaces.files.errors import ConfigError
from spaces.files.yaml_file import write_yaml
from spaces.limits import Limits
from spaces.reading.space_file import read_space
from spaces.space import Space
from trainable.config.trial_config import TrialConfig
from trainable.cost.macs import count_macs
from trainable.cost.step_memory import step_memory

TREE = {
    "model": {
        "family": "mlp_mixer",
        "hidden_dim": {"choices": [8, 16]},
        "num_blocks": {"low": 1, "high": 3},
        "num_frames": 80,
        "embedding_dim": 32,
    },
    "loss": {"distillation": "none"},
    "training": {"crop_frames": 80, "lr": {"low": 1e-3, "high": 1e-2, "log": True}},
}
MODELS = [(width, blocks) for width in (8, 16) for blocks in (1, 2, 3)]


def space_of(tmp_path: Path, tree: dict[str, Any] = TREE, **limits: object) -> Space:
    write_yaml(tmp_path / "some.yaml", {**tree, "limits": limits})
    return read_space(tmp_path / "some.yaml", TrialConfig)


def report(space: Space, tmp_path: Path, **config: int) -> SpaceReport:
    checker = LimitChecker(space.limits, teacher=None, cache_dir=tmp_path)
    return describe_space(space, checker, ReportConfig(**{"num_samples": 20, **config}))


def model_of(width: int, blocks: int) -> torch.nn.Module:
    model = TREE["model"] | {"hidden_dim": width, "num_blocks": blocks}
    trial = TrialConfig.model_validate({"model": model, "training": {"crop_frames": 80}})
    return build_model(trial.model).eval()


def settings(width: int, blocks: int) -> dict[str, int]:
    return {"model.hidden_dim": width, "model.num_blocks": blocks}


def test_parameters_and_work_range_over_every_architecture(tmp_path: Path) -> None:
    found = report(space_of(tmp_path), tmp_path)
    params = {each: count_parameters(model_of(*each)) for each in MODELS}
    macs = {each: count_macs(model_of(*each), (1, 200, 80), "embed") for each in MODELS}
    assert found.num_configs is None
    assert (len(found.architectures.models), found.architectures.is_all) == (6, True)
    for range_, counts in ((found.params, params), (found.macs, macs)):
        assert range_.smallest.value == min(counts.values())
        assert range_.smallest.settings == settings(*min(counts, key=lambda k: counts[k]))
        assert range_.largest.value == max(counts.values())
        assert range_.largest.settings == settings(16, 3)
        assert (range_.num_measured, range_.is_all) == (6, True)


def test_only_some_are_counted_where_there_are_many(tmp_path: Path) -> None:
    found = report(space_of(tmp_path), tmp_path, max_macs_counted=3)
    assert (found.macs.num_measured, found.macs.is_all) == (3, False)
    assert found.params.is_all
    # The smallest and the largest are always among them.
    assert found.macs.largest.settings == settings(16, 3)
    assert found.macs.smallest.settings == settings(8, 1)


def test_a_space_too_large_to_walk_is_sampled(tmp_path: Path) -> None:
    found = report(space_of(tmp_path), tmp_path, max_walked=5)
    assert not found.architectures.is_all
    assert not found.params.is_all
    assert not found.macs.is_all


def test_the_fraction_inside_is_that_of_the_same_configs_counted_one_by_one(
    tmp_path: Path,
) -> None:
    params = {each: count_parameters(model_of(*each)) for each in MODELS}
    macs = {each: count_macs(model_of(*each), (1, 200, 80), "embed") for each in MODELS}
    max_params = int(statistics.median(params.values()))
    space = space_of(tmp_path, max_params=max_params, max_macs=macs[16, 1])
    found = report(space, tmp_path, seed=3).random
    drawn = [
        (tree["model"]["hidden_dim"], tree["model"]["num_blocks"])
        for tree in drawn_trees(space, 20, 3)
    ]
    heavy = [params[each] > max_params for each in drawn]
    slow = [macs[each] > macs[16, 1] for each in drawn]
    inside = [not (a or b) for a, b in zip(heavy, slow, strict=True)]
    assert found.num_breaking == {"max_params": sum(heavy), "max_macs": sum(slow)}
    assert found.num_inside == sum(inside)
    assert found.fraction_inside == sum(inside) / 20
    assert 0 < sum(inside) < 20


def test_without_limits_every_config_is_inside_and_only_that_is_measured(
    tmp_path: Path,
) -> None:
    found = report(space_of(tmp_path), tmp_path).random
    assert (found.num_inside, found.num_breaking, found.ranges) == (20, {}, {})


def test_the_memory_of_a_step_has_a_range_where_it_is_limited(tmp_path: Path) -> None:
    space = space_of(tmp_path, max_gpu_memory="4MiB")
    found = report(space, tmp_path, num_samples=6)
    range_ = found.random.ranges["max_gpu_memory"]
    values = [
        step_memory(
            TrialConfig.model_validate(tree), None, num_speakers=1211, device=torch.device("cpu")
        ).num_bytes
        for tree in drawn_trees(space, 6, 0)
    ]
    assert (range_.smallest.value, range_.largest.value) == (min(values), max(values))
    assert range_.is_estimated
    assert set(range_.largest.settings) == {"model.hidden_dim", "model.num_blocks", "training.lr"}


def test_configs_that_break_their_own_rules_are_counted(tmp_path: Path) -> None:
    model = TREE["model"] | {
        "hidden_dim": {"choices": [8, 10]},
        "group_channel_mixing": {"choices": [False, True]},
    }
    space = space_of(tmp_path, {**TREE, "model": model}, max_params=10**9)
    found = report(space, tmp_path)
    # 10 channels do not part into 4 groups: a quarter of 12 settings.
    assert len(found.architectures.models) == 9
    assert found.architectures.num_refused == 3
    assert 0 < found.random.num_refused == 20 - found.random.num_inside


def test_progress_goes_up_to_all(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    space = space_of(tmp_path)
    checker = LimitChecker(Limits(), teacher=None, cache_dir=tmp_path)
    describe_space(space, checker, ReportConfig(num_samples=5), lambda *each: seen.append(each))
    assert seen == [(done, 6 + 6 + 5) for done in range(1, 18)]


def test_a_missing_teacher_is_found_out_before_models_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: object) -> int:
        raise AssertionError("measured")

    monkeypatch.setattr(module, "num_params", fails)
    tree = TREE | {"loss": {"distillation": "cosine"}}
    with pytest.raises(ConfigError, match="distils needs a teacher with a network"):
        report(space_of(tmp_path, tree, max_gpu_memory="1GiB"), tmp_path)


def test_at_least_one_config_is_drawn() -> None:
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        ReportConfig(num_samples=0)
