"""Copies of utterances: what was asked for is reached, and follows from seed, number and path."""

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from spaces.errors import ConfigError
from trainable import augmentation
from trainable.audio import AudioError
from trainable.augmentation import (
    Augmenter,
    augmentation_digest,
    copy_rng,
    make_augmenter,
    musan_kind,
)
from trainable.augmentation_config import KINDS, AugmentationConfig, CopyKind

NUM_SAMPLES = 24_000

# Of PCG64, seeded with the SHA-256 that `printf 'veer copy\\0005\\0002\\000id1/a.wav' | sha256sum`
# prints, read as a number.
FIRST_DRAW = 4039408829706508853


def noise(num_samples: int = NUM_SAMPLES, seed: int = 0, level: float = 0.05) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(num_samples)).astype(np.float32)


def write(path: Path, wave: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, 16_000, "FLOAT")


@pytest.fixture
def musan(tmp_path: Path) -> Path:
    """A folder as MUSAN's: one piece of music, two noises (one short), eight voices."""
    folder = tmp_path / "musan"
    write(folder / "music/fma/m.wav", noise(50_000, 1))
    write(folder / "noise/free-sound/n.wav", noise(50_000, 2))
    write(folder / "noise/free-sound/short.wav", noise(700, 3))
    for number in range(8):
        write(folder / f"speech/librivox/{number}.wav", noise(50_000, 10 + number))
    return folder


@pytest.fixture
def rirs(tmp_path: Path) -> Path:
    """An impulse with an echo 100 samples later, and a delayed impulse."""
    rir = np.zeros(400, np.float32)
    rir[[30, 130]] = 0.8, 0.6
    write(tmp_path / "rirs/smallroom/Room001/a.wav", rir)
    return tmp_path / "rirs"


def ratio_db(wave_S: np.ndarray, out_S: np.ndarray) -> float:
    added_S = out_S.astype(float) - wave_S
    return float(20 * np.log10(np.linalg.norm(wave_S) / np.linalg.norm(added_S)))


def augmenter(**settings: object) -> Augmenter:
    return make_augmenter(AugmentationConfig.model_validate(settings))


def everything(musan: Path, rirs: Path, **settings: object) -> Augmenter:
    return augmenter(musan_dir=musan, rir_dir=rirs, **settings)


@pytest.mark.parametrize("snr_db", [-3.0, 4.0, 18.0])
@pytest.mark.parametrize("kind", ["noise", "music", "speech"])
def test_the_ratio_asked_for_is_reached(musan: Path, kind: CopyKind, snr_db: float) -> None:
    ranges = {f"{kind}_snr_db": (snr_db, snr_db)}
    maker = augmenter(musan_dir=musan, num_voices=(1, 1), **ranges)
    wave_S = noise()
    for seed in range(5):
        out_S = maker.augment_as(kind, wave_S, np.random.default_rng(seed))
        assert ratio_db(wave_S, out_S) == pytest.approx(snr_db, abs=0.01)


def test_the_ratio_of_generated_noise_is_reached() -> None:
    maker, wave_S = augmenter(noise_snr_db=(7, 7)), noise()
    for seed in range(10):
        out_S = maker.augment_as("noise", wave_S, np.random.default_rng(seed))
        assert ratio_db(wave_S, out_S) == pytest.approx(7, abs=0.01)


def test_ratios_are_spread_over_their_range() -> None:
    maker, wave_S = augmenter(noise_snr_db=(0, 15)), noise()
    found = [
        ratio_db(wave_S, maker.augment_as("noise", wave_S, copy_rng(0, copy, "a.wav")))
        for copy in range(60)
    ]
    assert 0 <= min(found) < 2
    assert 13 < max(found) <= 15.01


@pytest.mark.parametrize("num_voices", [1, 3, 7])
def test_each_voice_of_a_babble_has_the_ratio_to_itself(musan: Path, num_voices: int) -> None:
    maker = augmenter(musan_dir=musan, num_voices=(num_voices, num_voices), speech_snr_db=(15, 15))
    # The voices are independent noises here, so that their powers add.
    out_S = maker.augment_as("speech", noise(), np.random.default_rng(0))
    assert ratio_db(noise(), out_S) == pytest.approx(15 - 10 * np.log10(num_voices), abs=0.15)


