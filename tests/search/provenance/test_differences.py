"""Differences between two provenances: machine, packages, environment."""

from typing import Any

from search.provenance.differences import changed_variables, changes, changes_since_start
from search.provenance.provenance import provenance
from search.review.recorded_trial import NUMERIC_VARIABLES
from tests.worlds.journals import made_record

THEN: dict[str, Any] = {
    "command": "veer search a.yaml",
    "python": "3.12.1",
    "versions": {"torch": "2.10.0", "ray": "2.50.0"},
    "code_sha256": "a" * 64,
    "packages": ["numpy==2.1", "rich==14.0", "torch==2.10.0"],
    "environment": {"OMP_NUM_THREADS": "1"},
    "git": {"commit": "1" * 40, "has_changes": False},
    "hardware": {"cpu": "Xeon", "num_cores": 8, "torch": "2.10.0+cpu"},
    "cuda": {"torch_built_for": None, "num_gpus": 0},
}


def test_nothing_differs_between_two_looks_at_one_process():
    assert changes(provenance(), provenance()) == []


def test_every_difference_is_one_sentence_with_both_values():
    now = THEN | {
        "command": "veer resume a",
        "versions": {"torch": "2.11.0", "ray": "2.50.0"},
        "code_sha256": "b" * 64,
        "packages": ["numpy==2.2", "torch==2.11.0", "click==8.2"],
        "environment": {"MKL_CBWR": "AVX2"},
        "hardware": {"cpu": "EPYC", "num_cores": 8, "torch": "2.11.0+cpu"},
        "cuda": {"torch_built_for": "12.8", "num_gpus": 1},
    }
    assert changes(THEN, now) == [
        "torch 2.10.0 then, 2.11.0 now",
        "Veer's code aaaaaaaaaaaaaaaa then, bbbbbbbbbbbbbbbb now",
        "CPU Xeon then, EPYC now",
        "torch build 2.10.0+cpu then, 2.11.0+cpu now",
        "GPUs 0 then, 1 now",
        "other packages with another version: click, numpy, rich",
        "MKL_CBWR not set then, AVX2 now",
        "OMP_NUM_THREADS 1 then, not set now",
    ]


def test_variables_are_chosen_by_how_they_begin():
    then = {"environment": {"OMP_NUM_THREADS": "1", "TORCH_LOGS": "a"}}
    now = {"environment": {"OMP_NUM_THREADS": "2", "OMP_DYNAMIC": "1", "TORCHINDUCTOR_X": "1"}}
    assert changed_variables(then, now, NUMERIC_VARIABLES) == [
        "OMP_DYNAMIC not set then, 1 now",
        "TORCHINDUCTOR_X not set then, 1 now",
        "TORCH_LOGS a then, not set now",
    ]
    assert changed_variables({}, {"environment": None}, NUMERIC_VARIABLES) == []


def test_how_ray_is_joined_is_no_difference():
    begun = {"environment": {"OMP_NUM_THREADS": "1"}}
    connected = {"environment": {"OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "token"}}
    assert changed_variables(begun, connected) == []
    assert changed_variables(connected, begun) == []


def test_a_fact_that_is_not_known_now_is_still_named():
    found = changes(THEN, THEN | {"git": None})
    assert found == ["git commit 1111111111111111 then, not recorded now"]


def test_many_packages_are_counted():
    now = THEN | {"packages": [*THEN["packages"], *(f"package-{n}==1" for n in range(9))]}
    [text] = changes(THEN, now)
    assert text.endswith("package-4, package-5 and 3 more")


def test_facts_that_were_not_known_then_are_left_out():
    then = THEN | {"git": None, "cuda": None}
    assert changes(then, THEN | {"python": "3.13.0"}) == ["python 3.12.1 then, 3.13.0 now"]


def test_a_resume_is_compared_with_the_beginning():
    records = [
        made_record("search_started", provenance=THEN),
        made_record("search_resumed", provenance=THEN | {"python": "3.13.0"}),
    ]
    assert changes_since_start(records, THEN | {"python": "3.13.0"}) == [
        "since this run began: python 3.12.1 then, 3.13.0 now"
    ]
    assert changes_since_start([], THEN) == []
    assert changes_since_start([made_record("search_started", provenance={})], THEN) == []
