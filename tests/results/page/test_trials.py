"""The data of the page has every part of every trial, each stored once."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from results.journal.history import trial_histories
from results.journal.run_folder import RunFolder
from results.page.trials import common_part, trials_data, without_common
from results.tables.trials import trials_table
from tests.worlds.views import view_of


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both parts of a config together, as the page's script puts them."""
    both = dict(one)
    for key, value in other.items():
        is_nested = isinstance(value, dict) and isinstance(one.get(key), dict)
        both[key] = merged(one[key], value) if is_nested else value
    return both


CONFIGS: list[dict[str, Any]] = [
    {"model": {"family": "a", "dim": 8, "more": {"x": 1, "y": 2}}, "seed": 1, "on": True, "e": {}},
    {"model": {"family": "a", "dim": 9, "more": {"x": 1, "y": 3}}, "seed": 1, "on": 1, "e": {}},
    {"model": {"family": "a", "more": {"x": 1}}, "seed": 1, "loss": [1, 2], "on": True},
]


def test_common_part_and_rest_are_the_config() -> None:
    common = common_part(CONFIGS)
    assert common == {"model": {"family": "a", "more": {"x": 1}}, "seed": 1}
    for config in CONFIGS:
        assert merged(common, without_common(config, common)) == config
    assert without_common(CONFIGS[2], common) == {"loss": [1, 2], "on": True}


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (1, True), ({"a": 1}, 1), ([], {}), (None, "None")]
)
def test_values_of_other_types_are_not_the_same(one: object, other: object) -> None:
    assert common_part([{"key": one}, {"key": other}]) == {}


def test_without_trials_there_is_no_common_part() -> None:
    assert common_part([]) == {}


def test_every_trial_has_its_config_and_can_be_exported_when_it_ended(
    journal_run: RunFolder,
) -> None:
    records = journal_run.read()
    trials = trial_histories(records)
    data = trials_data(journal_run.path, trials_table(view_of(records)).to_pylist(), trials)
    for trial, details in zip(trials, data["trials"], strict=True):
        assert merged(data["common"], details["config"]) == trial.started.config
    exportable = [each["trial"] for each in data["trials"] if each["can_export"]]
    assert exportable == [0, 1, 2, 5, 6]  # 3 has no epoch, 4 has not ended


def test_commands_hold_whatever_the_folder_is_called() -> None:
    folder = Path("/runs/it's trial-0000 $(x)")
    commands = trials_data(folder, [], [])["commands"]
    words = {
        name: shlex.split(f"{before}{number}{after}")
        for (name, (before, after)), number in zip(
            commands.items(), ("7", "7", "0007"), strict=True
        )
    }
    assert words == {
        "show": ["veer", "show", str(folder), "7"],
        "export": ["veer", "export", str(folder), "--trial", "7"],
        "train": ["veer", "train", f"{folder}/export/trial-0007/config.yaml"],
    }
