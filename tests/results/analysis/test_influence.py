"""Which parameter comes first in the table."""

import random

from results.analysis.influence import by_influence


def rows_of(num: int, **columns: object) -> list[dict[str, object]]:
    """Rows in the order of their VEER; each column is a function of the place."""
    return [
        {"rank": place + 1, "veer_pct": 5.0 + place**2, "same_as": None}
        | {name: make(place) for name, make in columns.items()}  # type: ignore[operator]
        for place in range(num)
    ]


def test_the_parameter_that_orders_the_trials_comes_first() -> None:
    rng = random.Random(0)
    rows = rows_of(
        24,
        chance=lambda _: rng.choice(["a", "b"]),
        loss=lambda place: "mse" if place < 12 else "none",
        lr=lambda place: 0.001 * place,
        # Best in the middle: no correlation would find it.
        width=lambda place: (16, 8, 24)[min(place // 8, 2)],
    )
    order = by_influence(["chance", "loss", "lr", "width"], rows)
    assert set(order[:2]) == {"lr", "width"}
    assert order[2:] == ["loss", "chance"]


def test_a_parameter_without_effect_in_some_trials_is_a_group() -> None:
    rows = rows_of(10, on=lambda place: 0.1 * place if place < 5 else None, off=lambda p: p % 2)
    assert by_influence(["off", "on"], rows) == ["on", "off"]


def test_few_trials_keep_the_order_and_other_names_of_a_run_do_not_count() -> None:
    rows = rows_of(4, a=lambda _: 1, b=lambda place: place)
    assert by_influence(["a", "b"], rows) == ["a", "b"]
    again = [row | {"same_as": 0} for row in rows_of(9, a=lambda _: 1, b=lambda place: place)]
    assert by_influence(["a", "b"], again) == ["a", "b"]
