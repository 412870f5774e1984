"""A copy depends on seed, number and path only; the digest covers everything else."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.worlds.sounds import augmenter, noise, write_musan, write_rirs, write_sound
from trainable.audio import augmentation
from trainable.audio.augmentation import Augmenter, augmentation_digest, copy_rng
from trainable.audio.augmentation_config import KINDS

# Of PCG64, seeded with the SHA-256 that `printf 'veer copy\\0005\\0002\\000id1/a.wav' | sha256sum`
# prints, read as a number.
FIRST_DRAW = 4039408829706508853


@pytest.fixture
def musan(tmp_path: Path) -> Path:
    return write_musan(tmp_path / "musan")


@pytest.fixture
def rirs(tmp_path: Path) -> Path:
    return write_rirs(tmp_path / "rirs")


def everything(musan: Path, rirs: Path, **settings: object) -> Augmenter:
    return augmenter(musan_dir=musan, rir_dir=rirs, **settings)


def test_same_generator_same_copy_also_after_pickling(musan: Path) -> None:
    maker = augmenter(musan_dir=musan)
    again = pickle.loads(pickle.dumps(maker))
    assert again == maker
    copies = []
    for copy in range(12):
        out_S = maker.augment(noise(), copy_rng(3, copy, "a.wav"))
        np.testing.assert_array_equal(out_S, again.augment(noise(), copy_rng(3, copy, "a.wav")))
        copies.append(out_S.tobytes())
    assert len(set(copies)) == 12


def test_global_random_state_is_neither_used_nor_changed(musan: Path, rirs: Path) -> None:
    maker = everything(musan, rirs)
    results = []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002 - the state that must not matter
        torch.manual_seed(seed)
        before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
        made = [
            source.augment_as(kind, noise(), np.random.default_rng(0)).tobytes()
            for source in (maker, augmenter())
            for kind in source.kinds
        ]
        np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
        assert torch.equal(torch.get_rng_state(), before[1])
        results.append(made)
    assert results[0] == results[1]


def test_a_copys_generator_is_the_same_on_every_machine() -> None:
    assert copy_rng(5, 2, "id1/a.wav").integers(2**63) == FIRST_DRAW
    assert copy_rng(5, 2, Path("id1/a.wav")).integers(2**63) == FIRST_DRAW


def test_seed_number_and_path_each_give_another_generator() -> None:
    keys = [(0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b"), (1, 1, "a"), (11, 0, "a")]
    assert len({copy_rng(*key).integers(2**63) for key in keys}) == len(keys)


def changed_time(musan: Path) -> None:
    os.utime(musan / "music/fma/m.wav", ns=(1, 1))


def other_size(musan: Path) -> None:
    path = musan / "music/fma/m.wav"
    changed_ns = path.stat().st_mtime_ns
    write_sound(path, noise(50_001))
    os.utime(path, ns=(changed_ns, changed_ns))


def other_name(musan: Path) -> None:
    (musan / "music/fma/m.wav").rename(musan / "music/fma/o.wav")


def other_kind(musan: Path) -> None:
    (musan / "music").rename(musan / "traffic")


@pytest.mark.parametrize("change", [changed_time, other_size, other_name, other_kind])
def test_the_digest_follows_the_sounds(
    musan: Path, rirs: Path, change: Callable[[Path], None]
) -> None:
    before = augmentation_digest(everything(musan, rirs))
    assert augmentation_digest(everything(musan, rirs)) == before
    change(musan)
    assert augmentation_digest(everything(musan, rirs)) != before


@pytest.mark.parametrize(
    "settings",
    [{"copies": 1}, {"seed": 1}, {"level_db": (-9, 0)}, {"kinds": ("noise", "level")}],
)
def test_the_digest_follows_the_settings(
    musan: Path, rirs: Path, settings: dict[str, object]
) -> None:
    before = augmentation_digest(everything(musan, rirs))
    assert augmentation_digest(everything(musan, rirs, **settings)) != before


def test_the_digest_follows_the_folders_given_and_the_version(
    musan: Path, rirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers = [everything(musan, rirs), augmenter(musan_dir=musan), augmenter(rir_dir=rirs)]
    digests = {augmentation_digest(maker) for maker in [*makers, augmenter()]}
    monkeypatch.setattr(augmentation, "AUGMENTATION_VERSION", 2)
    digests |= {augmentation_digest(maker) for maker in makers}
    assert len(digests) == 7


def test_the_digest_depends_neither_on_the_folders_path_nor_on_the_order_of_kinds(
    musan: Path, rirs: Path, tmp_path: Path
) -> None:
    before = augmentation_digest(everything(musan, rirs))
    moved = tmp_path / "elsewhere"
    musan.rename(moved)
    assert augmentation_digest(everything(moved, rirs)) == before
    assert augmentation_digest(everything(moved, rirs, kinds=KINDS[::-1])) == before
