import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trainable.corpus.corpus import TrialPair
from trainable.lists.pair_index import PairIndex
from trainable.verification import scoring
from trainable.verification.scoring import (
    cosine_scores,
    evenly_spaced_starts,
    voxceleb_trainer_crop_samples,
    voxceleb_trainer_scores,
    waveform_crops,
    wrap_padded,
)


def drawn(num: int = 7, crops: int = 10, dim: int = 32) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    emb = (rng.normal(size=(num, crops, dim)) + rng.normal(size=(num, 1, dim))).astype(np.float32)
    return emb, rng.integers(0, num, 50), rng.integers(0, num, 50)


@pytest.mark.parametrize("chunk_bytes", [1, 20_000, 2**26])
@pytest.mark.parametrize("crops", [1, 2, 10])
def test_trainer_scores_agree_with_a_loop_over_cdist(
    monkeypatch: pytest.MonkeyPatch, crops: int, chunk_bytes: int
) -> None:
    monkeypatch.setattr(scoring, "CHUNK_BYTES", chunk_bytes)
    emb, index_a, index_b = drawn(crops=crops)
    unit = F.normalize(torch.from_numpy(emb).double(), dim=2)
    expected = [
        -torch.cdist(unit[a], unit[b], compute_mode="donot_use_mm_for_euclid_dist").mean().item()
        for a, b in zip(index_a, index_b, strict=True)
    ]
    scores = voxceleb_trainer_scores(emb, index_a, index_b)
    assert scores.dtype == np.float64
    assert scores == pytest.approx(np.array(expected), abs=1e-7)


