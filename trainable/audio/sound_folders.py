"""Folders of noises, music, voices or impulse responses: listing them, and reading from them.

Shapes: S samples at 16 kHz, C channels.
"""

import difflib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from models.frontend import SAMPLE_RATE_HZ
from spaces.files.errors import ConfigError
from trainable.audio.reading import FORMATS, NUM_READERS, AudioError, Wave, load_wave, resampled
from trainable.audio.unreadable import READ, conversion, other_content

_SUFFIXES = (".wav", ".flac")
_MAX_FAULTS_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundFile:
    """A sound, as its header and the file system describe it.

    Attributes:
        name: Path relative to the folder, with slashes.
        num_samples: Samples of each channel, at the file's own rate.
        rate_hz: Sample rate of the file.
        size_bytes: Size of the file.
        changed_ns: Modification time, nanoseconds since 1970.
    """

    name: str
    num_samples: int
    rate_hz: int
    size_bytes: int
    changed_ns: int

    @property
    def duration_s(self) -> float:
        """Duration, seconds."""
        return self.num_samples / self.rate_hz


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundFolder:
    """The sounds below a folder.

    Attributes:
        key: Setting that names the folder, for messages.
        folder: The folder.
        files: Its sounds, at least one, sorted by name.
    """

    key: str
    folder: Path
    files: tuple[SoundFile, ...]

    def draw(self, rng: np.random.Generator, count: int = 1) -> tuple[SoundFile, ...]:
        """Draw files, each at most once unless there are fewer than `count`."""
        num_files = len(self.files)
        # Voices of one babble should differ, unless the folder is too small.
        chosen = rng.choice(num_files, count, replace=count > num_files)
        return tuple(self.files[number] for number in chosen)

    def sound(self, file: SoundFile) -> Wave:
        """Read a whole sound at 16 kHz.

        Raises:
            AudioError: The file cannot be read, or holds NaN or infinite samples.
        """
        return self._require_finite(file, load_wave(self.folder / file.name))

    def random_part(self, file: SoundFile, num_samples: int, rng: np.random.Generator) -> Wave:
        """Read a part of a sound from a random start; a shorter sound is repeated.

        Only this part of a longer file is read.

        Args:
            file: The sound.
            num_samples: Length of the part, samples at 16 kHz.
            rng: Source of the start.

        Raises:
            AudioError: The file cannot be read, or holds NaN or infinite samples.
        """
        # Rounded up, so that resampling gives enough samples; the last line cuts the rest.
        num_native = -(-num_samples * file.rate_hz // SAMPLE_RATE_HZ)
        if file.num_samples <= num_native:
            sound_S = self.sound(file)
            # Repeated from a random start, so that copies with the same sound differ.
            first = int(rng.integers(len(sound_S)))
            return np.resize(np.roll(sound_S, -first), num_samples)
        start = int(rng.integers(file.num_samples - num_native + 1))
        part_S = self._require_finite(file, _read_part(self.folder / file.name, start, num_native))
        if file.rate_hz != SAMPLE_RATE_HZ:
            part_S = resampled(part_S, file.rate_hz)
        return part_S[:num_samples]

    def _require_finite(self, file: SoundFile, sound_S: Wave) -> Wave:
        num_broken = len(sound_S) - int(np.isfinite(sound_S).sum())
        if num_broken:
            raise AudioError(
                f"{self.folder / file.name}: must hold finite samples, "
                f"got {num_broken} NaN or infinite ones; remove the file from {self.key}"
            )
        return sound_S


def list_sounds(key: str, folder: Path) -> SoundFolder:
    """Find all WAV and FLAC files below a folder, and read their headers.

    Symbolic links are followed; hidden files and folders are left out.

    Args:
        key: Setting that names the folder, for messages.
        folder: The folder.

    Raises:
        ConfigError: The folder does not exist, holds no such files, or holds one that is no audio.
    """
    if not folder.is_dir():
        raise ConfigError(f"{key}: there is no folder {folder}{_hint(folder)}")
    try:
        paths = sorted(_audio_below(folder))
    except OSError as error:
        raise ConfigError(
            f"{key}: {error.filename} cannot be listed: {error.strerror}; make it readable"
        ) from error
    if not paths:
        raise ConfigError(
            f"{key}: {folder} must hold WAV or FLAC files at some depth, got none; "
            f"name the folder that does, or leave {key} out"
        )
    with ThreadPoolExecutor(NUM_READERS) as pool:
        found = list(pool.map(lambda name: _read_header(folder, name), paths))
    faults = [file for file in found if isinstance(file, str)]
    if faults:
        fix = "repair or remove these files, or name another folder"
        raise ConfigError(fault_text(key, faults, fix))
    files = tuple(file for file in found if isinstance(file, SoundFile))
    return SoundFolder(key=key, folder=folder, files=files)


def fault_text(key: str, faults: Sequence[str], fix: str) -> str:
    """Return the message for faulty files of a folder: the first few faults, and the fix."""
    shown = [f"{key}: {fault}" for fault in faults[:_MAX_FAULTS_SHOWN]]
    if len(faults) > _MAX_FAULTS_SHOWN:
        shown.append(f"... and {len(faults) - _MAX_FAULTS_SHOWN} more")
    return "\n".join([*shown, fix])


def _audio_below(folder: Path) -> Iterator[str]:
    """Yield the names of audio files below a folder; raise `OSError` if one cannot be listed."""
    seen: set[str] = set()
    for current, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        if (real := os.path.realpath(current)) in seen:
            folders.clear()  # a link to a parent folder would be followed forever
            continue
        seen.add(real)
        # Sorted, so that of two links to one folder the same one is skipped on every machine.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            # macOS leaves `._NAME.wav` next to every file that it copies.
            if name.lower().endswith(_SUFFIXES) and not name.startswith("."):
                yield (Path(current) / name).relative_to(folder).as_posix()


def _raise(error: OSError) -> None:
    raise error


def _read_header(folder: Path, name: str) -> SoundFile | str:
    """Return the sound of a file, or its fault as a string."""
    path = folder / name
    try:
        stat = path.stat()
        if (other := other_content(path)) is not None:
            return f"{path}: {other[1]}"
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        reason = error.error_string if isinstance(error, soundfile.LibsndfileError) else error
        return f"{path}: cannot be read as {READ}: {reason}"
    if info.format not in FORMATS:
        return f"{path}: must be {READ}, got {info.format}; {conversion(path, info.format)}"
    if not info.frames:
        return f"{path}: must hold samples, got 0"
    return SoundFile(
        name=name,
        num_samples=info.frames,
        rate_hz=info.samplerate,
        size_bytes=stat.st_size,
        changed_ns=stat.st_mtime_ns,
    )


def _read_part(path: Path, start: int, num_samples: int) -> Wave:
    try:
        sound_SC, _ = soundfile.read(path, num_samples, start, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        reason = error.error_string if isinstance(error, soundfile.LibsndfileError) else error
        raise AudioError(f"{path}: cannot be read as {READ}: {reason}") from error
    # libsndfile reads a file that was cut short without an error.
    if len(sound_SC) < num_samples:
        raise AudioError(
            f"{path}: is cut short: must have {num_samples} samples from {start} on, "
            f"got {len(sound_SC)}"
        )
    part_S: Wave = sound_SC.mean(axis=1)
    return part_S


def _hint(folder: Path) -> str:
    """Return the end of the message about a missing folder: the most similar name, if any."""
    parent = folder.parent
    siblings = sorted(each.name for each in parent.iterdir()) if parent.is_dir() else []
    near = difflib.get_close_matches(folder.name, siblings, n=1)
    return f"; did you mean {parent / near[0]}?" if near else "; name one that is there"
