"""Synthetic speakers: the voices of espeak-ng, in the library that espeakng-loader contains.

espeak-ng is GPL-3.0-or-later; it is loaded at run time and is no part of this project.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spaces.files.errors import VeerError
from trainable.audio.reading import Wave, resampled

ACCENTS = (
    "en",
    "en-us",
    "en-us-nyc",
    "en-029",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
)
# Robots, whispers, echoes and jokes rather than people. `draw_voices` also leaves out names with a
# space, which espeak-ng cannot select.
UNUSED_VARIANTS = frozenset(
    {"Demonic", "RicishayMax", "RicishayMax2", "RicishayMax3", "Tweaky", "UniRobot"}
    | {"anikaRobot", "croak", "fast", "whisper", "whisperf", "robosoft"}
    | {f"robosoft{number}" for number in range(2, 9)}
)

# From espeak-ng's speak_lib.h: return samples and play nothing; do not call exit() on errors; text
# is UTF-8; numbers of the parameters.
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A synthetic speaker, or the same speaker on one day.

    Attributes:
        name: Name of the voice in espeak-ng, `ACCENT+VARIANT`.
        pitch: 0 to 99, within the variant's own range in Hz.
        pitch_range: 0 to 99; 0 is monotone.
        rate_wpm: Words per minute.
        native_rate_hz: Sample rate that the samples are taken to have. A rate other than
            espeak-ng's own shifts all formants and the pitch together, as a longer or shorter
            vocal tract does.
    """

    name: str
    pitch: int
    pitch_range: int
    rate_wpm: int
    native_rate_hz: int


def require_espeak() -> tuple[Path, Path]:
    """Return the paths of espeak-ng's shared library and of its data folder.

    Raises:
        VeerError: The package that contains them is not installed.
    """
    try:
        import espeakng_loader
    except ImportError as error:
        raise VeerError(
            "the demo corpus is spoken by espeak-ng, which is not installed; "
            "install it with: pip install 'veer[demo]'"
        ) from error
    return Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path())


def draw_voices(num_voices: int, seed: int) -> tuple[Voice, ...]:
    """Draw speakers; a variant is used again only after all others were used."""
    rng = np.random.default_rng([seed, 0])
    folder = require_espeak()[1] / "voices" / "!v"
    names = sorted(path.name for path in folder.iterdir())
    variants = [name for name in names if name not in UNUSED_VARIANTS and " " not in name]
    rounds = -(-num_voices // len(variants))
    order = np.concatenate([rng.permutation(len(variants)) for _ in range(rounds)])
    return tuple(
        Voice(
            name=f"{rng.choice(ACCENTS)}+{variants[variant]}",
            pitch=int(rng.integers(20, 81)),
            pitch_range=int(rng.integers(20, 81)),
            rate_wpm=int(rng.integers(145, 206)),
            # In steps of 200: resampling between rates without a large common factor is slow.
            native_rate_hz=int(rng.integers(102, 120)) * 200,
        )
        for variant in order[:num_voices]
    )


def drifted(voice: Voice, rng: np.random.Generator) -> Voice:
    """Draw the same speaker on another day: a little higher or lower, faster or slower."""
    return replace(
        voice,
        pitch=int(np.clip(voice.pitch + rng.integers(-10, 11), 0, 99)),
        pitch_range=int(np.clip(voice.pitch_range + rng.integers(-10, 11), 0, 99)),
        rate_wpm=voice.rate_wpm + int(rng.integers(-15, 16)),
    )


class EspeakSynthesizer:
    """A loaded espeak-ng. Its speech depends only on the calls since it was loaded."""

    def __init__(self, library: ctypes.CDLL, data: Path) -> None:
        self._library = library
        self._blocks: list[np.ndarray] = []
        # The library calls it later, and ctypes does not keep it alive.
        self._callback = _Callback(self._collect)
        if library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), _DONT_EXIT) <= 0:
            raise VeerError(f"espeak-ng cannot start with its data in {data}")
        library.espeak_SetSynthCallback(self._callback)

    def synthesize(self, text: str, voice: Voice) -> Wave:
        """Speak a text with a voice.

        Returns:
            wave_S: Samples at 16 kHz, in [-1, 1].

        Raises:
            VeerError: espeak-ng does not have the voice.
        """
        self._blocks.clear()
        if self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise VeerError(f"espeak-ng has no voice {voice.name!r}")
        for parameter, value in (
            (_RATE, voice.rate_wpm),
            (_PITCH, voice.pitch),
            (_RANGE, voice.pitch_range),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        content = text.encode()
        self._library.espeak_Synth(content, len(content) + 1, 0, 0, 0, _UTF8, None, None)
        wave_S: Wave = np.concatenate(self._blocks).astype(np.float32)
        return resampled(wave_S / np.float32(2**15), voice.native_rate_hz)

    def _collect(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _: object) -> int:
        # espeak-ng reuses the buffer, so it is copied; a call without samples ends the text.
        if samples and count > 0:
            self._blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0


@contextmanager
def open_espeak() -> Iterator[EspeakSynthesizer]:
    """Load a fresh espeak-ng and unload it afterwards.

    The library keeps state between utterances (flutter, wave phases) that only unloading resets.
    So at most one may be open in a process.

    Raises:
        VeerError: espeak-ng is not installed or does not start.
    """
    path, data = require_espeak()
    libc = ctypes.CDLL(None)
    library = ctypes.CDLL(str(path))
    try:
        speech = EspeakSynthesizer(library, data)
        # For the breath noise: at its start espeak-ng seeds its own generator with the time.
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        # Some voices use the generator of libc instead.
        libc.srand(1)
        yield speech
    finally:
        library.espeak_Terminate()
        # ctypes never unloads a library by itself.
        libc.dlclose(ctypes.c_void_p(library._handle))
