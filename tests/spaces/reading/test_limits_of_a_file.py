"""The limits of a space file, and the message for a wrong one."""

from collections.abc import Callable

import pytest

from spaces.limits import Limits
from spaces.space import Space

ANY = "lr: {low: 1e-4, high: 1e-2}\n"


def test_a_file_without_limits_has_none(read: Callable[[str], Space]) -> None:
    assert read(ANY).limits == Limits()
    assert Limits().names == ()


def test_limits_stand_beside_the_config(read: Callable[[str], Space]) -> None:
    space = read(ANY + "limits: {max_params: 3000, max_gpu_memory: 3GiB}\n")
    assert space.limits == Limits(max_params=3000, max_gpu_memory=3 * 2**30)
    assert space.limits.names == ("max_params", "max_gpu_memory")
    assert "limits" not in space.fixed


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "limits: {max_param: 5}",
            "2: limits.max_param: unknown key; did you mean 'max_params'?",
        ),
        (
            "limits:\n  max_macs: 0",
            "3: limits.max_macs: must be greater than or equal to 1, got 0",
        ),
        ("limits: 5", "2: limits: must be a valid dictionary or instance of Limits, got 5"),
    ],
)
def test_a_wrong_limit_is_named(
    mistakes: Callable[[str], list[str]], text: str, line: str
) -> None:
    assert mistakes(ANY + text + "\n") == [line]