@pytest.mark.parametrize("chunk_bytes", [1, 2**26])
def test_cosine_scores_agree_with_a_loop(
    monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    monkeypatch.setattr(scoring, "CHUNK_BYTES", chunk_bytes)
    emb, index_a, index_b = drawn(crops=2)
    mean = torch.from_numpy(emb).double().mean(1)
    expected = [
        F.cosine_similarity(mean[a], mean[b], dim=0).item()
        for a, b in zip(index_a, index_b, strict=True)
    ]
    assert cosine_scores(emb, index_a, index_b) == pytest.approx(np.array(expected), abs=1e-12)


def test_hand_worked_scores() -> None:
    # Crops (3,0), (0,1) against (0,2), (0,2). Means (1.5,0.5) and (0,2): cosine 1/sqrt(10).
    # Distances of unit crops: sqrt(2), sqrt(2), 0, 0.
    emb = np.array([[[3, 0], [0, 1]], [[0, 2], [0, 2]]], dtype=np.float32)
    one, other = np.array([0]), np.array([1])
    assert cosine_scores(emb, one, other) == pytest.approx([10**-0.5])
    assert voxceleb_trainer_scores(emb, one, other) == pytest.approx([-(2**0.5) / 2])


def test_an_utterance_against_itself_scores_best() -> None:
    emb, index_a, _ = drawn(crops=1)
    assert cosine_scores(emb, index_a, index_a) == pytest.approx(np.ones(50))
    assert voxceleb_trainer_scores(emb, index_a, index_a) == pytest.approx(np.zeros(50), abs=1e-7)


def test_a_zero_embedding_scores_finitely() -> None:
    emb = np.zeros((2, 1, 4), dtype=np.float32)
    emb[1, 0, 0] = 1
    assert cosine_scores(emb, np.array([0]), np.array([1])) == [0]
    assert np.isfinite(voxceleb_trainer_scores(emb, np.array([0]), np.array([1]))).all()


@pytest.mark.parametrize(
    ("index_a", "index_b", "message"),
    [
        ([0, 7], [0, 1], "positions must be from 0 to 6, got 0 to 7"),
        ([0, -1], [0, 1], "positions must be from 0 to 6, got -1 to 1"),
        ([0, 1], [0], r"got shapes \(2,\) and \(1,\)"),
        ([], [], r"got shapes \(0,\) and \(0,\)"),
    ],
)
@pytest.mark.parametrize("score", [cosine_scores, voxceleb_trainer_scores])
def test_positions_that_do_not_fit_are_refused(
    score: object, index_a: list[int], index_b: list[int], message: str
) -> None:
    emb = drawn()[0]
    with pytest.raises(ValueError, match=message):
        score(emb, np.array(index_a, int), np.array(index_b, int))  # type: ignore[operator]


def pair(is_target: bool, path_a: str, path_b: str) -> TrialPair:
    return TrialPair(is_target=is_target, path_a=path_a, path_b=path_b)


def test_pairs_share_their_utterances_and_keep_their_order() -> None:
    pairs = [pair(True, "b/2", "b/1"), pair(False, "b/1", "a/1"), pair(True, "a/1", "a/1")]
    index = PairIndex.from_pairs(pairs)
    assert index.paths == ("a/1", "b/1", "b/2")
    found = list(zip(index.is_target, index.a, index.b, strict=True))
    assert found == [(True, 2, 1), (False, 1, 0), (True, 0, 0)]
    assert [index.paths[i] for i in index.a] == [each.path_a for each in pairs]


def test_no_pairs_give_empty_positions() -> None:
    index = PairIndex.from_pairs([])
    assert index.paths == ()
    assert (index.a.dtype, index.a.shape, index.is_target.dtype) == (np.int64, (0,), np.bool_)


@pytest.mark.parametrize(
    ("length", "crop", "num", "starts"),
    [
        (100, 100, 3, [0, 0, 0]),
        (101, 100, 3, [0, 0, 1]),
        (109, 100, 10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (105, 100, 4, [0, 1, 3, 5]),
        (300, 200, 2, [0, 100]),
        (300, 200, 1, [0]),
        (50, 100, 3, [0, 0, 0]),
    ],
)
def test_starts_are_evenly_spaced_and_rounded_down(
    length: int, crop: int, num: int, starts: list[int]
) -> None:
    assert evenly_spaced_starts(length, crop, num).tolist() == starts


@pytest.mark.parametrize("numbers", [(0, 10, 1), (10, 0, 1), (10, 5, 0)])
def test_starts_need_positive_numbers(numbers: tuple[int, int, int]) -> None:
    text = f"at least 1, got {numbers[0]}, {numbers[1]} and {numbers[2]}"
    with pytest.raises(ValueError, match=text):
        evenly_spaced_starts(*numbers)


def load_wav_of_the_trainer(audio: np.ndarray, max_audio: int, num_eval: int) -> np.ndarray:
    """What voxceleb_trainer's loadWAV does in evaluation, step by step."""
    if audio.shape[0] <= max_audio:
        audio = np.pad(audio, (0, max_audio - audio.shape[0] + 1), "wrap")
    crops = [
        audio[int(start) : int(start) + max_audio]
        for start in np.linspace(0, audio.shape[0] - max_audio, num=num_eval)
    ]
    return np.stack(crops)


@pytest.mark.parametrize("length", [1, 7, 99, 100, 101, 117, 1000])
def test_waveform_crops_are_the_trainers(length: int) -> None:
    wave = np.arange(length, dtype=np.float32)
    crops = waveform_crops(wave, 10, 100)
    assert crops.shape == (10, 100)
    assert crops.dtype == np.float32
    assert (crops == load_wav_of_the_trainer(wave, 100, 10)).all()


def test_padding_repeats_the_waveform() -> None:
    wave = np.array([1, 2, 3], dtype=np.float32)
    assert wrap_padded(wave, 7).tolist() == [1, 2, 3, 1, 2, 3, 1]
    assert wrap_padded(wave, 2) is wave
    with pytest.raises(ValueError, match="got 0 samples"):
        wrap_padded(wave[:0], 7)


def test_crop_length_counts_from_the_frames() -> None:
    assert voxceleb_trainer_crop_samples(300) == 48_240
    with pytest.raises(ValueError, match="eval_frames >= 1 must hold, got 0: voxceleb_trainer's"):
        voxceleb_trainer_crop_samples(0)
