"""Optimizers without PyTorch's compiler: the same numbers and state, nothing slow imported."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.worlds.corpus import write_corpus
from tests.worlds.tiny_world import TINY_TEACHER
from trainable.step.optimizers import EagerAdam, EagerAdamW, EagerSGD

ROOT = Path(__file__).parents[3]
TRAINING = """
import sys
from pathlib import Path
import torch
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.cost.checkpoint_size import checkpoint_memory
from trainable.features.training_data import load_training_data
from trainable.training.trainer import Trainer

folder = Path(sys.argv[1])
data = load_training_data(read_corpus_config(folder / "corpus.yaml"), cache_dir=folder / "cache")
for epoch in (1, 2):
    config = TrialConfig.model_validate({config!r})
    trainer = Trainer(config, data, device=torch.device("cpu"))
    CheckpointFolder(folder / "model").restore(trainer)
    trainer.run_epoch()
    assert trainer.epoch == epoch
    CheckpointFolder(folder / "model").save(trainer)
checkpoint_memory(config, None, num_speakers=6)
slow = {{"torch._dynamo", "sympy", "scipy.stats", "scipy.optimize", "scipy.sparse"}}
print(*sorted(slow & set(sys.modules)))
"""


KINDS = {
    "adam": (EagerAdam, torch.optim.Adam, {}),
    "adamw": (EagerAdamW, torch.optim.AdamW, {}),
    "sgd": (EagerSGD, torch.optim.SGD, {}),
    "momentum": (EagerSGD, torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (EagerSGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
}


def trained(
    kind: type[torch.optim.Optimizer], settings: dict, form: str, *, is_restored: bool
) -> tuple[nn.Module, dict]:
    """Return a network after some steps, in the middle of which the optimizer may be restored."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    settings = settings | {"weight_decay": 0.1, form: True}
    optimizer = kind(network.parameters(), lr=0.01, **settings)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    for step in range(6):
        if is_restored and step == 3:
            state = optimizer.state_dict()
            optimizer = kind(network.parameters(), lr=1.0, **settings)
            optimizer.load_state_dict(state)
            schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5, last_epoch=2)
        optimizer.zero_grad(set_to_none=True)
        network(torch.randn(7, 5)).square().sum().backward()
        optimizer.step()
        schedule.step()
    return network, optimizer.state_dict()


@pytest.mark.parametrize("form", ["fused", "foreach"])
@pytest.mark.parametrize("is_restored", [False, True])
@pytest.mark.parametrize("name", list(KINDS))
def test_parameters_and_state_are_those_of_pytorch(
    name: str, is_restored: bool, form: str
) -> None:
    mine, theirs, settings = KINDS[name]
    ours, our_state = trained(mine, settings, form, is_restored=is_restored)
    plain, their_state = trained(theirs, settings, form, is_restored=is_restored)
    for weight, expected in zip(ours.parameters(), plain.parameters(), strict=True):
        assert torch.equal(weight, expected)
    assert our_state["param_groups"] == their_state["param_groups"]
    for number, expected in their_state["state"].items():
        mine_of_it = our_state["state"][number]
        assert expected.keys() == mine_of_it.keys() - ({"step"} if mine is EagerSGD else set())
        assert all(torch.equal(mine_of_it[key], value) for key, value in expected.items())
    assert max(int(each.get("step", 0)) for each in our_state["state"].values()) == 6


def test_the_first_update_by_hand() -> None:
    """A weight of 2 with the gradient 0.5, decayed by 0.1 at the rate 0.01."""
    l2 = 0.5 + 0.1 * 2
    by_hand = {
        "sgd": 2 - 0.01 * l2,
        "nesterov": 2 - 0.01 * (l2 + 0.9 * l2),
        # The first step of Adam has the length of the rate, whatever the gradient.
        "adam": 2 - 0.01,
        "adamw": 2 * (1 - 0.01 * 0.1) - 0.01,
    }
    for name, expected in by_hand.items():
        kind, _, settings = KINDS[name]
        weight = nn.Parameter(torch.tensor([2.0]))
        weight.grad = torch.tensor([0.5])
        kind([weight], lr=0.01, weight_decay=0.1, foreach=True, **settings).step()
        assert weight.item() == pytest.approx(expected, rel=1e-6), name


@pytest.mark.slow
def test_training_saving_and_the_estimate_of_a_checkpoint_import_nothing_slow(
    tmp_path: Path,
) -> None:
    write_corpus(tmp_path)
    code = TRAINING.format(config=TINY_TEACHER)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
