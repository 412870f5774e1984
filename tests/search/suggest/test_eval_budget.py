"""Crops that a fifth of an epoch has room for, by hand and by search."""

import pytest

from search.suggest.eval_crops import affordable_eval_crops, expected_eval_share


@pytest.mark.parametrize(
    ("num_train", "num_val", "wanted", "crops"),
    [
        # 4 trained crops to 1 embedded at a third of the cost: exactly a fifth at 3 crops.
        (400, 100, 5, 3),
        (399, 100, 5, 2),
        (400, 100, 2, 2),
        (400, 100, 1, 1),
        # VoxCeleb1's development part and original list.
        (148_642, 4_708, 10, 10),
        # Not even one: 30 / 130 and more.
        (100, 90, 2, 1),
        (10, 10_000, 100, 1),
    ],
)
def test_as_many_as_fit(num_train: int, num_val: int, wanted: int, crops: int) -> None:
    assert affordable_eval_crops(num_train, num_val, wanted) == crops


def test_the_share_is_of_the_whole_epoch() -> None:
    # 100 crops at 1, 30 at a third.
    assert expected_eval_share(100, 30, 1) == pytest.approx(10 / 110)
    assert expected_eval_share(100, 30, 3) == pytest.approx(30 / 130)


@pytest.mark.parametrize("num_val", [7, 60, 133, 500])
def test_no_more_would_fit(num_val: int) -> None:
    crops = affordable_eval_crops(400, num_val, 20)
    assert crops == 1 or expected_eval_share(400, num_val, crops) <= 0.2
    assert crops == 20 or expected_eval_share(400, num_val, crops + 1) > 0.2
