from pathlib import Path

import pytest

from search.config.parts import FaultConfig
from search.loop.shares import RaisedShare
from tests.search.conducting import story, veer_pct, work

HALF, WHOLE = (RaisedShare(resource="gpu", share=share) for share in (0.5, 1.0))


def without_faults(path: Path) -> list[dict]:
    return [r for r in story(path) if r["event"] != "infrastructure"]


def test_trial_without_memory_is_handed_out_next_with_a_larger_share(conduct, tmp_path):
    conductor = conduct(tmp_path / "j")
    first, second = conductor.next_trial(), conductor.next_trial()
    conductor.report(0, 1, 30.0, {})
    assert first.raised is None
    conductor.out_of_memory(0, HALF, "Tried to allocate 2 GiB")
    assert story(tmp_path / "j")[-1] == {
        "event": "infrastructure", "kind": "out_of_memory", "trial": 0, "epoch": 1,
        "resource": "gpu", "share": 0.5, "message": "Tried to allocate 2 GiB",
    }  # fmt: skip
    assert (first.is_running, first.state, second.is_running) == (False, None, True)
    assert conductor.has_running
    assert not conductor.is_finished
    again = conductor.next_trial()
    assert (again, again.trial, again.raised, again.epoch) == (first, 0, HALF, 1)
    assert conductor.next_trial().trial == 2


def test_nobody_learns_of_a_lack_of_memory(conduct, tmp_path):
    """Neither the sampler, nor early stopping, nor the budget: all else is as without it."""
    work(conduct(tmp_path / "whole", num_trials=13))
    conductor = conduct(tmp_path / "j", num_trials=13)
    lacks = {(1, 0): HALF, (2, 1): HALF, (4, 0): HALF, (4, 3): WHOLE}
    while (course := conductor.next_trial()) is not None:
        epoch = max(course.epoch, 1)
        while True:
            if raised := lacks.pop((course.trial, epoch - 1), None):
                conductor.out_of_memory(course.trial, raised, "full")
                break
            pct = veer_pct(course.config, epoch)
            if not conductor.report(course.trial, epoch, pct, {"lr": 0.1}):
                break
            epoch += 1
    reached = [key for key in [(1, 0), (2, 1), (4, 0), (4, 3)] if key not in lacks]
    assert len(reached) >= 3
    assert without_faults(tmp_path / "j") == story(tmp_path / "whole")
    assert len(story(tmp_path / "j")) == len(story(tmp_path / "whole")) + len(reached)


def test_search_that_is_killed_keeps_the_larger_share(conduct, tmp_path):
    conductor = conduct(tmp_path / "j")
    conductor.next_trial()
    conductor.report(0, 1, 30.0, {})
    conductor.out_of_memory(0, HALF, "full")
    conductor.next_trial()
    conductor.out_of_memory(0, WHOLE, "full")
    again = conduct(tmp_path / "j").next_trial()
    assert (again.trial, again.raised, again.veer_pct) == (0, WHOLE, {1: 30.0})


def test_trial_that_ended_is_not_handed_out_again(conduct, tmp_path):
    conductor = conduct(tmp_path / "j", num_trials=1)
    conductor.next_trial()
    conductor.end(0, "failed", "out of memory with a whole GPU: full")
    before = story(tmp_path / "j")
    conductor.out_of_memory(0, WHOLE, "full")
    assert story(tmp_path / "j") == before
    assert conductor.next_trial() is None
    assert conductor.is_finished


def faulty(conductor, trial: int, kind: str = "worker_lost", message: str = "gone") -> None:
    """Hands the trial out, and it meets a fault."""
    assert conductor.next_trial().trial == trial
    conductor.fault(trial, kind, message)


def test_trial_that_met_a_fault_is_handed_out_again_first(conduct, tmp_path):
    said = []
    conductor = conduct(tmp_path / "j", say=said.append)
    conductor.next_trial()
    conductor.next_trial()
    conductor.report(0, 1, 30.0, {})
    conductor.fault(0, "worker_lost", "the worker died")
    assert story(tmp_path / "j")[-1] == {
        "event": "infrastructure", "kind": "worker_lost", "trial": 0, "epoch": 1,
        "message": "the worker died",
    }  # fmt: skip
    assert said == ["trial 0: its process died after epoch 1; run again (1 of 2)"]
    again = conductor.next_trial()
    assert (again.trial, again.epoch, again.state) == (0, 1, None)


def test_trial_fails_after_more_faults_than_retries(conduct, tmp_path):
    said = []
    conductor = conduct(tmp_path / "j", num_trials=1, say=said.append)
    for kind in ("worker_lost", "hung", "device_error"):
        faulty(conductor, 0, kind, f"a {kind}")
    assert story(tmp_path / "j")[-1] == {
        "event": "trial_ended", "trial": 0, "state": "failed",
        "reason": "3 faults without a finished epoch in between (1 worker lost, 1 hung, "
        "1 device error), the last: a device_error",
    }  # fmt: skip
    assert said[-1] == "trial 0: a device_error in its first epoch; it has failed"
    assert conductor.is_finished


