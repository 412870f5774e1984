"""The cost of trials and searches, against sums worked by hand."""

from typing import Any

import pytest

from results.analysis.cost import cost_remark
from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from results.records.record import Record
from results.tables.trials import trials_table
from search.loop.early_stopping import Verdict
from search.loop.trial_course import Budget, TrialCourse, end_after_epoch
from search.suggest.suggestions import Suggestion
from tests.worlds.journals import changed, made_record
from tests.worlds.views import view_of
from trainable.config.trial_config import TrialConfig

TWO_CPUS = {"resources": {"cpu": 2.0, "gpu": 0.0}, "max_epochs": 10}


def at(time_s: float, event: str, trial: int | None = None, **fields: Any) -> Record:
    own = {} if trial is None else {"trial": trial}
    return made_record(event, time_s=time_s, **own, **fields)


def started(time_s: float, trial: int) -> Record:
    return at(time_s, "trial_started", trial, params={}, config={}, seed=0, config_hash="ab")


def placed(time_s: float, trial: int, device: str = "cpu", **fields: Any) -> Record:
    return at(time_s, "placed", trial, epoch=0, device=device, **fields)


def epoch(time_s: float, trial: int, number: int, **fields: Any) -> Record:
    own = {"train_s": 50.0, "eval_s": 10.0, "num_samples": 100, **fields}
    return at(time_s, "epoch", trial, epoch=number, veer_pct=9.0, **own)


def ended(time_s: float, trial: int, state: str, reason: str | None = None) -> Record:
    return at(time_s, "trial_ended", trial, state=state, reason=reason)


def fault(time_s: float, trial: int, kind: str = "worker_lost", **fields: Any) -> Record:
    return at(time_s, "infrastructure", trial, kind=kind, epoch=0, message="", **fields)


def begun(settings: dict[str, Any] = TWO_CPUS, time_s: float = 0.0) -> Record:
    return at(time_s, "search_started", settings=settings, provenance={})


def core_s(*records: Record, trial: int = 0) -> float:
    hours = view_of(records).costs[trial].core_hours
    assert hours is not None
    return hours * 3600


def gpu_s(*records: Record, trial: int = 0) -> float:
    hours = view_of(records).costs[trial].gpu_hours
    assert hours is not None
    return hours * 3600


def test_a_trial_is_charged_from_its_set_up_to_its_end() -> None:
    records = (
        begun(), started(5, 0), placed(100, 0, had_s=90.0), epoch(100, 0, 1), epoch(160, 0, 2),
        ended(170, 0, "complete"),
    )  # fmt: skip
    assert core_s(*records) == pytest.approx(2 * (170 - 10))
    assert gpu_s(*records) == 0
    assert view_of(records).costs[0].num_samples == 200


def test_journals_without_places_give_the_epochs_own_time() -> None:
    records = (begun(), started(5, 0), epoch(100, 0, 1), epoch(190, 0, 2))
    assert core_s(*records) == pytest.approx(2 * (60 + 60))


def test_a_journal_without_resources_has_no_hours(journal_run: RunFolder) -> None:
    (row, *_) = trials_table(RunView.read(journal_run)).to_pylist()
    assert (row["core_hours"], row["gpu_hours"], row["num_samples"]) == (None, None, None)
    assert RunView.read(journal_run).cost.total.core_hours is None


def test_retries_are_counted_in() -> None:
    records = (
        begun(), started(0, 0), placed(70, 0, had_s=70.0), epoch(70, 0, 1), fault(100, 0),
        # 20 s until another worker had it, which counts for no worker.
        placed(200, 0, had_s=80.0), epoch(200, 0, 2), ended(200, 0, "complete"),
    )  # fmt: skip
    assert core_s(*records) == pytest.approx(2 * (100 + 80))


