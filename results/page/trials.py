"""Data of all trials for the details on the page: facts, config, curve, commands.

To keep the page small, names are stored once in a list, and the part that all configs share is
stored once. The script details.js puts them together.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.custom_config import is_custom_family
from results.journal.history import TrialHistory
from results.terminal.facts import sampled_facts, trial_facts
from results.terminal.quoting import veer_command

_VEER_DECIMALS = 3
_ABSENT = object()


def trials_data(
    folder: Path, rows: Sequence[Mapping[str, Any]], trials: Sequence[TrialHistory]
) -> dict[str, Any]:
    """Return the details of all trials, for embedding as JSON.

    Args:
        folder: The run folder.
        rows: Rows of the trials table.
        trials: Histories of the same trials.
    """
    by_number = {row["trial"]: row for row in rows if row["trial"] is not None}
    configs = [trial.started.config for trial in trials]
    common = common_part(configs)
    # Names once and then by index: hundreds of trials repeat them, and the page is one file.
    names: dict[str, int] = {}
    return {
        "trials": [_trial(each, by_number[each.trial], common, names) for each in trials],
        "names": list(names),
        "common": common,
        "commands": _commands(folder),
    }


def common_part(configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the part that all configs share, nested like the configs; a list is one value."""
    if not configs:
        return {}
    shared = {}
    for key, value in configs[0].items():
        # A marker of its own, since null is a value of a config.
        others = [config.get(key, _ABSENT) for config in configs]
        if isinstance(value, Mapping) and all(isinstance(each, Mapping) for each in others):
            if value and (inner := common_part(others)):
                shared[key] = inner
        elif all(_is_same(value, each) for each in others):
            shared[key] = value
    return shared


def without_common(config: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config without the common part; both merged give the config again."""
    rest = {}
    for key, value in config.items():
        if key not in common:
            rest[key] = value
        elif isinstance(value, Mapping) and (inner := without_common(value, common[key])):
            rest[key] = inner
    return rest


def curve_points(trial: TrialHistory) -> list[tuple[int, float]]:
    """Return pairs of epoch and VEER in percent, for epochs with a VEER."""
    points = ((record.epoch, record.veer_pct) for record in trial.in_order)
    return [(epoch, veer) for epoch, veer in points if veer is not None]


def code_flag(trial: TrialHistory) -> list[str]:
    """Return `--allow-code` in a list if the model's class is in a file of the user, else []."""
    family = trial.started.config.get("model", {}).get("family")
    return ["--allow-code"] if is_custom_family(family) else []


def _trial(
    trial: TrialHistory, row: Mapping[str, Any], common: Mapping[str, Any], names: dict[str, int]
) -> dict[str, Any]:
    points = curve_points(trial)
    fact_lists = {
        "facts": trial_facts(row),
        "sampled": sampled_facts(row),
    }
    return {
        "trial": trial.trial,
        "state": trial.state,
        "epochs": [epoch for epoch, _ in points],
        "veer_pct": [round(veer, _VEER_DECIMALS) for _, veer in points],
        **{
            key: [[names.setdefault(name, len(names)), text] for name, text in facts.items()]
            for key, facts in fact_lists.items()
        },
        "config": without_common(trial.started.config, common),
        "flag": "".join(f" {flag}" for flag in code_flag(trial)),
        "can_export": trial.ended is not None and bool(points),
    }


def _commands(folder: Path) -> dict[str, tuple[str, str]]:
    """Return the text of each command before and after the number of the trial.

    The script of the page inserts the number, with four digits in the path of an export. Quotes
    are not affected, because a number needs none.
    """
    # The last occurrence is the folder of the export, whatever the run folder is called.
    mark = "trial-0000"
    config = folder / "export" / mark / "config.yaml"
    before, _, after = veer_command("train", config).rpartition(mark)
    return {
        "show": (veer_command("show", folder) + " ", ""),
        "export": (veer_command("export", folder, "--trial") + " ", ""),
        "train": (before + "trial-", after),
    }


def _is_same(one: object, other: object) -> bool:
    """Return whether values are equal and of one type: in Python 1 == 1.0 == True."""
    return type(one) is type(other) and one == other
