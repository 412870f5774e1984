"""Published test lists are recognised by their content."""

import itertools
import time

import pytest

from trainable.corpus.known_lists import KNOWN_LISTS, KnownList, known_list, known_list_warning

VIDEO = "5r0dWxy17C8"


def voxceleb_paths(first: int, num_speakers: int, num_each: int = 2, pre: str = "") -> list[str]:
    """Utterances of speakers id<first>, id<first+1> and so on, laid out as VoxCeleb1's."""
    return [
        f"{pre}id{first + number}/{VIDEO}/{utterance:05d}.wav"
        for number, utterance in itertools.product(range(num_speakers), range(num_each))
    ]


def named(name: str) -> KnownList:
    return next(each for each in KNOWN_LISTS if each.name == name)


@pytest.mark.parametrize("known", KNOWN_LISTS, ids=lambda known: known.name)
def test_a_published_list_is_recognised(known: KnownList) -> None:
    first = 10270 if known.has_test_speakers else 10001
    paths = voxceleb_paths(first, known.num_speakers)
    assert known_list(paths, known.num_pairs, known.num_targets) == known
    warning = known_list_warning(paths, known.num_pairs, known.num_targets)
    assert warning is not None
    assert f"is {known.name} ({known.num_pairs:,} pairs of {known.num_speakers:,}" in warning


@pytest.mark.parametrize("change", [{"pre": "voxceleb1/wav/"}, {"pre": "./"}])
def test_folders_before_the_speaker_do_not_matter(change: dict[str, str]) -> None:
    paths = voxceleb_paths(10270, 40, **change)
    assert known_list(paths, 37_720, 18_860) == named("VoxCeleb1-O")


def test_other_kinds_of_file_do_not_matter() -> None:
    paths = [path.replace(".wav", ".flac") for path in voxceleb_paths(10270, 40)]
    assert known_list(paths, 37_611, 18_802) == named("VoxCeleb1-O (cleaned)")


def test_a_list_with_renamed_speakers_is_recognised_by_its_counts() -> None:
    paths = [f"Speaker{number}/a.wav" for number in range(40)]
    assert known_list(paths, 37_720, 18_860) == named("VoxCeleb1-O")


@pytest.mark.parametrize(
    ("first", "num_speakers", "num_pairs", "num_targets"),
    [
        (10270, 40, 37_719, 18_860),  # a pair is missing
        (10270, 40, 37_720, 18_859),  # another label
        (10270, 39, 37_720, 18_860),  # a speaker is missing
        (10310, 40, 37_720, 18_860),  # as many of other speakers
    ],
)
def test_another_list_is_not_taken_for_it(
    first: int, num_speakers: int, num_pairs: int, num_targets: int
) -> None:
    assert known_list(voxceleb_paths(first, num_speakers), num_pairs, num_targets) is None


def test_a_part_of_the_test_speakers_gets_a_warning_of_its_own() -> None:
    warning = known_list_warning(voxceleb_paths(10300, 4), 1000, 500)
    assert warning is not None
    assert "all 4 speakers of the validation list (id10300, id10301, id10302, ...)" in warning
    assert "VoxCeleb1-O, E or H" in warning


@pytest.mark.parametrize(
    "paths",
    [
        voxceleb_paths(10308, 4),  # two are of the development set
        ["id10270/a/1.wav", "id10271/b/1.wav"],  # not laid out as VoxCeleb1
        [*voxceleb_paths(10270, 3), "somebody/a.wav"],
        ["id09270/5r0dWxy17C8/00001.wav"],  # VoxCeleb2
    ],
)
def test_other_speakers_are_no_part_of_it(paths: list[str]) -> None:
    assert known_list_warning(paths, 1000, 500) is None


def test_a_list_of_580_000_pairs_takes_about_a_second() -> None:
    paths = voxceleb_paths(10001, 1251, 116)  # 145,116 utterances, as VoxCeleb1-E has
    start_s = time.process_time()
    assert known_list(paths, 579_818, 289_921) == named("VoxCeleb1-E (cleaned)")
    assert time.process_time() - start_s < 2
