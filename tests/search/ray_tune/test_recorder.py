import pickle
from pathlib import Path

import pytest

from search.ray_tune.recorder import HaltStopper, cause_line

RAISED = """Failure # 1 (occurred at 2026-01-01_10-00-00)
ray::StudentTrial.train() (pid=1)
  File "/x/trial.py", line 1, in step
ValueError: first

Failure # 2 (occurred at 2026-01-01_10-00-09)
[36mray::StudentTrial.train()[39m (pid=2)
  File "/x/trial.py", line 1, in step
    raise ValueError("bad apple")
ValueError: bad apple
"""
LOST = """Failure # 1 (occurred at 2026-01-01_10-00-00)
The actor died unexpectedly before finishing this task.
	class_name: StudentTrial
	pid: 8
The actor is dead because its worker process has died.
"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (RAISED, "ValueError: bad apple"),
        (LOST, "The actor died unexpectedly before finishing this task."),
        ("", "unknown"),
    ],
)
def test_line_with_the_cause_is_the_reason(text, reason):
    assert cause_line(text) == reason


def test_reason_is_short():
    text = RAISED.replace("bad apple", "x" * 1000)
    assert len(cause_line(text)) == 300


def test_stopper_can_be_pickled_whatever_it_holds():
    with Path(__file__).open() as file:
        pickle.dumps(HaltStopper(lambda: file.closed))
