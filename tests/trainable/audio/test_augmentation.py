"""Copies have the requested ratios, rooms and levels; bad folders are refused."""

import re
from pathlib import Path

import numpy as np
import pytest

from spaces.files.errors import ConfigError
from tests.worlds.sounds import NUM_SAMPLES, augmenter, noise, write_musan, write_rirs, write_sound
from trainable.audio.augmentation import Augmenter, copy_rng, musan_kind
from trainable.audio.augmentation_config import KINDS, CopyKind
from trainable.audio.reading import AudioError


@pytest.fixture
def musan(tmp_path: Path) -> Path:
    return write_musan(tmp_path / "musan")


@pytest.fixture
def rirs(tmp_path: Path) -> Path:
    return write_rirs(tmp_path / "rirs")


def ratio_db(wave_S: np.ndarray, out_S: np.ndarray) -> float:
    added_S = out_S.astype(float) - wave_S
    return float(20 * np.log10(np.linalg.norm(wave_S) / np.linalg.norm(added_S)))


@pytest.mark.parametrize("snr_db", [-3.0, 4.0, 18.0])
@pytest.mark.parametrize("kind", ["noise", "music", "speech"])
def test_the_requested_ratio_is_reached(musan: Path, kind: CopyKind, snr_db: float) -> None:
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


@pytest.mark.parametrize("kind", ["noise", "music", "speech", "level"])
def test_a_loud_copy_is_scaled_down_as_a_whole(musan: Path, kind: CopyKind) -> None:
    ranges = {f"{name}_snr_db": (-20, -20) for name in ("noise", "music", "speech")}
    maker = augmenter(musan_dir=musan, level_db=(10, 10), **ranges)
    wave_S = noise()
    wave_S *= 0.9 / np.abs(wave_S).max()
    out_S = maker.augment_as(kind, wave_S, np.random.default_rng(0))
    assert np.abs(out_S).max() == 1
    assert np.count_nonzero(np.abs(out_S) > 0.999) < 3


def test_a_room_that_makes_the_wave_too_large_is_scaled_down(rirs: Path) -> None:
    wave_S = np.full(1000, 0.9, np.float32)
    out_S = augmenter(rir_dir=rirs).augment_as("reverberation", wave_S, np.random.default_rng(0))
    np.testing.assert_allclose(out_S[:100], 0.8 / 1.4, rtol=1e-5)
    np.testing.assert_allclose(out_S[100:], 1, rtol=1e-5)
    assert np.abs(out_S).max() == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_samples", [1, 257, 24_001])
def test_length_type_and_input_are_kept(
    musan: Path, rirs: Path, kind: CopyKind, num_samples: int
) -> None:
    wave_S = noise(num_samples)
    before = wave_S.copy()
    for maker in (augmenter(musan_dir=musan, rir_dir=rirs), augmenter()):
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
    out_S = augmenter(musan_dir=musan, rir_dir=rirs).augment_as(
        kind, silence_S, np.random.default_rng(0)
    )
    np.testing.assert_array_equal(out_S, silence_S)


def test_a_silent_part_is_drawn_again_and_a_silent_file_adds_nothing(tmp_path: Path) -> None:
    wave_S = noise()
    write_sound(tmp_path / "a_silent.wav", np.zeros(50_000, np.float32))
    out_S = augmenter(musan_dir=tmp_path).augment_as("noise", wave_S, np.random.default_rng(0))
    np.testing.assert_array_equal(out_S, wave_S)
    write_sound(tmp_path / "b_loud.wav", noise(50_000, 1))
    maker = augmenter(musan_dir=tmp_path, noise_snr_db=(5, 5))
    for seed in range(30):
        out_S = maker.augment_as("noise", wave_S, np.random.default_rng(seed))
        assert ratio_db(wave_S, out_S) == pytest.approx(5, abs=0.01)


def test_a_silent_impulse_response_is_a_fault(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav", np.zeros(100, np.float32))
    text = (
        r"a\.wav: must hold an impulse response, got digital silence; "
        "remove the file from rir_dir"
    )
    with pytest.raises(AudioError, match=text):
        augmenter(rir_dir=tmp_path).augment_as("reverberation", noise(), np.random.default_rng(0))


def test_all_kinds_are_about_equally_frequent(
    musan: Path, rirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = augmenter(musan_dir=musan, rir_dir=rirs)
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
        write_sound(tmp_path / name, noise(100))
    if files:
        settings = {**settings, "musan_dir": tmp_path}
    assert augmenter(**settings).kinds == kinds


def test_a_kind_that_the_folder_lacks_is_refused(tmp_path: Path) -> None:
    write_sound(tmp_path / "music" / "a.wav", noise(100))
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
def test_the_first_folder_named_as_a_kind_gives_the_kind_of_a_file(name: str, kind: str) -> None:
    assert musan_kind(name) == kind


def test_a_long_file_is_no_impulse_response(tmp_path: Path) -> None:
    write_sound(tmp_path / "noises" / "a.wav", noise(200_000))
    write_sound(tmp_path / "b.wav", noise(100))
    text = (
        f"rir_dir: {tmp_path}/noises/a.wav: an impulse response must last at most 10 s, "
        "got 12.5 s\nname a folder of only impulse responses: of RIRS_NOISES, simulated_rirs"
    )
    with pytest.raises(ConfigError, match=re.escape(text)):
        augmenter(rir_dir=tmp_path)


@pytest.mark.parametrize("key", ["musan_dir", "rir_dir"])
def test_the_key_of_a_missing_folder_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key}: there is no folder {tmp_path}/none"):
        augmenter(**{key: tmp_path / "none"})
