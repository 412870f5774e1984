import pytest

from search.teacher import may_distil
from spaces.dimensions import Choice, Float
from spaces.space import Space

LR = Float(name="training.lr", low=1e-4, high=1e-2)


@pytest.mark.parametrize(
    ("fixed", "choices", "expected"),
    [
        ({}, ("none",), False),
        ({}, ("none", "mse"), True),
        ({"loss": {"distillation": "none"}}, None, False),
        ({"loss": {"distillation": "cosine"}}, None, True),
        ({"loss": {"distillation": "cosine", "alpha": 0.0}}, None, False),
        ({}, None, True),
    ],
)
def test_space_may_distil_where_one_of_its_trials_can(fixed, choices, expected):
    choice = () if choices is None else (Choice(name="loss.distillation", choices=choices),)
    assert may_distil(Space(name="s", fixed=fixed, dimensions=(*choice, LR))) is expected
