"""The speakers of a trial list's paths: found by what parts the list, or given."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from spaces.files.errors import CorpusError
from trainable.lists.listed_pairs import ListRules, read_pairs
from trainable.lists.pair_checks import speaker_warnings
from trainable.lists.pair_index import PairIndex
from trainable.lists.parsing import TrialPair, Utterance
from trainable.lists.parting import agreement
from trainable.lists.speaker_rule import SpeakerRule
from trainable.lists.speakers import (
    are_swapped,
    possible_numbers,
    speakers_in_list,
    training_names,
)

SPEAKERS = ("s1", "s2", "s3", "s4")


def index_of(form: str, *, wrong: int = 0) -> PairIndex:
    """All pairs of two utterances a speaker, in paths of a form; the first labels are wrong."""
    paths = [(s, form.format(s=s, u=u)) for s in SPEAKERS for u in ("u1", "u2")]
    return PairIndex.from_pairs(
        TrialPair(is_target=(a == b) != (number < wrong), path_a=one, path_b=other)
        for number, ((a, one), (b, other)) in enumerate(combinations(paths, 2))
    )


@pytest.mark.parametrize(
    ("form", "found_by"),
    [
        ("{s}/{u}/1.wav", "folder 1 of the path"),
        ("wav/{s}/{u}/1.wav", "folder 2 of the path"),
        ("./wav//{s}/{u}.wav", "folder 2 of the path"),
        ("dev/aac/{s}/{u}/1.wav", "folder 3 of the path"),
        ("{s}-{u}.flac", "the file's name up to '-'"),
        ("all/{s}_{u}.wav", "the file's name up to '_'"),
    ],
)
def test_the_folder_that_agrees_with_every_label_is_the_speaker(form: str, found_by: str) -> None:
    found = speakers_in_list(index_of(form))
    assert found.in_words == f"by {found_by}: 4 speakers"
    assert set(found.names) == set(SPEAKERS)
    assert found.agree


def test_folders_are_counted_from_the_file_where_the_depth_differs() -> None:
    deep, flat = index_of("x/wav/{s}/{u}.wav"), index_of("{s}/{u}.wav")
    pairs = [
        TrialPair(is_target=bool(t), path_a=index.paths[a], path_b=index.paths[b])
        for index in (deep, flat)
        for a, b, t in zip(index.a, index.b, index.is_target, strict=True)
    ]
    found = speakers_in_list(PairIndex.from_pairs(pairs))
    assert found.in_words == "by folder 1 of the path, counted from the file: 4 speakers"


@pytest.mark.parametrize(("wrong", "is_swapped"), [(1, False), (27, True), (28, True)])
def test_a_folder_that_agrees_with_nearly_all_labels_or_none_shows_the_wrong_ones(
    wrong: int, is_swapped: bool
) -> None:
    found = speakers_in_list(index_of("wav/{s}/{u}.wav", wrong=wrong))
    assert found.rule == SpeakerRule(folder=2)
    assert found.is_contradicted.sum() == wrong
    assert are_swapped(found) == is_swapped
    assert not found.agree


def test_a_folder_that_agrees_with_some_labels_is_no_speaker() -> None:
    """Sessions: pairs of one session are targets, and so are half of the others."""
    found = speakers_in_list(index_of("wav/{s}/{u}.wav", wrong=14))
    assert found.in_words.startswith("by target pairs, which connect utterances of one speaker")
    assert not found.agree


def with_wrong_labels(num_speakers: int, share: float, num_pairs: int = 200) -> PairIndex:
    """Pairs of four utterances a speaker, half of them targets, of which a share is turned."""
    rng = np.random.default_rng(0)
    paths = [(n, f"s{n}/{u}.wav") for n in range(num_speakers) for u in range(4)]
    kinds: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    for (a, one), (b, other) in combinations(paths, 2):
        kinds[a == b].append((one, other))
    chosen = [
        (kind, pairs[place])
        for kind, pairs in kinds.items()
        for place in rng.permutation(len(pairs))[: num_pairs // 2]
    ]
    wrong = set(rng.permutation(len(chosen))[: round(share * len(chosen))].tolist())
    return PairIndex.from_pairs(
        TrialPair(is_target=kind != (number in wrong), path_a=a, path_b=b)
        for number, (kind, (a, b)) in enumerate(chosen)
    )


@pytest.mark.parametrize(("share", "is_swapped"), [(0.25, False), (0.75, True)])
def test_a_quarter_of_wrong_labels_is_shown_by_the_folder_that_most_agree_with(
    share: float, is_swapped: bool
) -> None:
    found = speakers_in_list(with_wrong_labels(20, share))
    assert found.in_words == "by folder 1 of the path: 20 speakers"
    assert found.is_contradicted.sum() == share * 200
    assert are_swapped(found) == is_swapped
    assert found.nearest is not None
    assert found.nearest[1].p_value < 1e-9


def test_too_few_labels_for_significance_are_warned_of_with_the_folder(tmp_path: Path) -> None:
    found = speakers_in_list(with_wrong_labels(6, 0.25, num_pairs=24))
    assert found.rule is None
    (warning,) = speaker_warnings(tmp_path / "list", found)
    assert "of folder 1 of the path, which agrees best, 6 of 24 labels contradict it (p = 0." in (
        warning
    )


def test_pairs_that_share_no_file_cannot_contradict_each_other_but_the_folder() -> None:
    """Four of twenty targets and one of twenty non-targets are turned."""
    pairs = [(True, f"s{n}/0.wav", f"s{n}/1.wav") for n in range(20)]
    pairs += [(False, f"s{n}/2.wav", f"s{(n + 1) % 20}/3.wav") for n in range(20)]
    found = speakers_in_list(
        PairIndex.from_pairs(
            TrialPair(is_target=kind != (n in (0, 1, 2, 3, 20)), path_a=a, path_b=b)
            for n, (kind, a, b) in enumerate(pairs)
        )
    )
    assert found.rule == SpeakerRule(folder=1)
    assert found.is_contradicted.sum() == 5


def test_agreement_is_fisher_s_exact_test() -> None:
    """Fisher's tea: 3 of 4 cups of each kind are told apart; two-sided p = 34/70."""
    is_same = np.repeat([True, False], 4)
    labels = np.array([1, 1, 1, 0, 0, 0, 0, 1], dtype=np.bool_)
    found = agreement(is_same, labels, num_rules=1)
    assert (found.num_contradicted, found.num_pairs) == (2, 8)
    assert found.p_value == pytest.approx(34 / 70)
    assert agreement(is_same, labels, num_rules=2).p_value == pytest.approx(68 / 70)
    assert not found.shows_speakers(labels_agree=False)


