"""The lines on follow-ups that are printed before a search starts."""

from typing import Any

import pytest
from rich.console import Console

from search.config.reading import read_search_config
from search.config.search_config import SearchConfig
from search.estimates.disk_estimate import num_kept
from search.run.expectations import describe_follow_ups, print_forecast
from search.run.progress import SearchView

CORPUS = dict.fromkeys(("train_dir", "train_list", "val_dir", "val_list"), ".")


def settings(**given: Any) -> SearchConfig:
    own = {"corpus": CORPUS, "space": "mixer", "max_epochs": 30}
    return read_search_config(None, own | given)


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ({}, []),
        (
            {"repeat": 3, "control": 5},
            ["then, at most 420 epochs more: the best 3 with 3 other seeds each and 5 stopped "
             "trials to the end"],
        ),
        (
            {"repeat": 1, "finalists": 2},
            ["then, at most 60 epochs more: the best 2 with 1 other seed each"],
        ),
        ({"control": 1}, ["then, at most 30 epochs more: 1 stopped trial to the end"]),
    ],
)  # fmt: skip
def test_epochs_of_follow_ups_are_described(given: dict[str, Any], lines: list[str]) -> None:
    assert describe_follow_ups(settings(**given)) == lines


def test_every_follow_up_runs_to_the_last_epoch() -> None:
    plan = settings(repeat=2, finalists=3, control=4).follow_ups
    assert plan.num_epochs(30) == (2 * 3 + 4) * 30


@pytest.mark.parametrize(
    ("given", "num"),
    [({}, 3), ({"repeat": 1}, 6), ({"repetitions": 2, "finalists": 1}, 4)],
)
def test_finalists_count_where_they_may_be_others_than_the_best(
    given: dict[str, Any], num: int
) -> None:
    assert num_kept(settings(**given)) == num


class Lines(SearchView):
    """A view that keeps the lines it is given."""

    def __init__(self) -> None:
        super().__init__(Console(quiet=True))
        self.lines: list[str] = []

    def print_line(self, line: str, **_: Any) -> None:
        self.lines.append(line)


def test_the_forecast_knows_a_limit_of_epochs_and_a_grace_that_cannot_move() -> None:
    view = Lines()
    print_forecast(settings(max_epochs=9, num_trials=20, total_epochs=30), view)
    assert view.lines[-2:] == [
        "total_epochs: the search ends after 30 of them",
        "grace_epochs auto: both are for 1 epoch, where it begins; it stays there, since the last "
        "two rungs always stop trials",
    ]
    view = Lines()
    print_forecast(settings(max_epochs=30, num_trials=20, total_epochs=600), view)
    assert view.lines[-1] == "grace_epochs auto: both are for 1 epoch, where it begins"
