"""Augmented copies of utterances, as waveforms: noise, music, babble, reverberation, level.

A copy depends only on the seed of the augmentation, the number of the copy and the path of the
utterance, so that copies can be made in any order and by any process.

Shapes: S samples of an utterance at 16 kHz, R samples of an impulse response.
"""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from spaces.files.errors import ConfigError
from trainable.audio.augmentation_config import (
    KINDS,
    MUSAN_KINDS,
    NEEDS_MUSAN,
    AugmentationConfig,
    CopyKind,
)
from trainable.audio.noise import at_snr, generated_noise, is_silent
from trainable.audio.reading import AudioError, Wave
from trainable.audio.reverberation import direct_path, generated_rir, reverberated
from trainable.audio.sound_folders import SoundFile, SoundFolder, fault_text, list_sounds

AUGMENTATION_VERSION = 1
"""Increased by every change after which the same settings and sounds give other copies."""

# Reverberation times of nearly all rooms are below this; a longer file is no impulse response, but
# a noise, such as RIRS_NOISES has next to them.
MAX_RIR_S = 10.0
# Draws of a sound before the copy does without it, since a folder may hold silent files only.
MAX_DRAWS = 8

Sounds = Mapping[CopyKind, SoundFolder]


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmenter:
    """A maker of copies. It holds no state and can be pickled.

    Attributes:
        config: Settings of the copies.
        kinds: Kinds that a copy may have, equally likely.
        sounds: Sounds of each kind; noise and rooms without sounds are generated.
    """

    config: AugmentationConfig
    kinds: tuple[CopyKind, ...]
    sounds: Sounds

    def augment(self, wave_S: Wave, rng: np.random.Generator) -> Wave:
        """Return a copy of an utterance, of a random kind.

        Args:
            wave_S: The utterance at 16 kHz in [-1, 1]; not changed.
            rng: Source of all random numbers; see `copy_rng`.

        Returns:
            wave_S: The copy, of the same length; scaled down as a whole if it would leave [-1, 1].

        Raises:
            AudioError: A sound cannot be read.
        """
        return self.augment_as(self.kinds[rng.integers(len(self.kinds))], wave_S, rng)

    def augment_as(self, kind: CopyKind, wave_S: Wave, rng: np.random.Generator) -> Wave:
        """Return a copy of a given kind, as `augment`; the copy of silence is silence."""
        # No gain gives silence a signal-to-noise ratio.
        if not wave_S.any():
            return wave_S.copy()
        if kind == "level":
            gain_db = rng.uniform(*self.config.level_db)
            return _within_range(wave_S * np.float32(10 ** (gain_db / 20)))
        if kind == "reverberation":
            return _within_range(self._reverberated(wave_S, rng))
        return _within_range(wave_S + self._added_sound(kind, wave_S, rng))

    def _added_sound(self, kind: CopyKind, wave_S: Wave, rng: np.random.Generator) -> Wave:
        """Return one sound, or a babble of voices, each at its own signal-to-noise ratio."""
        config = self.config
        snr_db = {
            "noise": config.noise_snr_db,
            "music": config.music_snr_db,
            "speech": config.speech_snr_db,
        }[kind]
        folder = self.sounds.get(kind)
        if folder is None:
            noise_S = generated_noise(len(wave_S), rng)
            return at_snr(noise_S, wave_S, rng.uniform(*snr_db))
        fewest, most = config.num_voices if kind == "speech" else (1, 1)
        added_S = np.zeros_like(wave_S)
        for file in folder.draw(rng, int(rng.integers(fewest, most + 1))):
            sound_S = _audible_part(folder, file, len(wave_S), rng)
            added_S += at_snr(sound_S, wave_S, rng.uniform(*snr_db))
        return added_S

    def _reverberated(self, wave_S: Wave, rng: np.random.Generator) -> Wave:
        folder = self.sounds.get("reverberation")
        if folder is None:
            rt60_s = rng.uniform(*self.config.rt60_s)
            ratio_db = rng.uniform(*self.config.direct_to_reverberant_db)
            return reverberated(wave_S, generated_rir(rt60_s, ratio_db, rng), 0)
        (file,) = folder.draw(rng)
        rir_R = folder.sound(file)
        if not rir_R.any():
            raise AudioError(
                f"{folder.folder / file.name}: must hold an impulse response, got digital "
                f"silence; remove the file from {folder.key}"
            )
        return reverberated(wave_S, rir_R, direct_path(rir_R))


