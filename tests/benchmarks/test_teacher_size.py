"""The benchmark `teacher-size`: its ratio and its teachers."""

import pytest

from models import build_model, count_parameters
from tests.benchmarks.teacher_size import TEACHERS, closeness


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([100.0, 100.0, 100.0], [100.0, 100.0, 100.0], 1.0),
        ([100.0, 90.0, 300.0], [125.0, 100.0, 200.0], 0.9),  # ratios 0.8, 0.9, 1.5
        ([125.0, 100.0, 200.0], [100.0, 90.0, 300.0], 0.9),  # the same, the other way round
    ],
)
def test_slower_and_faster_count_alike(
    first: list[float], second: list[float], expected: float
) -> None:
    assert closeness(first, second) == pytest.approx(expected)


def test_the_large_teacher_has_ten_times_the_parameters() -> None:
    usual, large = (count_parameters(build_model(model)) for model in TEACHERS.values())
    assert large >= 10 * usual
    assert len({model.embedding_dim for model in TEACHERS.values()}) == 1
