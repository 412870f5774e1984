"""Trial configs that come with Veer, and reading any trial config by name or path."""

from collections.abc import Sequence
from pathlib import Path

from spaces.errors import ConfigError
from spaces.yaml_file import load_model, read_yaml
from trainable.config import TrialConfig
from trainable.overrides import apply_overrides

FOLDER = Path(__file__).parent


def bundled_configs() -> tuple[str, ...]:
    """Names of the bundled trial configs."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))


def read_trial_config(
    name: str, overrides: Sequence[str] = (), *, seed: int | None = None
) -> TrialConfig:
    """Read a trial config from a YAML file, or a bundled one by its name.

    Args:
        name: A path, or one of `bundled_configs()`.
        overrides: `dotted.key=value` assignments laid over the file.
        seed: Laid over the file where given.

    Raises:
        ConfigError: No such file or name, or a setting breaks a rule.
    """
    path = Path(name)
    if name in bundled_configs():
        path = FOLDER / f"{name}.yaml"
    elif not path.exists():
        raise ConfigError(
            f"{name}: neither a file nor a bundled config ({', '.join(bundled_configs())})"
        )
    if seed is not None:
        overrides = [*overrides, f"seed={seed}"]
    return load_model(TrialConfig, apply_overrides(read_yaml(path), overrides))
