"""The searches that faults are injected into: tiny, but with every part of a real one."""

from pathlib import Path
from typing import Any

from spaces.files.yaml_file import read_yaml, write_yaml
from tests.search.real_search import tiny_settings
from tests.worlds.tiny_world import build_tiny_world

SPACE, SLOW_SPACE = "chaos.yaml", "slow.yaml"


def build_world(folder: Path) -> Path:
    """Build a tiny world whose searches do not depend on how busy the machine is."""
    return add_space(build_tiny_world(folder))


def add_space(world: Path) -> Path:
    """Add spaces with fixed evaluation crops, which a search else chooses by measured time.

    Trials of `SLOW_SPACE` are long without keeping a core busy; it needs `--allow-code`.
    """
    tree = read_yaml(world / "space.yaml").data
    tree["training"]["eval_crops"] = 1
    write_yaml(world / SPACE, tree)
    family = "tests.worlds.slow_student:SlowNet"
    tree["model"] = {"family": family, "embedding_dim": 32, "width": {"choices": [8, 12]}}
    write_yaml(world / SLOW_SPACE, tree)
    return world


def chaos_settings(world: Path, **changes: Any) -> dict[str, Any]:
    """Return settings of 14 trials with early stopping; the sampler learns from trial 11 on."""
    return tiny_settings(
        world,
        **{
            "space": str(world / SPACE),
            "num_trials": 14,
            "max_epochs": 12,
            "scheduler": {"kind": "asha", "grace_epochs": 2, "reduction_factor": 2},
            **changes,
        },
    )
