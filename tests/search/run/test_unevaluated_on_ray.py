"""A real search that does not evaluate every epoch: killed, resumed, reproduced."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from results.records.search_records import EvalPlanChosen
from results.records.trial_records import EpochEnded
from search.config.search_config import SearchConfig
from search.review.reproduce import Conditions, reproduce
from search.run.progress import SearchView
from search.run.run_search import run_search
from tests.worlds.local_ray import LocalRay

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
OVERRIDES = {"num_trials": 3, "max_epochs": 9, "scheduler__grace_epochs": 3}


class Interrupting(SearchView):
    """A view that interrupts the search after some epochs, as Ctrl-C does."""

    def __init__(self, epochs: int) -> None:
        super().__init__(Console(quiet=True))
        self._epochs = epochs

    def show(self, status: object) -> None:
        if status.epochs >= self._epochs:
            raise KeyboardInterrupt


def epochs_of(run: RunFolder) -> list[tuple[int, int, float | None, bool | None]]:
    records = [each for each in run.read() if isinstance(each, EpochEnded)]
    return [(each.trial, each.epoch, each.veer_pct, each.is_unevaluated) for each in records]


def test_a_search_that_saves_evaluations_is_resumed_and_reproduced_bit_for_bit(
    make_settings: Callable[..., SearchConfig], local_ray: LocalRay, tmp_path: Path
) -> None:
    local_ray.start()
    settings = make_settings(**OVERRIDES)
    run_search(settings, tmp_path / "whole", SearchView(Console(quiet=True)))
    whole = RunFolder(tmp_path / "whole")
    (plan,) = (each for each in whole.read() if isinstance(each, EvalPlanChosen))
    assert (plan.anyway, plan.all_from) == ([3], 5)
    assert plan.every_epochs > 1
    found = epochs_of(whole)
    without = {epoch for _, epoch, veer_pct, _ in found if veer_pct is None}
    assert without == {each for each in range(1, 5) if each != 3 and each % plan.every_epochs}
    assert all((veer_pct is None) == bool(left_out) for _, _, veer_pct, left_out in found)
    view = RunView.read(whole)
    assert {trial.state for trial in view.histories} <= {"complete", "stopped_early"}

    result = run_search(settings, tmp_path / "torn", Interrupting(epochs=2))
    assert result.reason == "interrupted"
    run_search(settings, tmp_path / "torn", SearchView(Console(quiet=True)))
    torn = RunFolder(tmp_path / "torn")
    assert epochs_of(torn) == found
    assert sum(isinstance(each, EvalPlanChosen) for each in torn.read()) == 1

    again = reproduce(view, 0, tmp_path / "again", conditions=Conditions())
    assert again.pairs
    assert all(pair.differing == [] for pair in again.pairs)
