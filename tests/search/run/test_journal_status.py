"""The status of a search from its journal."""

from typing import Any

import pytest

from search.run.journal_status import has_ended, journal_status
from tests.worlds.journals import changed, made_record
from tests.worlds.views import view_of


def test_the_status_counts_own_trials_and_estimates_the_time_left() -> None:
    settings = {"num_trials": 5, "max_epochs": 4}
    config = {"loss": {"distillation": "none"}}
    begun = {"params": {}, "config": config, "config_hash": "a", "seed": 0}

    def epochs(trial: int, *times_s: float) -> list[dict[str, Any]]:
        return [
            made_record("epoch", trial=trial, epoch=number, veer_pct=10.0 + trial,
             time_s=time_s)
            for number, time_s in enumerate(times_s, start=1)
        ]  # fmt: skip

    records = [
        made_record("search_started", time_s=100.0, settings=settings),
        made_record("trial_started", time_s=110.0, trial=0, **begun),
        *epochs(0, 120.0, 130.0),
        made_record("trial_ended", time_s=130.0, trial=0, state="complete", reason=None),
        made_record("trial_started", time_s=130.0, trial=1, **begun),
        *epochs(1, 150.0),
        made_record("trial_started", time_s=150.0, trial=2, follow_up="repeat",
         follows=0, **begun),
    ]  # fmt: skip
    status = journal_status(view_of(records), 200.0)
    assert (status.num_trials, status.ended, status.running, status.epochs) == (5, 1, 1, 3)
    assert (status.best_trial, status.best_veer_pct) == (0, 10.0)
    assert status.elapsed_s == 100.0
    # 3 epochs in 40 s; a trial lasts 2: one of trial 1 is left and three trials wait; a follow-up
    # lasts 4, and one has begun.
    assert status.left_s == pytest.approx((1 + 3 * 2 + 4) * 40 / 3)

    def left(**other: Any) -> float | None:
        begun = changed(records[0], settings=settings | other)
        return journal_status(view_of([begun, *records[1:]]), 200.0).left_s

    left_s = left(repeat=2, finalists=2, control=1)
    assert left_s == pytest.approx((1 + 3 * 2 + 5 * 4) * 40 / 3)
    assert left(time_limit_s=120.0) == 20.0
    assert left(total_epochs=4) == pytest.approx((1 + 4) * 40 / 3)
    assert not has_ended(records)
    assert has_ended([*records, made_record("search_ended", time_s=1.0, reason="finished")])
