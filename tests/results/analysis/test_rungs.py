"""Epochs at which trials are compared, worked by hand."""

from typing import Any

import pytest

from results.analysis.rungs import asha_rungs, rungs_of

ASHA = {"kind": "asha", "grace_epochs": 3, "reduction_factor": 3.0}


@pytest.mark.parametrize(
    ("grace_epochs", "reduction_factor", "max_epochs", "rungs"),
    [
        (9, 3, 27, [9]),
        (9, 3, 28, [9, 27]),
        (1, 3, 27, [1, 3, 9]),
        (9, 3, 9, []),
        (2, 1.5, 5, [2, 3, 4.5]),
    ],
)
def test_rungs_lie_below_the_last_epoch(grace_epochs, reduction_factor, max_epochs, rungs):
    assert asha_rungs(grace_epochs, reduction_factor, max_epochs) == rungs
    scheduler = ASHA | {"grace_epochs": grace_epochs, "reduction_factor": reduction_factor}
    assert rungs_of({"scheduler": scheduler, "max_epochs": max_epochs}) == rungs


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"scheduler": ASHA},
        {"scheduler": ASHA | {"kind": "none"}, "max_epochs": 27},
        {"scheduler": ASHA | {"reduction_factor": 1.0}, "max_epochs": 27},
        {"scheduler": ASHA | {"grace_epochs": 0}, "max_epochs": 27},
    ],
)
def test_without_early_stopping_there_are_no_rungs(settings: dict[str, Any]) -> None:
    assert rungs_of(settings) == []
