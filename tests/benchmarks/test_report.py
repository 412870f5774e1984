"""A benchmark's last line and exit status."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.report import Verdict, finish_all

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
    ("ratios", "words", "status"),
    [
        ((1.3, 2.2), ("ok", "ok"), 0),
        ((1.2, 2.3), ("missed", "ok"), 1),
        ((2.0, 2.0), ("ok", "missed"), 1),
    ],
)
def test_one_missed_target_of_several_is_exit_status_1(
    ratios: tuple[float, ...],
    words: tuple[str, ...],
    status: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    verdicts = [
        Verdict(name=name, ratio=ratio, target=target)
        for name, ratio, target in zip(("large", "small"), ratios, (1.3, 2.2), strict=True)
    ]
    with pytest.raises(SystemExit) as end:
        finish_all(verdicts)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"large: ratio={ratios[0]:.2f} target=1.30 {words[0]}",
        f"small: ratio={ratios[1]:.2f} target=2.20 {words[1]}",
    ]
    assert end.value.code == status



@pytest.mark.parametrize(("ratio", "word"), [(1.05, "ok"), (1.051, "missed")])
def test_a_figure_above_its_limit_is_missed(ratio: float, word: str) -> None:
    verdict = Verdict(name="step", ratio=ratio, target=1.05, is_limit=True)
    assert str(verdict) == f"step: ratio={ratio:.3f} at most 1.05 {word}"
    assert verdict.is_met == (word == "ok")