def test_a_folder_of_sessions_is_no_speaker_however_many_pairs_agree() -> None:
    """Two sessions a speaker: targets across them contradict the folder, non-targets never do."""
    paths = [(s, f"{s}-{session}/{u}.wav") for s in range(9) for session in "ab" for u in "123"]
    index = PairIndex.from_pairs(
        TrialPair(is_target=a == b, path_a=one, path_b=other)
        for (a, one), (b, other) in combinations(paths, 2)
    )
    found = speakers_in_list(index)
    assert found.rule is None
    assert found.agree
    assert found.num_speakers == 9


def test_without_a_folder_target_pairs_connect_utterances() -> None:
    index = index_of("{s}{u}.wav")
    found = speakers_in_list(index)
    assert found.rule is None
    assert found.num_speakers == 4
    assert found.in_words.endswith("at most 4 speakers")


@pytest.mark.parametrize(("right", "swapped"), [(False, True), (True, False)])
def test_labels_that_agree_only_with_0_and_1_swapped_are_refused(
    tmp_path: Path, right: bool, swapped: bool
) -> None:
    index = index_of("{s}{u}.wav")
    lines = [
        f"{int(same == right)} {index.paths[a]} {index.paths[b]}"
        for same, a, b in zip(index.is_target, index.a, index.b, strict=True)
    ]
    file = tmp_path / "trials.txt"
    file.write_text("\n".join(lines) + "\n")
    for path in index.paths:
        (tmp_path / path).touch()
    faults = read_pairs(file, tmp_path, []).faults()
    assert bool(faults) == swapped
    if swapped:
        assert "of 4 non-target pairs, and with 0 and 1 swapped no label contradicts" in faults[0]
        assert "set labels: 0 is target" in faults[0]
        right_way = ListRules(labels="1 is target")
        assert not read_pairs(file, tmp_path, [], rules=right_way).faults()


