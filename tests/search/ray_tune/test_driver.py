"""Whole searches in processes of their own: signals, a cluster to join."""

import itertools
import os
import signal

import pytest

from search.cluster.connection import connected
from search.cluster.signals import Interrupts
from spaces.files.errors import ConfigError
from tests.search.ray_nodes import WITH_TOKEN, ray_nodes
from tests.search.real_search import RealSearch, epochs_of, events_of, tiny_settings, wait_for


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


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.parametrize("how", ["ctrl-c", "ctrl-c twice", "sigkill"])
def test_ended_search_goes_on_to_the_same_end(tiny_world, tmp_path, how):
    whole, search = (
        RealSearch(tiny_world, tmp_path / name, tiny_settings(tiny_world))
        for name in ("whole", "run")
    )
    with whole.start() as undisturbed, search.start() as driver:
        wait_for(lambda: epochs_of(search.run) >= 10, "the second trial's second epoch")
        if how == "sigkill":
            driver.signal_group(signal.SIGKILL)
        else:
            driver.signal_group(signal.SIGINT)
            if how == "ctrl-c twice":
                driver.signal_group(signal.SIGINT)
        status = driver.wait()
        assert undisturbed.wait() == 0, undisturbed.output
    if how != "sigkill":
        assert status == 130, driver.output
        assert f"veer resume {search.run}" in driver.output
        assert "Traceback" not in driver.output
    assert 10 <= epochs_of(search.run) < 24
    with search.resume() as again:
        assert again.wait() == 0, again.output
    assert events_of(search.run) == events_of(whole.run)


@pytest.mark.cluster
@pytest.mark.slow
def test_search_joins_a_cluster_of_two_nodes(tiny_world, tmp_path):
    settings = tiny_settings(tiny_world, num_trials=4, max_epochs=120, max_concurrent=2)
    search = RealSearch(tiny_world, tmp_path / "run", settings, **WITH_TOKEN)
    with ray_nodes((1, 1)) as cluster, search.start("--address", cluster.address) as driver:
        assert driver.wait() == 0, driver.output
    assert "at most 2 trials at a time; the cluster fits 2" in driver.output
    # One CPU a node: trials whose epochs mingle ran on two.
    order = [record["trial"] for record in events_of(search.run, "epoch")]
    assert len(order) == 4 * 120
    changes = sum(one != other for one, other in itertools.pairwise(order))
    assert changes > 3, "one trial after the other"


@pytest.mark.parametrize("address", ["127.0.0.1:9", "no-such-host.invalid:6379"])
def test_cluster_that_is_not_there_is_an_error(address, monkeypatch):
    # A Ray that other tests have left in this process would do.
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    message = rf"cannot join Ray at '{address}': .*veer cluster head"
    with pytest.raises(ConfigError, match=message), connected(address):
        pass
