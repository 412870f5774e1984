from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spaces.dimensions import Choice, Condition, Float, Integer


def test_bounds_are_closed_at_both_ends() -> None:
    rate = Float(name="lr", low=1e-4, high=1e-2, log=True)
    assert rate.contains(1e-4)
    assert rate.contains(1e-2)
    assert not rate.contains(9.99e-5)
    assert not rate.contains(1.0001e-2)
    depth = Integer(name="depth", low=2, high=8)
    assert [value for value in range(12) if depth.contains(value)] == [2, 3, 4, 5, 6, 7, 8]
    assert (rate.extremes(), depth.extremes()) == ((1e-4, 1e-2), (2, 8))


@given(st.integers(0, 90))
def test_every_step_of_a_float_is_inside_whatever_the_rounding(number: int) -> None:
    dimension = Float(name="alpha", low=0.05, high=0.95, step=0.01)
    assert dimension.contains(min(0.95, 0.05 + number * 0.01))
    assert dimension.contains(round(0.05 + number * 0.01, 2))
    assert not dimension.contains(0.055 + number * 0.01)


def test_a_step_that_rounds_above_the_bound_is_outside() -> None:
    above = 0.05 + 90 * 0.01
    assert above > 0.95
    assert not Float(name="alpha", low=0.05, high=0.95, step=0.01).contains(above)


def test_integer_steps_start_at_low() -> None:
    dimension = Integer(name="width", low=32, high=96, step=32)
    assert [value for value in range(200) if dimension.contains(value)] == [32, 64, 96]


@pytest.mark.parametrize("value", [True, "2", None, 2.5, [2]])
def test_an_integer_holds_nothing_but_integers(value: object) -> None:
    assert not Integer(name="depth", low=0, high=8).contains(value)


@pytest.mark.parametrize("value", [True, "2", None, float("nan")])
def test_a_float_holds_nothing_but_numbers(value: object) -> None:
    assert not Float(name="lr", low=0, high=8).contains(value)
    assert not Float(name="lr", low=0, high=8, step=0.5).contains(value)


def test_a_truth_value_is_not_a_number_among_choices() -> None:
    assert not Choice(name="a", choices=(1, 2)).contains(True)
    assert Choice(name="a", choices=(1, True, None, "x")).choices == (1, True, None, "x")
    assert Choice(name="a", choices=(1, 2)).contains(1.0)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (Float, {"low": 2, "high": 1}, r"low <= high must hold, got low=2\.0, high=1\.0"),
        (Float, {"low": 0, "high": 1, "log": True}, r"must lie above 0, got low=0\.0"),
        (Float, {"low": -1, "high": 1, "log": True}, r"must lie above 0, got low=-1\.0"),
        (Integer, {"low": 0, "high": 9, "log": True}, "must lie above 0, got low=0"),
        (Float, {"low": 1, "high": 2, "log": True, "step": 0.5}, r"no steps, got step=0\.5"),
        (Integer, {"low": 1, "high": 9, "log": True, "step": 2}, "no steps, got step=2"),
        (Float, {"low": 0, "high": 1, "step": 0.3}, r"low=0\.0, high=1\.0, step=0\.3"),
        (Integer, {"low": 0, "high": 9, "step": 2}, "low=0, high=9, step=2"),
        (Integer, {"low": 0, "high": 9, "step": 0}, "greater than 0"),
        (Integer, {"low": 0.5, "high": 9}, "valid integer"),
        (Integer, {"low": True, "high": 9}, "valid integer"),
        (Float, {"low": "0", "high": 9}, "valid number"),
        (Float, {"low": 0, "high": float("inf")}, "finite number"),
        (Choice, {"choices": []}, "at least 1 item"),
        (Choice, {"choices": [1, 2, 1.0]}, r"choices must differ, got 1\.0 twice"),
        (Choice, {"choices": [[1]]}, r"one number, word or truth value, got \[1\]"),
        (Choice, {"choices": [float("nan")]}, "must be finite, got nan"),
        (Choice, {"choices": [1], "when": {"b": []}}, "got none for 'b'"),
    ],
)
def test_an_unsound_dimension_cannot_be_built(
    kind: type[Any], fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        kind(name="a", **fields)


def test_steps_that_floats_cannot_hold_exactly_still_fit() -> None:
    assert Float(name="a", low=0.1, high=0.7, step=0.1).contains(0.1 + 2 * 0.1)


def test_conditions_are_written_as_a_mapping_of_value_or_values() -> None:
    dimension = Choice.model_validate(
        {"name": "a", "choices": [1], "when": {"loss.kind": "mse", "depth": [1, 2]}}
    )
    assert dimension.when == (
        Condition(parameter="loss.kind", values=("mse",)),
        Condition(parameter="depth", values=(1, 2)),
    )
    assert dimension.when[1].allows(2)
    assert not dimension.when[1].allows(True)
