"""Configs that a search begins with: presets, files, and the best trials of earlier runs.

v1_mse               a preset
mine.yaml            a trial's config, or a training run's
run:runs/first       the best trial of an earlier run
run:runs/first#top3  its three best
run:runs/first#7     its trial 7
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
    """The configs that the sources name, in their order.

    Args:
        sources: As at the top of this file.
        base: Folder that relative paths count from.

    Returns:
        (source, tree of a whole trial's config) for each. Where a source is a run, the trial is
        named beside it, and at its last trial whether there were fewer than asked for.

    Raises:
        ConfigError: A source is none of these, or its config breaks a rule.
        RunError: There is no such run or trial, or none of the run's trials has ended.
    """
    return [found for source in sources for found in _trees_of(source, base)]


def _trees_of(source: str, base: Path) -> list[StartingTree]:
    if source.startswith(RUN_PREFIX):
        return _trees_of_run(source, base)
    return [(source, _whole(_config_of(source, base)))]


def _config_of(source: str, base: Path) -> TrialConfig:
    if source in bundled_configs():
        return read_trial_config(source)
    path = base / source
    if not path.is_file():
        raise ConfigError(
            f"a starting point must be a preset, a config's file or run:FOLDER, got {source!r}"
            f"{did_you_mean(source, bundled_configs())}"
        )
    document = read_yaml(path)
    if "trial" in document.data:
        return load_model(TrainRunConfig, document).trial
    return load_model(TrialConfig, document)


def _trees_of_run(source: str, base: Path) -> list[StartingTree]:
    folder, hash_sign, which = source.removeprefix(RUN_PREFIX).partition("#")
    match = TRIAL_CHOICE.fullmatch(which) if hash_sign else TRIAL_CHOICE.fullmatch("top1")
    if match is None or not folder:
        raise ConfigError(
            "a run as starting point must be run:FOLDER, run:FOLDER#topN or run:FOLDER#TRIAL, "
            f"N from 1, got {source!r}"
        )
    trials = trial_histories(RunFolder(base / folder).read())
    try:
        if match["trial"] is not None:
            return [_named(source, find_trial(trials, int(match["trial"])))]
        best = best_ended(trials, int(match["most"]))
    except RunError as error:
        raise RunError(f"{source}: {error}") from error
    found = [_named(source, trial) for trial in best]
    if len(best) < int(match["most"]):
        label, tree = found[-1]
        found[-1] = (f"{label} (no more than {len(best)} have ended with a VEER)", tree)
    return found


def _named(source: str, trial: TrialHistory) -> StartingTree:
    label = f"{source}, trial {trial.trial}"
    config: Mapping[str, Any] = trial.started["config"]
    return label, _whole(load_mapping(TrialConfig, config, label))


def _whole(config: TrialConfig) -> dict[str, Any]:
    return config.model_dump(mode="json")
