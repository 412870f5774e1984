"""The text and the excess of a broken limit."""

import pytest

from spaces.limits import Violation


@pytest.mark.parametrize(
    ("violation", "text", "excess"),
    [
        (
            Violation(limit="max_params", value=7_366_592, allowed=5_000_000),
            "max_params is 5,000,000, the config has 7,366,592",
            0.4733184,
        ),
        (
            Violation(limit="max_cpu_latency_vs_teacher", value=0.75, allowed=0.5),
            "max_cpu_latency_vs_teacher is 0.5, the config has 0.75",
            0.5,
        ),
        (
            Violation(limit="max_gpu_memory", value=3 * 2**29, allowed=2**30, is_estimated=True),
            "max_gpu_memory is 1024.0MiB, the config has 1536.0MiB (estimated)",
            0.5,
        ),
    ],
)
def test_a_violation_names_limit_value_and_excess(
    violation: Violation, text: str, excess: float
) -> None:
    assert str(violation) == text
    assert violation.excess == pytest.approx(excess)
