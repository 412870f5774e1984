"""Ctrl-C and SIGTERM; whole searches are in tests/search/ray_tune/test_driver.py."""

import os
import signal
import sys
import threading

import pytest

from search.cluster.signals import Interrupts, Terminated, keeping_sigterm, terminable


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


def test_sigterm_whose_exception_python_ignores_is_not_lost(capfd):
    class Hook:
        # As those around a fork, in which Ray's SystemExit is ignored.
        def __del__(self) -> None:
            terminate()

    def start() -> None:
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
        Hook()

    with pytest.raises(Terminated), terminable(), keeping_sigterm():
        start()
    heard = []
    with Interrupts(lambda: None, lambda: heard.append("ends")) as interrupts:
        with keeping_sigterm():
            start()
        assert interrupts.is_terminated
        with keeping_sigterm():
            pass
    assert heard == ["ends"]
    assert capfd.readouterr() == ("", "")


def test_threads_of_ray_end_unprinted_after_sigterm(monkeypatch):
    printed = []
    monkeypatch.setattr(threading, "excepthook", lambda failed: printed.append(failed.thread.name))

    def fail_in(name: str) -> None:
        thread = threading.Thread(target=lambda: 1 / 0, name=name)
        thread.start()
        thread.join()

    fail_in("ray_listen_error_messages")
    with pytest.raises(Terminated), terminable(), keeping_sigterm():
        terminate()
    fail_in("ray_listen_error_messages")
    fail_in("own")
    assert printed == ["ray_listen_error_messages", "own"]


def test_default_handler_is_left_to_ray():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with keeping_sigterm():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
