"""Readers of trial configs, search spaces and runs, and the presets that come with Veer.

`students/` has the approaches and ablations of the notes, `teachers/` has configs for
`veer teacher train`. The first line of each file is a comment that describes it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spaces.files.complaints import did_you_mean
from spaces.files.errors import ConfigError
from spaces.files.overrides import apply_overrides
from spaces.files.yaml_file import load_model, read_yaml
from spaces.reading.space_file import read_space
from spaces.space import Space
from trainable.config.trial_config import TrainRunConfig, TrialConfig
from trainable.corpus.corpus import read_corpus_config

PRESETS_FOLDER = Path(__file__).with_name("presets")
# In the order of the notes.
STUDENTS = (
    "v1_mse",
    "v2_cosine",
    "v2_large",
    "no_distillation",
    "p3_multistage",
    "p4a_hybrid",
    "p4b_autoencoder",
    "p4c_deep_narrow",
    "p4c_wide_shallow",
    "alpha_0",
    "alpha_0.3",
    "alpha_0.5",
    "alpha_0.7",
    "temperature_2_mse",
    "temperature_4_mse",
    "temperature_8_mse",
    "temperature_2_kl",
    "temperature_4_kl",
    "temperature_8_kl",
)


def bundled_configs() -> dict[str, Path]:
    """Return the file of each bundled trial config by name, students first."""
    students = {name: PRESETS_FOLDER / "students" / f"{name}.yaml" for name in STUDENTS}
    teachers = sorted((PRESETS_FOLDER / "teachers").glob("*.yaml"))
    return students | {file.stem: file for file in teachers}


def preset_trees() -> dict[str, dict[str, Any]]:
    """Return the settings of each student preset, as a nested mapping without defaults.

    The order is that of the notes. The caller may change the mappings.
    """
    return {name: read_yaml(bundled_configs()[name]).data for name in STUDENTS}


def summary_of(name: str) -> str:
    """Return the description of a bundled config: its first line, which is a comment."""
    first, _, _ = bundled_configs()[name].read_text(encoding="utf-8").partition("\n")
    return first.removeprefix("#").strip()


def read_trial_config(
    name: str, overrides: Sequence[str] = (), *, seed: int | None = None
) -> TrialConfig:
    """Read a trial config from a YAML file, or a bundled one by its name.

    Args:
        name: A path, or one of `bundled_configs()`.
        overrides: `dotted.key=value` assignments that replace settings of the file.
        seed: If given, replaces the seed of the file.

    Raises:
        ConfigError: There is no such file or name, or a setting breaks a rule.
    """
    bundled = bundled_configs()
    if name not in bundled and not Path(name).exists():
        raise ConfigError(
            f"{name}: neither a file nor a bundled config{did_you_mean(name, bundled)}"
        )
    if seed is not None:
        overrides = [*overrides, f"seed={seed}"]
    # A bundled name wins over a file of that name, so that it means the same in every folder.
    document = read_yaml(bundled.get(name, Path(name)))
    return load_model(TrialConfig, apply_overrides(document, overrides))


def read_trial_space(source: str | Path) -> Space:
    """Read a space of trial configs, which may name student presets.

    Args:
        source: A file, or the name of a bundled space.

    Raises:
        ConfigError: The space has mistakes; the message has one per line, with file and line.
    """
    return read_space(source, TrialConfig, presets=preset_trees())


def read_preset_run(
    preset: str, corpus: Path, teacher: Path | None, overrides: Sequence[str] = ()
) -> TrainRunConfig:
    """Return a training run of a student preset, with absolute paths.

    Args:
        preset: One of `STUDENTS`.
        corpus: A corpus.yaml.
        teacher: Model file or folder; None if the preset does not distil.
        overrides: `dotted.key=value` assignments that replace settings of the preset.

    Raises:
        ConfigError: There is no such preset, a setting or the corpus breaks a rule, or a teacher
            is needed.
    """
    if preset not in STUDENTS:
        raise ConfigError(
            f"--preset must be one that `veer presets` lists, got {preset!r}"
            f"{did_you_mean(preset, STUDENTS)}"
        )
    trial = read_trial_config(preset, overrides)
    if trial.loss.distill_weight > 0 and teacher is None:
        raise ConfigError(
            f"preset {preset} distils (loss.distillation {trial.loss.distillation}), which needs "
            "a teacher: give --teacher a model file or folder"
        )
    return TrainRunConfig(
        # Absolute: the run writes its config to its own folder, where relative paths would start.
        corpus=read_corpus_config(corpus.resolve()),
        teacher=None if teacher is None else teacher.resolve(),
        trial=trial,
    )
