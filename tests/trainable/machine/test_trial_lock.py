"""Two processes never train one trial at once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spaces.files.errors import BusyError
from trainable.machine.trial_lock import TrialLock

HOLD = """
import sys, time
from pathlib import Path
from trainable.machine.trial_lock import TrialLock
lock = TrialLock()
lock.acquire(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start another process that has locked the folder."""
    root = str(Path(__file__).parents[3])
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_folder_that_another_process_has_is_refused_with_its_name(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    with pytest.raises(BusyError, match=rf"trains this trial \(process {holder.pid} on "):
        TrialLock().acquire(tmp_path, wait_s=0.3)


def test_the_lock_of_a_killed_process_is_free(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    holder.send_signal(signal.SIGKILL)
    TrialLock().acquire(tmp_path, wait_s=10)


def test_a_lock_is_free_once_it_is_released(tmp_path: Path) -> None:
    one, other = TrialLock(), TrialLock()
    one.acquire(tmp_path)
    one.acquire(tmp_path)
    with pytest.raises(BusyError, match=f"process {os.getpid()} on"):
        other.acquire(tmp_path, wait_s=0)
    one.release()
    one.release()
    other.acquire(tmp_path, wait_s=0)
    other.release()
