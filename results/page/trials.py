"""What the page keeps of every trial for its details: figures, config, curve, commands.

It is embedded once, as JSON: names stand once, configs as what they have beyond the common part.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.custom_config import is_custom_family
from results.journal.history import TrialHistory
from results.terminal.facts import sampled_facts, trial_facts
from results.terminal.quoting import veer_command

VEER_DECIMALS = 3
ABSENT = object()


def trials_data(
    folder: Path, rows: Sequence[Mapping[str, Any]], trials: Sequence[TrialHistory]
) -> dict[str, Any]:
    """The details of all trials.

    Args:
        folder: The run's.
        rows: Of the trials table.
        trials: The same trials' histories.
    """
    by_number = {row["trial"]: row for row in rows if row["trial"] is not None}
    configs = [trial.started["config"] for trial in trials]
    common = in_common(configs)
    names: dict[str, int] = {}
    return {
        "trials": [_trial(each, by_number[each.trial], common, names) for each in trials],
        "names": list(names),
        "common": common,
        "commands": _commands(folder),
    }


def in_common(configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The part that all configs share, nested as they are; a list is one value."""
    if not configs:
        return {}
    shared = {}
    for key, value in configs[0].items():
        others = [config.get(key, ABSENT) for config in configs]
        if isinstance(value, Mapping) and all(isinstance(each, Mapping) for each in others):
            if value and (inner := in_common(others)):
                shared[key] = inner
        elif all(_is_same(value, each) for each in others):
            shared[key] = value
    return shared


def beyond(config: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """What a config has besides the common part; both together are the config."""
    rest = {}
    for key, value in config.items():
        if key not in common:
            rest[key] = value
        elif isinstance(value, Mapping) and (inner := beyond(value, common[key])):
            rest[key] = inner
    return rest


def curve_points(trial: TrialHistory) -> list[tuple[int, float]]:
    """Epoch and VEER in percent, where it was measured."""
    points = ((record["epoch"], record["veer_pct"]) for record in trial.in_order)
    return [(epoch, veer) for epoch, veer in points if veer is not None]


def flag_of(trial: TrialHistory) -> list[str]:
    """The flag without which the trial's model may not be built."""
    family = trial.started["config"].get("model", {}).get("family")
    return ["--allow-code"] if is_custom_family(family) else []


def _trial(
    trial: TrialHistory, row: Mapping[str, Any], common: Mapping[str, Any], names: dict[str, int]
) -> dict[str, Any]:
    points = curve_points(trial)
    told = {
        "facts": trial_facts(row),
        "sampled": sampled_facts(row),
    }
    return {
        "trial": trial.trial,
        "state": trial.state,
        "epochs": [epoch for epoch, _ in points],
        "veer_pct": [round(veer, VEER_DECIMALS) for _, veer in points],
        **{
            what: [[names.setdefault(name, len(names)), text] for name, text in facts.items()]
            for what, facts in told.items()
        },
        "config": beyond(trial.started["config"], common),
        "flag": "".join(f" {flag}" for flag in flag_of(trial)),
        "can_export": trial.ended is not None and bool(points),
    }


def _commands(folder: Path) -> dict[str, tuple[str, str]]:
    """Each command before and after the trial's number, which needs no quotes.

    In the path of an export the number has four digits.
    """
    mark = "trial-0000"
    config = folder / "export" / mark / "config.yaml"
    before, _, after = veer_command("train", config).rpartition(mark)
    return {
        "show": (veer_command("show", folder) + " ", ""),
        "export": (veer_command("export", folder, "--trial") + " ", ""),
        "train": (before + "trial-", after),
    }


def _is_same(one: object, other: object) -> bool:
    """Equal and of one type, so that 1, 1.0 and true stay apart."""
    return type(one) is type(other) and one == other
