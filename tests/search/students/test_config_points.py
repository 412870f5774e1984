import numpy as np

from search.students.config_points import WORD, ConfigPoints
from spaces.dimensions import Choice, Float
from spaces.space import Space

SPACE = Space(
    name="s",
    fixed={},
    dimensions=(
        Choice(name="model.hidden_dim", choices=(16, 32, 64)),
        Choice(name="loss.distillation", choices=("none", "cosine")),
        Float(name="loss.alpha", low=0.0, high=1.0, when={"loss.distillation": "cosine"}),
    ),
)


def test_numbers_are_one_feature_and_words_one_each():
    params = [
        {"model.hidden_dim": 16, "loss.distillation": "none"},
        {"model.hidden_dim": 32, "loss.distillation": "cosine", "loss.alpha": 0.25},
    ]
    expected = [[0, WORD, 0, 0.5], [1 / 3, 0, WORD, 0.25]]
    assert np.allclose(ConfigPoints(SPACE).features(params), expected)


def test_a_space_without_dimensions_has_no_feature():
    assert ConfigPoints(Space(name="s", fixed={}, dimensions=())).features([{}]).shape == (1, 0)
