"""The starting points of a search: configs of presets, files, and trials of earlier runs.

A source is one of:

v1_mse               a preset
mine.yaml            a trial's config, or a training run's
run:runs/first       the best trial of an earlier run
run:runs/first#top3  the three best trials of that run
run:runs/first#7     trial 7 of that run
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from results.analysis.ranking import best_ended
from results.journal.history import TrialHistory, trial_histories
from results.journal.run_folder import RunFolder
from results.terminal.trial import find_trial
from spaces.files.complaints import did_you_mean
from spaces.files.errors import ConfigError, RunError
from spaces.files.yaml_file import load_mapping, load_model, read_yaml
from trainable.config.reading import bundled_configs, read_trial_config
from trainable.config.trial_config import TrainRunConfig, TrialConfig

RUN_PREFIX = "run:"
TRIAL_CHOICE = re.compile(r"top(?P<most>[1-9][0-9]*)|(?P<trial>[0-9]+)")

StartingTree = tuple[str, dict[str, Any]]


def starting_trees(sources: Sequence[str], base: Path) -> list[StartingTree]:
    """Return the configs that the sources name, in the order of the sources.

    Args:
        sources: Sources in the forms that the module describes.
        base: Folder from which relative paths count.

    Returns:
        (label, config of a whole trial as a tree) for each config. The label is the source; for a
        run also the trial, and a remark if fewer trials than wanted have ended.

    Raises:
        ConfigError: A source has none of the forms, or its config breaks a rule.
        RunError: The run or trial does not exist, or none of the run's trials has ended.
    """
    return [found for source in sources for found in _trees_of(source, base)]


def _trees_of(source: str, base: Path) -> list[StartingTree]:
    if source.startswith(RUN_PREFIX):
        return _trees_of_run(source, base)
    return [(source, _as_tree(_config_of(source, base)))]


def _config_of(source: str, base: Path) -> TrialConfig:
    # Presets first: a file of the same name is still reached as ./NAME.
    if source in bundled_configs():
        return read_trial_config(source)
    path = base / source
    if not path.is_file():
        raise ConfigError(
            f"a starting point must be a preset, a config's file or run:FOLDER, got {source!r}"
            f"{did_you_mean(source, bundled_configs())}"
        )
    document = read_yaml(path)
    # A training run's file holds the trial's config under this key, next to its own settings.
    if "trial" in document.data:
        return load_model(TrainRunConfig, document).trial
    return load_model(TrialConfig, document)


def _trees_of_run(source: str, base: Path) -> list[StartingTree]:
    folder, hash_sign, which = source.removeprefix(RUN_PREFIX).partition("#")
    # Without `#` the best trial; an empty choice after `#` is a typing error.
    match = TRIAL_CHOICE.fullmatch(which) if hash_sign else TRIAL_CHOICE.fullmatch("top1")
    if match is None or not folder:
        raise ConfigError(
            "a run as starting point must be run:FOLDER, run:FOLDER#topN or run:FOLDER#TRIAL, "
            f"N from 1, got {source!r}"
        )
    trials = trial_histories(RunFolder(base / folder).read())
    try:
        if match["trial"] is not None:
            return [_labelled(source, find_trial(trials, int(match["trial"])))]
        best = best_ended(trials, int(match["most"]))
    except RunError as error:
        raise RunError(f"{source}: {error}") from error
    found = [_labelled(source, trial) for trial in best]
    if len(best) < int(match["most"]):
        label, tree = found[-1]
        found[-1] = (f"{label} (no more than {len(best)} have ended with a VEER)", tree)
    return found


def _labelled(source: str, trial: TrialHistory) -> StartingTree:
    label = f"{source}, trial {trial.trial}"
    config: Mapping[str, Any] = trial.started.config
    return label, _as_tree(load_mapping(TrialConfig, config, label))


def _as_tree(config: TrialConfig) -> dict[str, Any]:
    return config.model_dump(mode="json")