def test_a_worker_that_died_before_it_reported_counts_from_the_record_before() -> None:
    records = (
        begun(), started(10, 0), fault(40, 0), placed(100, 0, had_s=55.0), epoch(100, 0, 1),
    )  # fmt: skip
    assert core_s(*records) == pytest.approx(2 * (30 + 55))


def test_a_trial_that_failed_before_it_reported_counts_from_its_start() -> None:
    others = (placed(10, 0, had_s=10.0), epoch(10, 0, 1))
    records = (begun(), started(0, 0), *others, started(20, 1), ended(50, 1, "failed", "no"))
    assert core_s(*records, trial=1) == pytest.approx(2 * 30)


def test_more_cpus_after_too_little_memory_cost_more() -> None:
    records = (
        begun(), started(0, 0), placed(50, 0, had_s=50.0), epoch(50, 0, 1),
        fault(60, 0, "out_of_memory", resource="cpu", share=4.0),
        placed(100, 0, had_s=30.0), epoch(100, 0, 2),
    )  # fmt: skip
    assert core_s(*records) == pytest.approx(2 * 60 + 4 * 30)


def test_a_larger_share_of_a_gpu_costs_more_and_the_cpus_the_same() -> None:
    settings = {"resources": {"cpu": 1.0, "gpu": 0.25}, "max_epochs": 10}
    records = (
        begun(settings), started(0, 0), placed(50, 0, "NVIDIA", had_s=50.0), epoch(50, 0, 1),
        fault(60, 0, "out_of_memory", resource="gpu", share=0.5),
        placed(100, 0, "NVIDIA", had_s=30.0), epoch(100, 0, 2),
    )  # fmt: skip
    assert gpu_s(*records) == pytest.approx(0.25 * 60 + 0.5 * 30)
    assert core_s(*records) == pytest.approx(60 + 30)


STEP = {
    "num_bytes": 1, "is_estimated": False, "context_bytes": 1, "total_bytes": 9, "gpu": "NVIDIA",
}  # fmt: skip


@pytest.mark.parametrize(("device", "share"), [("NVIDIA", 0.2), ("cpu", 0.0)])
def test_a_measured_share_of_a_gpu_counts_where_there_was_one(device: str, share: float) -> None:
    settings = {"resources": {"cpu": 1.0, "gpu": "auto"}, "max_epochs": 10}
    measured = at(1, "gpu_share", share=0.2, **STEP)
    run = (started(2, 0), placed(60, 0, device, had_s=50.0), epoch(60, 0, 1))
    assert gpu_s(begun(settings), measured, *run) == pytest.approx(share * 50)


def test_auto_without_a_gpu_costs_no_gpu_time() -> None:
    settings = {"resources": {"cpu": 1.0, "gpu": "auto"}, "device": "cpu"}
    assert gpu_s(begun(settings), started(2, 0), epoch(60, 0, 1)) == 0


KILLED = (
    begun(), started(0, 0), placed(60, 0, had_s=60.0), epoch(60, 0, 1), epoch(110, 0, 2),
)  # fmt: skip
# A thousand seconds later, with four CPUs; what the new process writes before it goes on is no
# sign that the old one lived till then.
RESUMED = (
    at(1100, "corpus", lists={}, stores={}),
    at(1105, "search_resumed", settings=TWO_CPUS | {"resources": {"cpu": 4.0, "gpu": 0.0}}),
    placed(1200, 0, had_s=50.0),
    epoch(1200, 0, 3),
    ended(1201, 0, "complete"),
    at(1210, "search_ended", reason="finished"),
    at(9999, "benchmark", hardware={}, rows=[]),
)


def test_the_gap_after_a_kill_is_not_counted() -> None:
    assert core_s(*KILLED, *RESUMED) == pytest.approx(2 * 110 + 4 * (1201 - 1150))
    assert view_of((*KILLED, *RESUMED)).cost.wall_h == pytest.approx((110 + 1210 - 1105) / 3600)


