"""Whole searches in processes of their own that are ended by signals."""

import os
import signal

import pytest

from results.journal.journal import read_journal
from search.cluster.signals import Interrupts
from tests.search.real_search import (
    Driver,
    RealSearch,
    epochs_of,
    events_of,
    tiny_settings,
    wait_for,
)


class TestInterrupts:
    def test_first_is_gentle_second_urgent_third_pythons_own(self):
        heard = []
        before = signal.getsignal(signal.SIGINT)
        with Interrupts(lambda: heard.append("first"), lambda: heard.append("second")) as ctrl_c:
            os.kill(os.getpid(), signal.SIGINT)
            assert (heard, ctrl_c.is_urgent) == (["first"], False)
            os.kill(os.getpid(), signal.SIGINT)
            assert (heard, ctrl_c.is_urgent) == (["first", "second"], True)
            with pytest.raises(KeyboardInterrupt, match=r"^$"):
                os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is before


def ctrl_c(driver: Driver) -> None:
    driver.signal_group(signal.SIGINT)


def ctrl_c_twice(driver: Driver) -> None:
    driver.signal_group(signal.SIGINT)
    driver.signal_group(signal.SIGINT)


def sigterm(driver: Driver) -> None:
    """As Kubernetes does."""
    driver.process.terminate()


def sigterm_to_all(driver: Driver) -> None:
    """As Slurm does, which signals all of a step, Ray's own processes too."""
    driver.signal_group(signal.SIGTERM)


@pytest.mark.cluster
@pytest.mark.slow
def test_search_that_is_ended_again_and_again_goes_on_to_the_same_end(
    in_turn, tiny_world, tmp_path
):
    """SIGKILL is in tests/chaos."""
    search = RealSearch(tiny_world, tmp_path / "run", tiny_settings(tiny_world))
    with search.start() as driver:
        wait_for(lambda: "teacher VEER" in driver.output, "the teacher's VEER")
        sigterm(driver)
        assert driver.wait() == 143, driver.output
        assert "Traceback" not in driver.output
        assert "continues from here" in driver.output or "veer resume" in driver.output
    endings = ((ctrl_c, 130), (ctrl_c_twice, 130), (sigterm_to_all, 143))
    for number, (end, status) in enumerate(endings, start=1):
        with search.go_on() as driver:
            at_least = max(epochs_of(search.run) + 1, 8 * number)
            wait_for(lambda: epochs_of(search.run) >= at_least, f"{at_least} epochs")  # noqa: B023
            end(driver)
            assert driver.wait() == status, (end, driver.output)
            assert f"veer resume {search.run}" in driver.output
            assert "Traceback" not in driver.output
            assert status == 130 or "stopping now" in driver.output
        assert at_least <= epochs_of(search.run) < 60
        last = read_journal(search.run / "journal.jsonl")[-1]
        assert (last.event, last.reason) == ("search_ended", "interrupted")
    with search.resume() as again:
        assert again.wait() == 0, again.output
    assert events_of(search.run) == events_of(in_turn.run.path)
    assert events_of(search.run, "infrastructure") == []
