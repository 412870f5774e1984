"""The speakers of utterances in a list that has only the labels same or different."""

from dataclasses import replace

import numpy as np
import pytest

from trainable.lists.pair_index import PairIndex
from trainable.lists.speaker_rule import SpeakerRule
from trainable.lists.speakers import speakers_in_list
from trainable.verification.score_evaluator import ScoreEvaluator, validation_pairs

SAME, OTHER = True, False


def found(paths, pairs):
    place = {path: number for number, path in enumerate(paths)}
    a, b, is_target = zip(*pairs, strict=True)
    index = PairIndex(
        paths=paths,
        a=np.array([place[each] for each in a]),
        b=np.array([place[each] for each in b]),
        is_target=np.array(is_target),
    )
    return speakers_in_list(index).names


def test_the_first_folder_is_the_speaker_where_it_agrees_with_every_label():
    paths = ("id1/x/1.wav", "id1/y/2.wav", "id2/x/1.wav", "id3/x/1.wav")
    pairs = [(paths[0], paths[1], SAME), (paths[0], paths[2], OTHER), (paths[2], paths[3], OTHER)]
    assert found(paths, pairs) == ("id1", "id1", "id2", "id3")


@pytest.mark.parametrize("folder", ["", "wav/"])
def test_of_another_layout_target_pairs_connect_utterances(folder):
    paths = tuple(f"{folder}{name}.wav" for name in "dcbaxy")
    d, c, b, a, x, y = paths
    pairs = [(d, c, SAME), (b, a, SAME), (c, b, SAME), (a, x, OTHER), (x, y, OTHER)]
    assert found(paths, pairs) == (a, a, a, a, x, y)


def test_one_label_that_contradicts_its_folder_is_enough():
    paths = ("id1/1.wav", "id1/2.wav", "id2/1.wav")
    pairs = [(paths[0], paths[1], SAME), (paths[1], paths[2], SAME)]
    assert found(paths, pairs) == ("id1/1.wav", "id1/1.wav", "id1/1.wav")


def test_a_list_of_only_non_target_pairs_leaves_every_utterance_by_itself():
    assert found(("a.wav", "b.wav"), [("a.wav", "b.wav", OTHER)]) == ("a.wav", "b.wav")


def test_the_validation_list_of_a_corpus(data):
    pairs = validation_pairs(data)
    names = [path.split("/")[0] for path in data.val_paths]
    assert pairs.num_speakers == len({names[each] for each in (*data.val_a, *data.val_b)})
    for a, b, one, other in zip(
        data.val_a, data.val_b, pairs.speaker_a, pairs.speaker_b, strict=True
    ):
        assert (names[a] == names[b]) == (one == other)


def test_speakers_that_contradict_a_label_give_no_interval(data):
    """The second folder is the session: utterances of one speaker have several."""
    scores = np.random.default_rng(0).normal(size=len(data.val_a))
    measured = ScoreEvaluator(replace(data, speaker_rule=SpeakerRule(folder=2))).measure(scores)
    assert measured.interval is None
    assert np.isnan(measured.replicates).all()
    assert np.isfinite(ScoreEvaluator(data).measure(scores).replicates).any()