def make_augmenter(config: AugmentationConfig) -> Augmenter:
    """List the folders of a config, and read the header of every sound in them.

    Raises:
        ConfigError: A folder is missing, holds no audio, or holds a file that is no audio; an
            impulse response is longer than 10 s; a requested kind has no sounds.
    """
    sounds: dict[CopyKind, SoundFolder] = {}
    if config.musan_dir is not None:
        sounds |= _by_kind(list_sounds("musan_dir", config.musan_dir))
    if config.rir_dir is not None:
        sounds["reverberation"] = _impulse_responses(config.rir_dir)
    return Augmenter(config=config, kinds=_possible_kinds(config, sounds), sounds=sounds)


def copy_rng(seed: int, copy: int, path: str | Path) -> np.random.Generator:
    """Return the random generator of one copy, the same on every machine.

    Args:
        seed: Seed of the augmentation.
        copy: Number of the copy.
        path: Path of the utterance; another path gives another copy.
    """
    # NUL, which no path holds, keeps the parts apart.
    text = b"\0".join([b"veer copy", b"%d" % seed, b"%d" % copy, os.fsencode(path)])
    # A digest, since Python's `hash` of text differs from process to process.
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text).digest(), "big"))


def augmentation_digest(augmenter: Augmenter) -> str:
    """Return the SHA-256, in hex, of everything that copies depend on besides the utterances.

    These are the settings and, of every sound, its kind, its name from the folder on, its size and
    its modification time. The paths of the folders are no part of it.
    """
    # `kinds` may be None in the config; the augmenter has those that it stands for.
    settings = augmenter.config.model_dump(mode="json", exclude={"musan_dir", "rir_dir", "kinds"})
    settings |= {"version": AUGMENTATION_VERSION, "kinds": augmenter.kinds}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for kind, folder in sorted(augmenter.sounds.items()):
        for file in folder.files:
            text = f"{kind}\0{file.name}\0{file.size_bytes}\0{file.changed_ns}\n"
            digest.update(os.fsencode(text))
    return digest.hexdigest()


def musan_kind(name: str) -> CopyKind:
    """Return the kind of a file in `musan_dir`: the first folder named as a kind, else noise."""
    for part in PurePosixPath(name).parts[:-1]:
        for kind in MUSAN_KINDS:
            if part == kind:
                return kind
    return "noise"


def _by_kind(musan: SoundFolder) -> dict[CopyKind, SoundFolder]:
    files: dict[CopyKind, list[SoundFile]] = defaultdict(list)
    for file in musan.files:
        files[musan_kind(file.name)].append(file)
    return {kind: replace(musan, files=tuple(found)) for kind, found in files.items()}


def _possible_kinds(config: AugmentationConfig, sounds: Sounds) -> tuple[CopyKind, ...]:
    """Return the kinds that the config allows and that have sounds or can be generated."""
    needed = NEEDS_MUSAN if config.musan_dir is None else MUSAN_KINDS
    missing = set(needed) - set(sounds)
    for kind in config.kinds or ():
        if kind in missing:
            raise ConfigError(
                f"musan_dir: {config.musan_dir} must hold {kind}, since kinds names it, got "
                f"{' and '.join(sorted(set(sounds).intersection(MUSAN_KINDS)))} only; "
                f"name another folder, or leave {kind} out of kinds"
            )
    # In the order of `KINDS`, since the order that the user wrote must not change what is drawn.
    return tuple(kind for kind in KINDS if kind in (config.kinds or KINDS) and kind not in missing)


def _impulse_responses(rir_dir: Path) -> SoundFolder:
    folder = list_sounds("rir_dir", rir_dir)
    faults = [
        f"{rir_dir / file.name}: an impulse response must last at most {MAX_RIR_S:g} s, "
        f"got {file.duration_s:.1f} s"
        for file in folder.files
        if file.duration_s > MAX_RIR_S
    ]
    if faults:
        fix = "name a folder of only impulse responses: of RIRS_NOISES, simulated_rirs"
        raise ConfigError(fault_text("rir_dir", faults, fix))
    return folder


def _audible_part(
    folder: SoundFolder, file: SoundFile, num_samples: int, rng: np.random.Generator
) -> Wave:
    """Return a part of a sound that is not silent; zeros if eight draws find none."""
    # Scaled to a signal-to-noise ratio, a part below -60 dBFS would be amplified rounding errors.
    for _ in range(MAX_DRAWS):
        sound_S = folder.random_part(file, num_samples, rng)
        if not is_silent(sound_S):
            return sound_S
        (file,) = folder.draw(rng)
    return np.zeros(num_samples, np.float32)


def _within_range(wave_S: Wave) -> Wave:
    # Scaled, not clipped: clipping distorts, and the front end normalises a gain away.
    peak = float(np.abs(wave_S).max())
    return wave_S / np.float32(peak) if peak > 1 else wave_S
