"""A step of the student asks a GPU for few operators, which move few bytes."""

import pytest

from tests.benchmarks.operators import operators_in_bfloat16, operators_of_step, student_config

# Measured with PyTorch's own layers: 578 operators and 15.8 GB, and 735 in bfloat16.
MAX_OPERATORS, MAX_GB = 425, 11.6
MAX_IN_BFLOAT16 = 535


def test_operators_and_bytes_of_a_step_stay_under_their_bounds() -> None:
    counted = operators_of_step(student_config())
    assert 0 < counted.count <= MAX_OPERATORS
    assert 0 < counted.num_bytes <= MAX_GB * 1e9


def test_casts_to_bfloat16_are_counted_and_few() -> None:
    few, plain = (
        operators_in_bfloat16(student_config(2), few=each).count for each in (True, False)
    )
    assert operators_of_step(student_config(2)).count < few <= MAX_IN_BFLOAT16
    assert few < 0.75 * plain


@pytest.mark.parametrize("num_blocks", [1, 2])
def test_a_block_adds_the_same_operators(num_blocks: int) -> None:
    sizes = {"hidden_dim": 16, "num_frames": 200}
    counts = [
        operators_of_step(student_config(2, num_blocks=each, **sizes)).count
        for each in (num_blocks, num_blocks + 1)
    ]
    assert counts[1] - counts[0] == 44
