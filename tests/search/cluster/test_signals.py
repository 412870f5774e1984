"""Ctrl-C and SIGTERM; the former's whole searches are in test_driver."""

import os
import signal
import threading

import pytest

from results.journal.journal import read_journal
from search.cluster.signals import Interrupts, Terminated, keeping_sigterm, terminable
from tests.search.real_search import RealSearch, epochs_of, events_of, tiny_settings, wait_for


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_ends_at_once_and_is_reported_once():
    heard = []
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts(lambda: heard.append("first"), lambda: heard.append("second")) as interrupts:
        terminate()
        terminate()
        assert heard == ["second"]
        assert (interrupts.is_urgent, interrupts.is_terminated) == (True, True)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("lasts", [True, False])
def test_what_does_not_end_after_sigterm_is_left_after_a_while(monkeypatch, lasts):
    monkeypatch.setattr("search.cluster.signals.STUCK_AFTER_S", 0.05)
    stuck = threading.Event()
    with Interrupts(lambda: None, lambda: None, stuck.set):
        terminate()
        if lasts:
            assert stuck.wait(10)
    assert stuck.wait(0.2) == lasts


def test_sigterm_outside_of_training_is_an_interrupt_of_its_own():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated, match=r"^$"), terminable():
        terminate()
    assert signal.getsignal(signal.SIGTERM) is before


def test_handler_that_ray_replaces_is_put_back():
    with terminable():
        own = signal.getsignal(signal.SIGTERM)
        with keeping_sigterm():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) is own


def test_sigterm_while_ray_starts_is_an_interrupt_too():
    with pytest.raises(Terminated), terminable(), keeping_sigterm():
        raise SystemExit(signal.SIGTERM)
    with pytest.raises(SystemExit, match=r"^3$"), keeping_sigterm():
        raise SystemExit(3)


def test_default_handler_is_left_to_ray():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with keeping_sigterm():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.parametrize("to", ["process", "group"])
def test_sigterm_saves_prints_how_to_resume_and_leaves_no_fault(tiny_world, tmp_path, to):
    """Kubernetes sends it to the process; Slurm to all of a step, Ray's own processes too."""
    search = RealSearch(tiny_world, tmp_path / "run", tiny_settings(tiny_world))
    with search.start() as driver:
        wait_for(lambda: epochs_of(search.run) >= 10, "the second trial's second epoch")
        if to == "process":
            driver.process.terminate()
        else:
            driver.signal_group(signal.SIGTERM)
        assert driver.wait() == 143, driver.output
        assert "stopping now" in driver.output
        assert f"veer resume {search.run}" in driver.output
        assert "Traceback" not in driver.output
    assert 10 <= epochs_of(search.run) < 24
    records = read_journal(search.run / "journal.jsonl")
    assert (records[-1]["event"], records[-1]["reason"]) == ("search_ended", "interrupted")
    assert not [record for record in records if record["event"] == "infrastructure"]
    with search.resume() as again:
        assert again.wait() == 0, again.output
    epochs = [(record["trial"], record["epoch"]) for record in events_of(search.run, "epoch")]
    assert sorted(epochs) == [(trial, epoch) for trial in range(3) for epoch in range(1, 9)]


@pytest.mark.cluster
@pytest.mark.slow
def test_sigterm_before_the_first_trial_ends_without_a_trace(tiny_world, tmp_path):
    search = RealSearch(tiny_world, tmp_path / "run", tiny_settings(tiny_world))
    with search.start() as driver:
        wait_for(lambda: "teacher VEER" in driver.output, "the teacher's VEER")
        driver.process.terminate()
        assert driver.wait() == 143, driver.output
        assert "Traceback" not in driver.output
        assert "continues from here" in driver.output or "veer resume" in driver.output