def test_without_retries_the_first_fault_is_the_last(conduct, tmp_path):
    conductor = conduct(tmp_path / "j", faults=FaultConfig(retries=0))
    faulty(conductor, 0)
    assert conductor.trials[0].state == "failed"


def test_new_epoch_forgives_and_a_repeated_one_does_not(conduct, tmp_path):
    """A node that is taken away every epoch does not use up a long trial."""
    conductor = conduct(tmp_path / "j", num_trials=1)
    conductor.next_trial()
    for epoch in range(1, 8):
        for num_faults in (1, 2):
            conductor.fault(0, "node_lost", "taken away")
            assert len(conductor.trials[0].faults) == num_faults
            conductor.next_trial()
            if epoch > 1:
                conductor.report(0, epoch - 1, 30.0, {})  # restored: it repeats its last epoch
        conductor.report(0, epoch, 30.0, {})
        assert conductor.trials[0].faults == []
    assert conductor.trials[0].state is None


@pytest.mark.parametrize("killed_after", range(1, 8))
def test_count_of_faults_is_the_same_after_a_resume(conduct, tmp_path, killed_after):
    steps = ["fault", "fault", "epoch", "fault", "damage", "memory", "fault", "fault"]

    def go(path: Path, resumes_at: int | None) -> list[dict]:
        conductor = conduct(path, num_trials=1)
        conductor.next_trial()
        for number, step in enumerate(steps):
            if number == resumes_at:
                conductor = conduct(path, num_trials=1)
                conductor.next_trial()
            if step == "epoch":
                conductor.report(0, 1, 30.0, {})
            elif step == "damage":
                conductor.note_damage(0, "model000000002.model")
            elif step == "memory":
                conductor.out_of_memory(0, HALF, "full")
                conductor.next_trial()
            else:
                conductor.fault(0, "worker_lost", "gone")
                conductor.next_trial()
        return story(path)

    whole = go(tmp_path / "whole", None)
    assert whole[-1]["state"] == "failed"
    assert "3 faults without" in whole[-1]["reason"]
    assert go(tmp_path / "resumed", killed_after) == whole


def test_search_killed_between_the_last_fault_and_the_end_ends_the_trial(conduct, tmp_path):
    conductor = conduct(tmp_path / "whole", num_trials=1)
    for _ in range(3):
        faulty(conductor, 0)
    whole = story(tmp_path / "whole")
    lines = (tmp_path / "whole").read_text().splitlines(keepends=True)
    (tmp_path / "j").write_text("".join(lines[:-1]))
    again = conduct(tmp_path / "j", num_trials=1)
    assert again.next_trial() is None
    assert story(tmp_path / "j") == whole


def test_nobody_learns_of_a_fault(conduct, tmp_path):
    work(conduct(tmp_path / "whole", num_trials=6))
    conductor = conduct(tmp_path / "j", num_trials=6)
    left = {0: 2, 3: 1, 4: 2}
    while (course := conductor.next_trial()) is not None:
        if left.get(course.trial):
            left[course.trial] -= 1
            conductor.fault(course.trial, "worker_lost", "gone")
            continue
        epoch = max(course.epoch, 1)
        while conductor.report(
            course.trial, epoch, veer_pct(course.config, epoch), {"lr": 0.1}
        ):
            epoch += 1
    assert not any(left.values())
    assert without_faults(tmp_path / "j") == story(tmp_path / "whole")


def test_many_failing_trials_halt_the_search_with_the_reason_first(conduct, tmp_path):
    faults = FaultConfig(retries=0, min_failed=3, max_failed_share=0.5)
    conductor = conduct(tmp_path / "j", faults=faults)
    for trial in range(3):
        assert conductor.halted is None
        faulty(conductor, trial, "error", f"RuntimeError: no room at 0x{trial}ff")
    assert conductor.halted == "failing"
    assert conductor.halt_message == (
        "3 of 3 trials failed, the most frequent reason first:\n"
        "  3 trials (0, 1, 2): a fault without a finished epoch in between (1 error), the last: "
        "RuntimeError: no room at 0x0ff (others: other numbers)"
    )
    assert conductor.next_trial() is None
    # The cause was mended: what failed before does not count.
    again = conduct(tmp_path / "j", faults=faults)
    assert again.next_trial().trial == 3
    faulty(again, 4, "error", "RuntimeError: no room at 0x9")
    assert again.halted is None


def test_first_reason_of_a_halt_keeps_its_message(conduct, tmp_path):
    conductor = conduct(tmp_path / "j")
    conductor.halt("disk_full", "no room for x")
    conductor.halt("interrupted", "other")
    assert (conductor.halted, conductor.halt_message) == ("disk_full", "no room for x")


def test_kinds_of_faults_are_counted_over_the_whole_run(conduct, tmp_path):
    conductor = conduct(tmp_path / "j")
    faulty(conductor, 0)
    again = conduct(tmp_path / "j")
    faulty(again, 0, "hung")
    assert again.ledger.kinds == {"worker_lost": 1, "hung": 1}