def test_the_speaker_can_be_given(tmp_path: Path) -> None:
    index = index_of("{s}{u}.wav")
    file = tmp_path / "utt2spk"
    file.write_text("".join(f"{path} {path[:2]}\n" for path in index.paths))
    for rows in (file.read_text(), "".join(f"{p[:2]} {p}\n" for p in index.paths)):
        file.write_text(rows)
        found = speakers_in_list(index, SpeakerRule(map=file))
        assert set(found.names) == set(SPEAKERS)
        assert found.in_words == f"by {file}: 4 speakers"
    given = speakers_in_list(index_of("x/{s}/{u}.wav"), SpeakerRule(folder=-1))
    assert set(given.names) == set(SPEAKERS)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (SpeakerRule(folder=3), "folder 3 of the path gives no speaker for 8 of 8 paths"),
        (SpeakerRule(name_until="-"), "the file's name up to '-' gives no speaker for 8 of 8"),
    ],
)
def test_a_rule_that_fits_no_path_is_refused(rule: SpeakerRule, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        speakers_in_list(index_of("x/{s}/{u}.wav"), rule)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x/s1/u1.wav s1\n", "gives no speaker for 7 of 8 paths, such as 'x/s1/u2.wav'"),
        ("x/s1/u1.wav s1 2\n", r"speaker: .*map:1: must be 'PATH SPEAKER', got 'x/s1/u1.wav s1"),
        ("x/s1/u1.wav s1\nx/s1/u1.wav s2\n", r"map:2: a file has one speaker, got s2 and s1"),
    ],
)
def test_a_wrong_map_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "map").write_text(text)
    with pytest.raises(CorpusError, match=message):
        speakers_in_list(index_of("x/{s}/{u}.wav"), SpeakerRule(map=tmp_path / "map"))
    with pytest.raises(CorpusError, match=r"speaker: .*mop: there is no such map.* mean map\?"):
        speakers_in_list(index_of("x/{s}/{u}.wav"), SpeakerRule(map=tmp_path / "mop"))


def test_a_rule_has_one_way_and_two_short_forms() -> None:
    assert SpeakerRule.model_validate("utt2spk").map == Path("utt2spk")
    assert SpeakerRule.model_validate(2) == SpeakerRule(folder=2)
    with pytest.raises(ValidationError, match=r"one of folder, .* and map, got folder, map"):
        SpeakerRule.model_validate({"folder": 1, "map": "x"})
    with pytest.raises(ValidationError, match="1 for the first or -1 for the last, got 0"):
        SpeakerRule(folder=0)


def utterances(*rows: str) -> list[Utterance]:
    fields = [row.split() for row in rows]
    return [Utterance(speaker=s, path=p, line=n) for n, (s, p) in enumerate(fields, 1)]


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (("a a/x/1.wav", "b b/x/1.wav"), {"a", "b"}),
        # Class numbers: folders name the speakers, and 0 is no speaker of another list.
        (("0 wav/a/x/1.wav", "1 wav/b/x/1.wav"), {"a", "b"}),
        (("0 1.wav", "1 2.wav"), {"0", "1"}),
        # Other names: both count.
        (("anna wav/a/1.wav", "bert wav/b/1.wav"), {"anna", "bert", "a", "b"}),
        # Two folders of one speaker.
        (("anna a1/1.wav", "anna a2/1.wav", "bert b/1.wav"), {"anna", "bert", "a1", "a2", "b"}),
    ],
)
def test_training_speakers_go_by_the_names_in_the_list_and_by_their_folders(
    rows: tuple[str, ...], names: set[str]
) -> None:
    assert set(training_names(utterances(*rows))) == names


def test_the_numbers_of_speakers_that_folders_allow() -> None:
    assert possible_numbers(index_of("wav/{s}/{u}.wav").paths) == {1, 4}