def test_a_trial_that_ends_while_the_search_is_made_ready_is_not_charged_for_the_gap() -> None:
    late = (ended(1100, 0, "complete"), at(1105, "search_resumed"))
    assert core_s(*KILLED, *late) == pytest.approx(2 * 110)
    assert view_of((*KILLED, *late)).cost.wall_h == pytest.approx(110 / 3600)


def test_a_running_search_is_counted_to_its_last_sign_of_life() -> None:
    assert view_of(KILLED).cost.wall_h == pytest.approx(110 / 3600)


def stopped_search() -> tuple[Record, ...]:
    """Trial 0 complete, 1 stopped at a rung, 2 diverged, 3 stopped by the end of the search."""
    rung = "VEER above 9.00 %, the limit at rung 2"
    runs = (
        (0, 10, "complete", None),
        (1, 2, "stopped_early", rung),
        (2, 3, "diverged", "the VEER of epoch 3 is not a number"),
        (3, 4, "stopped_early", "the search has had its 19 epochs"),
    )
    records, now_s = [begun()], 0.0
    for trial, num_epochs, state, reason in runs:
        records.append(started(now_s, trial))
        for number in range(1, num_epochs + 1):
            now_s += 60
            if number == 1:
                records.append(placed(now_s, trial, had_s=60.0))
            records.append(epoch(now_s, trial, number))
        records.append(ended(now_s, trial, state, reason))
    return (*records, at(now_s, "search_ended", reason="epochs_spent"))


def test_a_search_costs_what_its_trials_cost() -> None:
    cost = view_of(stopped_search()).cost
    assert (cost.total.num_epochs, cost.total.num_samples) == (19, 1900)
    assert cost.total.core_hours == pytest.approx(19 * 2 / 60)
    assert cost.wall_h == pytest.approx(19 / 60)
    assert (cost.stopped.num_epochs, cost.failed.num_epochs) == (6, 3)
    assert cost.failed.core_hours == pytest.approx(3 * 2 / 60)


def test_early_stopping_saved_what_the_trials_at_rungs_did_not_run() -> None:
    cost = view_of(stopped_search()).cost
    assert cost.saved_epochs == 8
    assert cost.saved_core_hours == pytest.approx(8 * 2 / 60)


def test_the_remark_is_one_line() -> None:
    assert cost_remark(view_of(stopped_search()).cost) == (
        "cost: 19 epochs, 1,900 samples, 38.0 core-minutes in 19.0 min; stopped trials took 6 "
        "epochs, 600 samples, 12.0 core-minutes; failed trials took 3 epochs, 300 samples, 6.0 "
        "core-minutes; early stopping saved 8 epochs, about 16.0 core-minutes"
    )
    assert cost_remark(view_of((begun(), started(0, 0))).cost) is None


def test_the_table_has_the_costs_of_each_trial() -> None:
    table = trials_table(view_of(_with_losses(stopped_search())))
    rows = {row["trial"]: row for row in table.to_pylist()}
    assert rows[0]["num_samples"] == 1000
    assert rows[0]["core_hours"] == pytest.approx(20 / 60)
    assert rows[1]["core_hours"] == pytest.approx(4 / 60)
    assert rows[1]["gpu_hours"] == 0


def _with_losses(records: tuple[Record, ...]) -> tuple[Record, ...]:
    loss = {"loss": {"distillation": "none"}}
    return tuple(changed(r, config=loss) if r.event == "trial_started" else r for r in records)


def test_an_early_stop_is_known_by_its_reason() -> None:
    course = TrialCourse(
        trial=0,
        suggestion=Suggestion(number=0, params={}, tree={}, seed=0),
        config=TrialConfig(),
        veer_pct={1: 9.0, 2: 9.0},
        verdict=Verdict(stop=True, rung=2.0, cutoff_pct=8.0),
    )
    found = end_after_epoch(course, Budget(num_trials=4, max_epochs=10), None)
    assert found is not None
    records = (*KILLED, ended(110, 0, *found))
    assert view_of(records).cost.saved_epochs == 8
