import pytest

from search.suggest.samplers import refuse_unfit
from search.suggest.suggestions import Suggestions
from spaces.files.errors import ConfigError
from tests.search.suggest.test_suggestions import EVERY_KIND, SPACES, objective


@pytest.mark.parametrize("kind", ["gp", "grid", "guided"])
def test_samplers_of_one_figure_refuse_several_goals(kind):
    message = rf"sampler '{kind}' cannot honour an objective of 2 goals.*use sampler tpe or random"
    with pytest.raises(ConfigError, match=message):
        refuse_unfit(kind, SPACES[kind], stops_early=False, num_goals=2)


def test_tpe_learns_from_several_goals_within_limits_and_conditions():
    """Where both goals and a limit ask for narrow models, the suggestions become narrow."""
    suggestions = Suggestions(EVERY_KIND, kind="tpe", seed=0, num_goals=2)
    widths = []
    for number in range(40):
        suggestion = suggestions.suggest()
        width = suggestion.params["model.width"]
        widths.append(width)
        if width > 64:
            suggestions.reject(number, {"max_params": width / 64 - 1})
        elif number % 3:
            suggestions.end(number, "stopped_early", objective(suggestion), (width,))
        else:
            suggestions.end(number, "complete", objective(suggestion), (width,))
    assert widths[20:].count(32) > widths[:10].count(32) * 2
    assert widths[20:].count(96) <= widths[:10].count(96)
