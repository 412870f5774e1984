"""Forms of deployment by VEER, latency and size: the ones that no other beats in all three."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from results.analysis.nondominated import nondominated
from results.records.benchmark_row import BenchmarkRow
from spaces.files.errors import RunError

FORMS_FILE = "forms.json"
# The teacher's name in a benchmark: the front is of students.
_TEACHER = "teacher"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormPoint:
    """A form of a student or of the teacher, at one utterance and one thread.

    Attributes:
        row: What was measured.
        is_on_front: Whether no other form of a student is at most as high in VEER, latency and
            size, and lower in one.
    """

    row: BenchmarkRow
    is_on_front: bool

    @property
    def name(self) -> str:
        """Model and form."""
        return f"{self.row.model}, {self.row.form}"

    @property
    def is_student(self) -> bool:
        """Whether it is of a student, not of the teacher."""
        return self.row.model != _TEACHER

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of its VEER, percent; None where there is none."""
        low, high = self.row.form_veer_low_pct, self.row.form_veer_high_pct
        return None if low is None or high is None else (low, high)


def read_form_rows(folder: Path) -> list[BenchmarkRow]:
    """Return the rows of `forms.json` in a run folder; empty where there is none.

    Raises:
        RunError: The file is damaged.
    """
    file = folder / FORMS_FILE
    if not file.is_file():
        return []
    try:
        return [BenchmarkRow.model_validate(each) for each in json.loads(file.read_text())["rows"]]
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise RunError(
            f"{file}: cannot be read ({type(error).__name__}); measure it again: "
            f"veer benchmark {folder} --forms"
        ) from error


def form_points(rows: Sequence[BenchmarkRow]) -> list[FormPoint]:
    """Return the forms that were measured with their VEER, by ascending VEER."""
    able = sorted(
        (
            (veer_pct, row.latency_median_ms, size_mb, row)
            for row in rows
            if row.batch_size == row.num_threads == 1
            and (veer_pct := row.form_veer_pct) is not None
            and (size_mb := row.file_mb) is not None
        ),
        key=lambda each: each[:3],
    )
    students = [each for each in able if each[3].model != _TEACHER]
    front = {id(students[index][3]) for index in nondominated([each[:3] for each in students])}
    return [FormPoint(row=each[3], is_on_front=id(each[3]) in front) for each in able]


def front_lines(points: Sequence[FormPoint]) -> list[str]:
    """Return a line on each form of the front; none without one."""
    front = [each for each in points if each.is_on_front]
    if not front:
        return []
    lines = ["the front of forms: no other form of a student beats them in VEER, latency and size"]
    for each in front:
        row = each.row
        ends = "" if (own := each.interval) is None else f" ({own[0]:.2f} to {own[1]:.2f})"
        lines.append(
            f"{each.name}: VEER {row.form_veer_pct:.2f} %{ends}, {row.latency_median_ms:.2f} ms, "
            f"{row.file_mb:.2f} MB"
        )
    return lines
