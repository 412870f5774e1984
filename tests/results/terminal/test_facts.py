"""The facts about a trial, from its row of the trials table."""

from typing import Any

import pytest

from results.tables.schema import TRIAL_COLUMNS
from results.terminal.facts import sampled_facts, tie_words, trial_facts


def row(**values: Any) -> dict[str, Any]:
    """A row of the trials table, null but for these values."""
    known = {"trial": 3, "rank": 2, "state": "complete", "retries": 0}
    return {**{column.name: None for column in TRIAL_COLUMNS}, **known, **values}


def test_what_is_unknown_is_left_out() -> None:
    assert trial_facts(row()) == {"state": "complete", "rank": "2"}


@pytest.mark.parametrize(
    ("values", "name", "words"),
    [
        (
            {"veer_pct": 7.123, "veer_low_pct": 6.2, "veer_high_pct": 8.149, "best_epoch": 9,
             "epochs": 10},
            "VEER",
            "7.12 %, 95 % interval 6.20 to 8.15 %, after epoch 9 of 10",
        ),
        (
            {"behind_pct": 0.5, "behind_low_pct": -0.25, "behind_high_pct": 1.25, "is_tied": True},
            "behind the best",
            "+0.50 points (95 % interval -0.25 to 1.25): cannot be distinguished",
        ),
        (
            {"behind_pct": 1.5, "behind_low_pct": 0.25, "behind_high_pct": 2.5, "is_tied": False},
            "behind the best",
            "+1.50 points (95 % interval 0.25 to 2.50)",
        ),
        (
            {"num_repeats": 3, "repeat_mean_pct": 8.004, "repeat_sd_pct": 0.256},
            "repeats",
            "8.00 ± 0.26 % over 3 seeds",
        ),
        ({"num_repeats": 1, "repeat_mean_pct": 8.0}, "repeats", "8.00 % over 1 seed"),
        (
            {"follow_up": "control", "follows": 4},
            "follow-up",
            "control, run to the end, of trial 4",
        ),
        ({"speed_ratio": 2.5}, "speed", "2.50 x the teacher's, one utterance at a time"),
        (
            {"duration_s": 3600.4, "core_hours": 1.004, "gpu_hours": 0.0, "num_samples": 12_000},
            "cost",
            "3,600 s, 1 core-hours, 12,000 training crops",
        ),
    ],
)  # fmt: skip
def test_values_are_given_with_their_spread(
    values: dict[str, Any], name: str, words: str
) -> None:
    assert trial_facts(row(**values))[name] == words


def test_the_first_in_rank_has_no_distance_to_the_best() -> None:
    zero = {"behind_pct": 0.0, "behind_low_pct": 0.0, "behind_high_pct": 0.0, "is_tied": True}
    assert "behind the best" not in trial_facts(row(rank=1, **zero))


def test_sampled_values_lose_their_prefix() -> None:
    values = {"param.loss.alpha": 0.12345, "param.loss.beta": None, "param.model.dim": 20_000}
    assert sampled_facts(row(**values)) == {"loss.alpha": "0.1235", "model.dim": "20,000"}


def test_ties_are_named_the_first_few_at_least() -> None:
    best = row(trial=0, rank=1, is_tied=True)
    assert tie_words([best, row(trial=1)]) is None
    assert tie_words([best]) is None
    apart = row(trial=1, is_tied=False)
    assert (tie_words([best, apart]) or "").startswith("none")
    tied = [row(trial=number, rank=number + 1, is_tied=True) for number in range(1, 12)]
    assert tie_words([best, tied[4], apart]) == "trial 5"
    assert tie_words([best, *tied]) == "trials 1, 2, 3, 4, 5, 6, 7, 8 and 3 more"