def test_a_given_room_adds_its_echo_without_delay(rirs: Path) -> None:
    wave_S = noise()
    out_S = augmenter(rir_dir=rirs).augment_as("reverberation", wave_S, np.random.default_rng(0))
    echo_S = np.concatenate([np.zeros(100), wave_S[:-100]])
    np.testing.assert_allclose(out_S, 0.8 * wave_S + 0.6 * echo_S, atol=1e-6)


def test_a_generated_room_rings_on_after_a_click() -> None:
    click_S = np.zeros(NUM_SAMPLES, np.float32)
    click_S[500] = 0.5
    maker = augmenter(rt60_s=(0.3, 0.3), direct_to_reverberant_db=(3, 3))
    out_S = maker.augment_as("reverberation", click_S, np.random.default_rng(0))
    assert np.abs(out_S[:500]).max() < 1e-7
    assert np.abs(out_S[501 + 4800 :]).max() < 1e-7
    ratio = out_S[500] ** 2 / np.sum(out_S[501:] ** 2)
    assert 10 * np.log10(ratio) == pytest.approx(3, abs=0.01)
    assert np.sum(out_S**2) == pytest.approx(0.25, rel=1e-4)


@pytest.mark.parametrize(("level_db", "peak"), [(-10, 0.9 * 10**-0.5), (-3, 0.6372), (20, 1.0)])
def test_a_level_copy_has_its_gain_and_never_clips(level_db: float, peak: float) -> None:
    wave_S = noise()
    wave_S *= 0.9 / np.abs(wave_S).max()
    maker = augmenter(level_db=(level_db, level_db))
    out_S = maker.augment_as("level", wave_S, np.random.default_rng(0))
    assert np.abs(out_S).max() == pytest.approx(peak, rel=1e-4)
    assert np.abs(out_S).max() <= 1
    np.testing.assert_allclose(out_S / peak, wave_S / 0.9, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loud_copy_is_scaled_down_as_a_whole(musan: Path, kind: CopyKind) -> None:
    ranges = {f"{name}_snr_db": (-20, -20) for name in ("noise", "music", "speech")}
    maker = augmenter(musan_dir=musan, level_db=(10, 10), **ranges)
    wave_S = noise()
    wave_S *= 0.9 / np.abs(wave_S).max()
    out_S = maker.augment_as(kind, wave_S, np.random.default_rng(0))
    assert np.abs(out_S).max() == 1
    assert np.count_nonzero(np.abs(out_S) > 0.999) < 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_samples", [1, 257, 24_001])
def test_length_type_and_input_are_kept(
    musan: Path, rirs: Path, kind: CopyKind, num_samples: int
) -> None:
    wave_S = noise(num_samples)
    before = wave_S.copy()
    for maker in (everything(musan, rirs), augmenter()):
        if kind in maker.kinds:
            out_S = maker.augment_as(kind, wave_S, np.random.default_rng(0))
            assert out_S.dtype == np.float32
            assert out_S.shape == (num_samples,)
            assert not np.shares_memory(out_S, wave_S)
            np.testing.assert_array_equal(wave_S, before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_samples", [0, 1000])
def test_silence_stays_silence(musan: Path, rirs: Path, kind: CopyKind, num_samples: int) -> None:
    silence_S = np.zeros(num_samples, np.float32)
    out_S = everything(musan, rirs).augment_as(kind, silence_S, np.random.default_rng(0))
    np.testing.assert_array_equal(out_S, silence_S)


def test_a_silent_stretch_is_drawn_anew_and_silence_alone_adds_nothing(tmp_path: Path) -> None:
    wave_S = noise()
    write(tmp_path / "a_silent.wav", np.zeros(50_000, np.float32))
    out_S = augmenter(musan_dir=tmp_path).augment_as("noise", wave_S, np.random.default_rng(0))
    np.testing.assert_array_equal(out_S, wave_S)
    write(tmp_path / "b_loud.wav", noise(50_000, 1))
    maker = augmenter(musan_dir=tmp_path, noise_snr_db=(5, 5))
    for seed in range(30):
        out_S = maker.augment_as("noise", wave_S, np.random.default_rng(seed))
        assert ratio_db(wave_S, out_S) == pytest.approx(5, abs=0.01)


def test_a_silent_impulse_response_is_a_fault(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", np.zeros(100, np.float32))
    text = (
        r"a\.wav: must hold an impulse response, got digital silence; "
        "remove the file from rir_dir"
    )
    with pytest.raises(AudioError, match=text):
        augmenter(rir_dir=tmp_path).augment_as("reverberation", noise(), np.random.default_rng(0))


def test_all_kinds_come_about_equally_often(
    musan: Path, rirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = everything(musan, rirs)
    drawn: list[CopyKind] = []
    monkeypatch.setattr(Augmenter, "augment_as", lambda _, kind, *__: drawn.append(kind))
    for copy in range(1000):
        maker.augment(noise(10), copy_rng(0, copy, "a.wav"))
    assert maker.kinds == KINDS
    assert all(160 < drawn.count(kind) < 240 for kind in KINDS)


@pytest.mark.parametrize(
    ("files", "settings", "kinds"),
    [
        ([], {}, ("noise", "reverberation", "level")),
        (["a.wav"], {}, ("noise", "reverberation", "level")),
        (["music/a.wav"], {}, ("music", "reverberation", "level")),
        (
            ["speech/a.wav", "traffic/b.wav"],
            {},
            ("noise", "speech", "reverberation", "level"),
        ),
        (["music/a.wav", "b.wav"], {"kinds": ("level", "music")}, ("music", "level")),
        ([], {"kinds": ("reverberation",)}, ("reverberation",)),
    ],
)
def test_kinds_are_those_that_the_folder_allows(
    tmp_path: Path, files: list[str], settings: dict[str, object], kinds: tuple[CopyKind, ...]
) -> None:
    for name in files:
        write(tmp_path / name, noise(100))
    if files:
        settings = {**settings, "musan_dir": tmp_path}
    assert augmenter(**settings).kinds == kinds


def test_a_kind_that_the_folder_lacks_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "music" / "a.wav", noise(100))
    text = (
        f"musan_dir: {tmp_path} must hold noise, since kinds names it, got music only; "
        "name another folder, or leave noise out of kinds"
    )
    with pytest.raises(ConfigError, match=re.escape(text)):
        augmenter(musan_dir=tmp_path, kinds=("noise",))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("music/fma/a.wav", "music"),
        ("speech/librivox/a.wav", "speech"),
        ("noise/free-sound/music/a.wav", "noise"),
        ("musan_split/speech/us-gov/a/00000.wav", "speech"),
        ("traffic/a.wav", "noise"),
        ("music.wav", "noise"),
    ],
)
def test_the_first_folder_of_a_kinds_name_says_what_a_file_is(name: str, kind: str) -> None:
    assert musan_kind(name) == kind


def test_a_long_file_is_no_impulse_response(tmp_path: Path) -> None:
    write(tmp_path / "noises" / "a.wav", noise(200_000))
    write(tmp_path / "b.wav", noise(100))
    text = (
        f"rir_dir: {tmp_path}/noises/a.wav: an impulse response must last at most 10 s, "
        "got 12.5 s\nname a folder of impulse responses alone: of RIRS_NOISES, simulated_rirs"
    )
    with pytest.raises(ConfigError, match=re.escape(text)):
        augmenter(rir_dir=tmp_path)


@pytest.mark.parametrize("key", ["musan_dir", "rir_dir"])
def test_the_key_of_a_missing_folder_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key}: there is no folder {tmp_path}/none"):
        augmenter(**{key: tmp_path / "none"})


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
    write(path, noise(50_001))
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
    monkeypatch.setattr(augmentation, "VERSION", 2)
    digests |= {augmentation_digest(maker) for maker in makers}
    assert len(digests) == 7


def test_the_digest_knows_neither_the_folders_place_nor_the_order_of_kinds(
    musan: Path, rirs: Path, tmp_path: Path
) -> None:
    before = augmentation_digest(everything(musan, rirs))
    moved = tmp_path / "elsewhere"
    musan.rename(moved)
    assert augmentation_digest(everything(moved, rirs)) == before
    assert augmentation_digest(everything(moved, rirs, kinds=KINDS[::-1])) == before
