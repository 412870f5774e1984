"""A benchmark's last line and exit status."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("ratio", "line", "status"),
    [
        (2.04, "student: ratio=2.04 target=2.04 ok\n", 0),
        (2.039, "student: ratio=2.04 target=2.04 missed\n", 1),
        (0.5, "student: ratio=0.50 target=2.04 missed\n", 1),
    ],
)
def test_a_missed_target_is_exit_status_1(ratio: float, line: str, status: int) -> None:
    call = f"finish('student', ratio={ratio}, target=2.04)"
    code = f"from tests.benchmarks.report import finish; {call}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == (line, status)


@pytest.mark.parametrize(
    ("ratios", "verdicts", "status"),
    [((1.05, 1.149), ("ok", "ok"), 0), ((1.051, 1.0), ("missed", "ok"), 1)],
)
def test_a_ratio_above_its_limit_is_exit_status_1(
    ratios: tuple[float, float], verdicts: tuple[str, str], status: int
) -> None:
    limits = dict(zip(("large", "small"), zip(ratios, (1.05, 1.15), strict=True), strict=True))
    code = f"from tests.benchmarks.report import finish_within; finish_within('step', {limits})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines = (
        f"step: large: ratio={ratios[0]:.3f} at most 1.05 {verdicts[0]}\n"
        f"step: small: ratio={ratios[1]:.3f} at most 1.15 {verdicts[1]}\n"
    )
    assert (done.stdout, done.returncode) == (lines, status)
