"""Adam without PyTorch's compiler: the same numbers and state, and nothing slow imported."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.worlds.corpus import write_corpus
from tests.worlds.tiny_world import TINY_TEACHER
from trainable.training.adam import EagerAdam

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


def trained(kind: type[torch.optim.Adam], *, is_restored: bool) -> tuple[nn.Module, dict]:
    """Return a network after some steps, in the middle of which the optimizer may be restored."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    optimizer = kind(network.parameters(), lr=0.01, weight_decay=0.1, foreach=True)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    for step in range(6):
        if is_restored and step == 3:
            state = optimizer.state_dict()
            optimizer = kind(network.parameters(), lr=1.0, foreach=True)
            optimizer.load_state_dict(state)
            schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5, last_epoch=2)
        optimizer.zero_grad(set_to_none=True)
        network(torch.randn(7, 5)).square().sum().backward()
        optimizer.step()
        schedule.step()
    return network, optimizer.state_dict()


@pytest.mark.parametrize("is_restored", [False, True])
def test_parameters_and_state_are_those_of_pytorchs_adam(is_restored: bool) -> None:
    ours, our_state = trained(EagerAdam, is_restored=is_restored)
    theirs, their_state = trained(torch.optim.Adam, is_restored=is_restored)
    for mine, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, expected)
    assert our_state["param_groups"] == their_state["param_groups"]
    for number, expected in their_state["state"].items():
        assert expected.keys() == our_state["state"][number].keys()
        assert all(torch.equal(our_state["state"][number][k], v) for k, v in expected.items())


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
