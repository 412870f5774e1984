"""The crops of a bank are spread over each utterance, the same ones in every process."""

import numpy as np
import pytest

from trainable.features.crop_bank import CropBank, TargetsConfig


def bank(num_crops: int = 4, seed: int = 0) -> CropBank:
    return CropBank(num_crops=num_crops, crop_frames=200, seed=seed)


def test_crops_are_distinct_ascending_and_inside() -> None:
    latest = np.arange(0, 600)
    starts = bank(5).starts(np.arange(600), latest)
    for row, last in zip(starts, latest, strict=True):
        found = row[row >= 0]
        assert len(found) == min(5, last + 1)
        assert found.min() >= 0
        assert found.max() <= last
        assert (np.diff(found) > 0).all()


def test_an_utterance_with_fewer_starts_has_each_once() -> None:
    starts = bank(4).starts(np.array([3]), np.array([2]))
    assert starts.tolist() == [[0, 1, 2, -1]]
    assert bank(4).counts(np.array([2, 100])).tolist() == [3, 4]


def test_each_crop_starts_anywhere_in_its_part_equally_likely() -> None:
    starts = bank(4).starts(np.arange(100_000), np.full(100_000, 999))
    assert (starts.min(axis=0) == [0, 250, 500, 750]).all()
    assert (starts.max(axis=0) == [249, 499, 749, 999]).all()
    assert starts.mean(axis=0) == pytest.approx([124.5, 374.5, 624.5, 874.5], abs=1)
    counts = np.bincount(starts[:, 0], minlength=250)
    # 400 on average with a deviation of 20.
    assert counts.min() > 300
    assert counts.max() < 500


def test_neighbouring_utterances_and_crops_do_not_follow_each_other() -> None:
    starts = bank(2).starts(np.arange(50_000), np.full(50_000, 999)).astype(float)
    assert abs(np.corrcoef(starts[:-1, 0], starts[1:, 0])[0, 1]) < 0.02
    assert abs(np.corrcoef(starts[:, 0], starts[:, 1])[0, 1]) < 0.02


def test_a_crop_depends_only_on_its_utterance() -> None:
    latest = np.array([50, 700, 3_000])
    together = bank().starts(np.array([7, 8, 9]), latest)
    alone = bank().starts(np.array([8]), latest[1:2])
    assert np.array_equal(alone[0], together[1])
    assert not np.array_equal(bank(seed=1).starts(np.array([8]), latest[1:2]), alone)


def test_the_starts_are_those_of_splitmix64() -> None:
    # Worked by hand in Python's integers, which do not overflow.
    def mixed(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        return z ^ (z >> 31)

    golden, seed, number, last = 0x9E3779B97F4A7C15, 11, 5, 399
    start = mixed((seed + golden) % 2**64)
    expected = []
    for crop in range(2):
        drawn = mixed((start + (number * 2 + crop + 1) * golden) % 2**64)
        expected.append(crop * 200 + (drawn >> 11) * 200 // 2**53)
    got = bank(2, seed=seed).starts(np.array([number]), np.array([last]))
    assert got.tolist() == [expected]


def test_a_seed_at_the_upper_bound_is_taken() -> None:
    assert bank(seed=2**63 - 1).starts(np.array([0]), np.array([0])).tolist() == [[0, -1, -1, -1]]


def test_an_online_teacher_has_no_bank() -> None:
    assert TargetsConfig(mode="online").bank(200, "cpu") is None
    assert TargetsConfig(num_crops=3, seed=5).bank(150, "cuda") == CropBank(
        num_crops=3, crop_frames=150, seed=5, device="cuda"
    )
