"""A trial list is identified by its pairs."""

import hashlib
from pathlib import Path

import pytest

from trainable.corpus.known_lists import content_sha256, is_same_file, overlap_warnings, same_pairs
from trainable.lists.parsing import TrialPair


def pair(label: int, path_a: str, path_b: str) -> TrialPair:
    return TrialPair(is_target=bool(label), path_a=path_a, path_b=path_b)


LIST = (pair(1, "x/1.wav", "x/2.wav"), pair(0, "x/1.wav", "y/1.wav"))


def test_the_hash_is_that_of_the_sorted_lines() -> None:
    text = "0 x/1.wav y/1.wav\n1 x/1.wav x/2.wav\n"
    assert content_sha256(LIST) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "same",
    [
        LIST[::-1],
        (*LIST, LIST[0]),
        (pair(1, "x/2.wav", "x/1.wav"), LIST[1]),
        (pair(1, "./x/1.wav", "x//2.wav"), LIST[1]),
    ],
    ids=["reordered", "a pair twice", "sides exchanged", "paths written otherwise"],
)
def test_another_order_is_the_same_list(same: tuple[TrialPair, ...]) -> None:
    assert content_sha256(same) == content_sha256(LIST)


@pytest.mark.parametrize(
    "other",
    [LIST[:1], (pair(0, "x/1.wav", "x/2.wav"), LIST[1]), (*LIST, pair(0, "y/1.wav", "z/1.wav"))],
    ids=["a pair less", "another label", "a pair more"],
)
def test_other_pairs_are_another_list(other: tuple[TrialPair, ...]) -> None:
    assert content_sha256(other) != content_sha256(LIST)


def test_shared_speakers_and_pairs_are_counted() -> None:
    test_list = (pair(1, "x/2.wav", "x/1.wav"), pair(0, "z/1.wav", "w/1.wav"))
    assert same_pairs(LIST, test_list) == 1
    (warning,) = overlap_warnings(LIST, test_list)
    assert "share 1 of the test list's 3 speakers (x) and 1 of its 2 trial pairs" in warning


def test_lists_apart_need_no_warning() -> None:
    assert overlap_warnings(LIST, (pair(0, "z/1.wav", "w/1.wav"),)) == []


def test_one_file_under_two_names_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("")
    (tmp_path / "link.txt").symlink_to(tmp_path / "list.txt")
    assert is_same_file(tmp_path / "list.txt", tmp_path / "link.txt")
    assert is_same_file(tmp_path / "gone.txt", tmp_path / "gone.txt")
    assert not is_same_file(tmp_path / "list.txt", tmp_path / "gone.txt")
