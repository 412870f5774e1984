"""The arguments of the benchmark `search`."""

import argparse
from pathlib import Path

import pytest

from tests.benchmarks.search import arms_of, faults_of
from tests.benchmarks.search_arms import ARMS, RANDOM


def test_a_whole_name_selects_one_arm_and_a_part_of_names_several() -> None:
    assert [arm.name for arm in arms_of(RANDOM)] == [RANDOM]
    assert len(arms_of("random")) > 1
    assert arms_of("") == list(ARMS)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"arms": "nonsense"}, "--arms nonsense selects none of: "),
        ({"banks": "AZ"}, "--banks must be of the letters A, B and C, got 'AZ'"),
        ({"taskset": Path("none.npz")}, "--taskset: no such file: none.npz"),
        ({"bank": Path("none")}, "--bank: no run of the bank, such as 000.npz, in none"),
    ],
)
def test_arguments_that_select_nothing_are_refused(given, fault) -> None:
    usual = {"arms": "", "banks": "ABC", "taskset": None, "bank": None}
    assert faults_of(argparse.Namespace(**usual)) == []
    [found] = faults_of(argparse.Namespace(**usual | given))
    assert found.startswith(fault)
