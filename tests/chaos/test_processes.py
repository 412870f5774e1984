"""Families of processes, found and killed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.chaos.processes import family, is_alive, kill_at_once, wait_until_gone
from tests.search.real_search import wait_for

# A process with a child with a child; each sleeps.
NESTED = """
import subprocess, sys, time
depth = int(sys.argv[1])
if depth:
    subprocess.Popen([sys.executable, "-c", sys.argv[2], str(depth - 1), sys.argv[2]])
time.sleep(60)
"""


@pytest.fixture
def parent():
    with subprocess.Popen(
        [sys.executable, "-c", NESTED, "2", NESTED], start_new_session=True
    ) as process:
        wait_for(lambda: len(family(process.pid)) == 3, "the grandchild", 60)
        yield process
        for pid in family(process.pid):
            os.kill(pid, signal.SIGKILL)


def test_a_family_is_killed_to_the_last(parent):
    members = family(parent.pid)
    assert members[0] == parent.pid
    killed = kill_at_once(parent.pid)
    assert sorted(killed) == sorted(members)
    parent.wait()
    before_s = time.time()
    assert wait_until_gone(killed, 10) >= before_s
    assert not any(is_alive(pid) for pid in members)
    assert family(parent.pid) == []


def test_a_process_that_does_not_end_is_named(parent):
    with pytest.raises(AssertionError, match=rf"processes \[{parent.pid}\] .* did not end"):
        wait_until_gone([parent.pid], 0.05)


def test_a_dead_process_that_was_not_waited_for_is_gone():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        wait_for(lambda: not is_alive(process.pid), "its end", 60)
        assert process.returncode is None
