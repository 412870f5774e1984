from pathlib import Path

import pytest

from search.config.sections import FaultConfig
from search.loop.shares import RaisedShare
from search.loop.trial_course import Fault
from tests.worlds.simulated_search import epoch_fields, untimed_records, veer_pct, work

HALF, WHOLE = (RaisedShare(resource="gpu", share=share) for share in (0.5, 1.0))


def without_faults(path: Path) -> list[dict]:
    return [r for r in untimed_records(path) if r["event"] != "infrastructure"]


def test_trial_without_memory_is_handed_out_next_with_a_larger_share(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j")
    first, second = coordinator.next_trial(), coordinator.next_trial()
    coordinator.report(0, 1, 30.0, {})
    assert first.raised is None
    coordinator.out_of_memory(0, HALF, "Tried to allocate 2 GiB")
    assert untimed_records(tmp_path / "j")[-1] == {
        "event": "infrastructure", "kind": "out_of_memory", "trial": 0, "epoch": 1,
        "resource": "gpu", "share": 0.5, "message": "Tried to allocate 2 GiB",
    }  # fmt: skip
    assert (first.is_running, first.state, second.is_running) == (False, None, True)
    assert coordinator.has_running
    assert not coordinator.is_finished
    again = coordinator.next_trial()
    assert (again, again.trial, again.raised, again.epoch) == (first, 0, HALF, 1)
    assert coordinator.next_trial().trial == 2


def test_a_lack_of_memory_changes_no_decision(search_on, tmp_path):
    """Neither the sampler, nor early stopping, nor the budget: all else is as without it."""
    work(search_on(tmp_path / "whole", num_trials=13))
    coordinator = search_on(tmp_path / "j", num_trials=13)
    lacks = {(1, 0): HALF, (2, 1): HALF, (4, 0): HALF, (4, 3): WHOLE}
    while (course := coordinator.next_trial()) is not None:
        epoch = max(course.epoch, 1)
        while True:
            if raised := lacks.pop((course.trial, epoch - 1), None):
                coordinator.out_of_memory(course.trial, raised, "full")
                break
            pct = veer_pct(course.config, epoch)
            fields = epoch_fields(course.config, epoch)
            if not coordinator.report(course.trial, epoch, pct, fields):
                break
            epoch += 1
    reached = [key for key in [(1, 0), (2, 1), (4, 0), (4, 3)] if key not in lacks]
    assert len(reached) >= 3
    whole = untimed_records(tmp_path / "whole")
    assert without_faults(tmp_path / "j") == whole
    assert len(untimed_records(tmp_path / "j")) == len(whole) + len(reached)


def test_search_that_is_killed_keeps_the_larger_share(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j")
    coordinator.next_trial()
    coordinator.report(0, 1, 30.0, {})
    coordinator.out_of_memory(0, HALF, "full")
    coordinator.next_trial()
    coordinator.out_of_memory(0, WHOLE, "full")
    again = search_on(tmp_path / "j").next_trial()
    assert (again.trial, again.raised, again.veer_pct) == (0, WHOLE, {1: 30.0})


def test_trial_that_ended_is_not_handed_out_again(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j", num_trials=1)
    coordinator.next_trial()
    coordinator.end(0, "failed", "out of memory with a whole GPU: full")
    before = untimed_records(tmp_path / "j")
    coordinator.out_of_memory(0, WHOLE, "full")
    assert untimed_records(tmp_path / "j") == before
    assert coordinator.next_trial() is None
    assert coordinator.is_finished


def faulty(coordinator, trial: int, kind: str = "worker_lost", message: str = "gone") -> None:
    """Hands the trial out, and it meets a fault."""
    assert coordinator.next_trial().trial == trial
    coordinator.fault(trial, kind, message)


def test_trial_that_met_a_fault_is_handed_out_again_first(search_on, tmp_path):
    lines = []
    coordinator = search_on(tmp_path / "j", print_line=lines.append)
    coordinator.next_trial()
    coordinator.next_trial()
    coordinator.report(0, 1, 30.0, {})
    coordinator.fault(0, "worker_lost", "the worker died")
    assert untimed_records(tmp_path / "j")[-1] == {
        "event": "infrastructure", "kind": "worker_lost", "trial": 0, "epoch": 1,
        "message": "the worker died",
    }  # fmt: skip
    assert lines == ["trial 0: its process died after epoch 1; run again (1 of 2)"]
    again = coordinator.next_trial()
    assert (again.trial, again.epoch, again.state) == (0, 1, None)


def test_trial_fails_after_more_faults_than_retries(search_on, tmp_path):
    lines = []
    coordinator = search_on(tmp_path / "j", num_trials=1, print_line=lines.append)
    for kind in ("worker_lost", "hung", "device_error"):
        faulty(coordinator, 0, kind, f"a {kind}")
    assert untimed_records(tmp_path / "j")[-1] == {
        "event": "trial_ended", "trial": 0, "state": "failed",
        "reason": "3 faults without a finished epoch in between (1 worker lost, 1 hung, "
        "1 device error), the last: a device_error",
    }  # fmt: skip
    assert lines[-1] == "trial 0: a device_error in its first epoch; it has failed"
    assert coordinator.is_finished


def test_without_retries_the_first_fault_is_the_last(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j", faults=FaultConfig(retries=0))
    faulty(coordinator, 0)
    assert coordinator.trials[0].state == "failed"


def test_new_epoch_forgives_and_a_repeated_one_does_not(search_on, tmp_path):
    """A node that is taken away every epoch does not use up a long trial."""
    coordinator = search_on(tmp_path / "j", num_trials=1)
    coordinator.next_trial()
    for epoch in range(1, 8):
        for num_faults in (1, 2):
            coordinator.fault(0, "node_lost", "taken away")
            assert len(coordinator.trials[0].faults) == num_faults
            coordinator.next_trial()
            if epoch > 1:
                coordinator.report(0, epoch - 1, 30.0, {})  # restored: it repeats its last epoch
        coordinator.report(0, epoch, 30.0, {})
        assert coordinator.trials[0].faults == []
    assert coordinator.trials[0].state is None


@pytest.mark.parametrize("killed_after", range(1, 8))
def test_count_of_faults_is_the_same_after_a_resume(search_on, tmp_path, killed_after):
    steps = ["fault", "fault", "epoch", "fault", "damage", "memory", "fault", "fault"]

    def go(path: Path, resumes_at: int | None) -> list[dict]:
        coordinator = search_on(path, num_trials=1)
        coordinator.next_trial()
        for number, step in enumerate(steps):
            if number == resumes_at:
                coordinator = search_on(path, num_trials=1)
                coordinator.next_trial()
            if step == "epoch":
                coordinator.report(0, 1, 30.0, {})
            elif step == "damage":
                damage = Fault(kind="checkpoint_damaged", message="model000000002.model")
                coordinator.note(0, damage)
            elif step == "memory":
                coordinator.out_of_memory(0, HALF, "full")
                coordinator.next_trial()
            else:
                coordinator.fault(0, "worker_lost", "gone")
                coordinator.next_trial()
        return untimed_records(path)

    whole = go(tmp_path / "whole", None)
    assert whole[-1]["state"] == "failed"
    assert "3 faults without" in whole[-1]["reason"]
    assert go(tmp_path / "resumed", killed_after) == whole


def test_search_killed_between_the_last_fault_and_the_end_ends_the_trial(search_on, tmp_path):
    coordinator = search_on(tmp_path / "whole", num_trials=1)
    for _ in range(3):
        faulty(coordinator, 0)
    whole = untimed_records(tmp_path / "whole")
    lines = (tmp_path / "whole").read_text().splitlines(keepends=True)
    (tmp_path / "j").write_text("".join(lines[:-1]))
    again = search_on(tmp_path / "j", num_trials=1)
    assert again.next_trial() is None
    assert untimed_records(tmp_path / "j") == whole


def test_a_fault_changes_no_decision(search_on, tmp_path):
    work(search_on(tmp_path / "whole", num_trials=6))
    coordinator = search_on(tmp_path / "j", num_trials=6)
    left = {0: 2, 3: 1, 4: 2}
    while (course := coordinator.next_trial()) is not None:
        if left.get(course.trial):
            left[course.trial] -= 1
            coordinator.fault(course.trial, "worker_lost", "gone")
            continue
        epoch = max(course.epoch, 1)
        while coordinator.report(
            course.trial, epoch, veer_pct(course.config, epoch), epoch_fields(course.config, epoch)
        ):
            epoch += 1
    assert not any(left.values())
    assert without_faults(tmp_path / "j") == untimed_records(tmp_path / "whole")


def test_many_failing_trials_halt_the_search_with_the_reason_first(search_on, tmp_path):
    faults = FaultConfig(retries=0, min_failed=3, max_failed_share=0.5)
    coordinator = search_on(tmp_path / "j", faults=faults)
    for trial in range(3):
        assert coordinator.halted is None
        faulty(coordinator, trial, "error", f"RuntimeError: no room at 0x{trial}ff")
    assert coordinator.halted == "failing"
    assert coordinator.halt_message == (
        "3 of 3 trials failed, the most frequent reason first:\n"
        "  3 trials (0, 1, 2): a fault without a finished epoch in between (1 error), the last: "
        "RuntimeError: no room at 0x0ff (others: other numbers)"
    )
    assert coordinator.next_trial() is None
    # The cause was mended: what failed before does not count.
    again = search_on(tmp_path / "j", faults=faults)
    assert again.next_trial().trial == 3
    faulty(again, 4, "error", "RuntimeError: no room at 0x9")
    assert again.halted is None


def test_first_reason_of_a_halt_keeps_its_message(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j")
    coordinator.halt("disk_full", "no room for x")
    coordinator.halt("interrupted", "other")
    assert (coordinator.halted, coordinator.halt_message) == ("disk_full", "no room for x")


def test_kinds_of_faults_are_counted_over_the_whole_run(search_on, tmp_path):
    coordinator = search_on(tmp_path / "j")
    faulty(coordinator, 0)
    again = search_on(tmp_path / "j")
    faulty(again, 0, "hung")
    assert again.ledger.kinds == {"worker_lost": 1, "hung": 1}
