"""The costliest step of a space, against every config of it."""

import itertools
from pathlib import Path

import pytest
import torch

from search.estimates.feasibility import num_params
from search.estimates.largest_step import StepCosts, largest_step
from spaces.dimensions import Choice, Float, Integer
from spaces.limits import Limits
from spaces.space import Space
from trainable.checkpoints.loading import load_speaker_model
from trainable.config.trial_config import TrialConfig
from trainable.cost.step_memory import ComputeSettings, StepMemory, step_memory
from trainable.features.crop_bank import TargetsConfig
from trainable.machine.engine import EngineConfig

CPU = torch.device("cpu")
NOT_DISTILLED = {"loss": {"distillation": "none"}}
FIXED = {
    "model": {"num_frames": 40, "embedding_dim": 16},
    **NOT_DISTILLED,
}
TINY = {"family": "mlp_mixer", "hidden_dim": 8, "num_blocks": 1}
SMALL = Space(
    name="small",
    fixed=FIXED,
    dimensions=(
        Choice(name="model.family", choices=("mlp_mixer", "mlp_mixer_autoencoder")),
        Choice(name="model.hidden_dim", choices=(8, 24, 16)),
        Choice(name="model.num_blocks", choices=(1, 2), when={"model.family": "mlp_mixer"}),
        Choice(name="training.batch_size", choices=(8, 4)),
        Float(name="training.lr", low=1e-4, high=1e-2, log=True),
    ),
)


def make_config(tree: dict) -> TrialConfig:
    training = {"batch_size": 4, "crop_frames": 40} | tree.get("training", {})
    config = TrialConfig.model_validate(tree | {"training": training})
    # As a search's workers get it: without what has no effect beside the rest.
    return TrialConfig.model_validate(config.canonical())


def every_config(space: Space) -> list[TrialConfig]:
    """All configs, with the learning rate at one end."""
    choices = [d.extremes() if isinstance(d, Choice) else (d.low,) for d in space.dimensions]
    names = [d.name for d in space.dimensions]
    found = [
        make_config(space.tree(space.params_with(dict(zip(names, values, strict=True)))))
        for values in itertools.product(*choices)
    ]
    return list({config.config_hash(): config for config in found}.values())


def made_up_cost(config: TrialConfig) -> StepMemory:
    """Grows with every setting, as real bytes do, and costs nothing to find out."""
    model = config.model
    layers = model.num_blocks + 2 * (model.family == "mlp_mixer_autoencoder")
    num_bytes = 4 * num_params(model) + layers * model.hidden_dim * config.training.batch_size
    return StepMemory(num_bytes, True)


@pytest.mark.parametrize("max_params", [None, 30_000])
def test_it_is_the_costliest_of_all_that_the_limits_allow(tmp_path: Path, max_params) -> None:
    space = Space(
        name="small",
        fixed=FIXED,
        dimensions=SMALL.dimensions,
        limits=Limits(max_params=max_params),
    )
    allowed = [
        config
        for config in every_config(space)
        if max_params is None or num_params(config.model) <= max_params
    ]
    assert (len(allowed) < len(every_config(space))) == (max_params is not None)
    found = largest_step(space, make_config, made_up_cost, tmp_path)
    assert found is not None
    assert found.memory.num_bytes == max(made_up_cost(config).num_bytes for config in allowed)
    assert found.config.config_hash() == make_config(space.tree(found.params)).config_hash()


def test_ends_of_ranges_and_conditions_are_met(tmp_path: Path) -> None:
    """With costs that are made up: batch size times blocks, and only one family has blocks."""
    space = Space(
        name="ranges",
        fixed=FIXED,
        dimensions=(
            Choice(name="model.family", choices=("resnet_se34l", "mlp_mixer")),
            Integer(name="model.num_blocks", low=1, high=9, when={"model.family": "mlp_mixer"}),
            Integer(name="training.batch_size", low=2, high=64, step=2),
        ),
    )

    def made_up(config: TrialConfig) -> StepMemory:
        blocks = getattr(config.model, "num_blocks", 1)
        return StepMemory(blocks * config.training.batch_size, True)

    def with_own_frames(tree: dict) -> TrialConfig:
        if tree["model"]["family"] == "resnet_se34l":
            tree = tree | {"model": {"family": "resnet_se34l"}}
        return make_config(tree)

    found = largest_step(space, with_own_frames, made_up, tmp_path)
    assert found is not None
    assert found.params == {
        "model.family": "mlp_mixer", "model.num_blocks": 9, "training.batch_size": 64
    }  # fmt: skip
    assert found.memory.num_bytes == 9 * 64


def test_a_step_is_worked_out_once_for_all_that_it_does_not_depend_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def counted(config: TrialConfig, *args: object, **options: object) -> StepMemory:
        seen.append(config.training.batch_size)
        return step_memory(config, *args, **options)

    monkeypatch.setattr("search.estimates.largest_step.step_memory", counted)
    costs = StepCosts(None, 10, CPU, ComputeSettings())
    small = {"model": {**TINY, **FIXED["model"]}, **NOT_DISTILLED}
    found = [
        costs(make_config(small | {"training": {"lr": lr, "batch_size": batch_size}}))
        for lr, batch_size in [(1e-3, 4), (1e-2, 4), (1e-3, 8), (1e-2, 8)]
    ]
    assert seen == [4, 8]
    assert (
        found[0] == found[1] == step_memory(make_config(small), None, num_speakers=10, device=CPU)
    )
    assert found[2].num_bytes > found[0].num_bytes


def test_a_network_that_trials_ask_is_held_and_one_whose_answers_are_stored_is_not(
    tiny_world: Path,
) -> None:
    model = {**TINY, "num_frames": 40, "embedding_dim": 32}
    config = make_config({"model": model, "loss": {"distillation": "cosine"}})
    alone = make_config({"model": model, **NOT_DISTILLED})
    teacher = tiny_world / "teacher" / "model" / "model000000002.model"
    online, stored = (
        StepCosts(teacher, 10, CPU, ComputeSettings(targets=TargetsConfig(mode=mode)))(
            config
        ).num_bytes
        for mode in ("online", "stored")
    )
    bank, without = (
        StepCosts(file, 10, CPU, ComputeSettings())(trial).num_bytes
        for file, trial in ((Path("bank.parquet"), config), (None, alone))
    )
    assert bank == without
    # The embeddings of the batch and what compares them: a few times 4 x 32 float32.
    assert without < stored < without + 10 * 4 * 32 * 4
    assert online > stored + 4 * num_params(load_speaker_model(teacher).config.model)


def test_the_step_is_the_one_of_the_searchs_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def noted(*_: object, engine: EngineConfig, **__: object) -> StepMemory:
        asked.append(engine)
        return StepMemory(1, False)

    monkeypatch.setattr("search.estimates.largest_step.step_memory", noted)
    engine = EngineConfig(precision="float32", compile=True)
    model = {**TINY, "num_frames": 40, "embedding_dim": 32}
    costs = StepCosts(None, 10, CPU, ComputeSettings(engine=engine))
    costs(make_config({"model": model, **NOT_DISTILLED}))
    assert asked == [engine]


def test_a_space_without_any_allowed_config_has_none(tmp_path: Path) -> None:
    space = Space(
        name="none", fixed=FIXED, dimensions=SMALL.dimensions, limits=Limits(max_params=10)
    )
    assert largest_step(space, make_config, made_up_cost, tmp_path) is None
