"""The searches that faults are injected into: tiny, but with every part of a real one."""

from pathlib import Path
from typing import Any

from spaces.files.yaml_file import read_yaml, write_yaml
from tests.search.real_search import tiny_settings
from tests.worlds.tiny_world import build_tiny_world

SPACE = "chaos.yaml"


def build_world(folder: Path) -> Path:
    """Build a tiny world whose searches do not depend on how busy the machine is."""
    return add_space(build_tiny_world(folder))


def add_space(world: Path) -> Path:
    """Add a space with fixed evaluation crops, which a search else chooses by measured time."""
    tree = read_yaml(world / "space.yaml").data
    tree["training"]["eval_crops"] = 1
    write_yaml(world / SPACE, tree)
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
