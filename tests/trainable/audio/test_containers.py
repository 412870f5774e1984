"""Headers that promise other audio than the file holds."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from trainable.audio.containers import read_extent
from trainable.audio.reading import AudioEntry, AudioError, load_wave
from trainable.audio.scan import scan_audio

WAVE = (0.3 * np.sin(np.arange(16_001) * 0.05)).astype(np.float32)
FORMATS = [
    ("WAV", "PCM_16", "LITTLE"),
    ("WAV", "PCM_24", "LITTLE"),
    ("WAV", "FLOAT", "LITTLE"),
    ("WAV", "PCM_16", "BIG"),  # RIFX
    ("WAV", "IMA_ADPCM", "FILE"),
    ("WAVEX", "PCM_16", "FILE"),
    ("RF64", "PCM_16", "FILE"),
    ("W64", "PCM_16", "FILE"),
    ("AIFF", "PCM_16", "FILE"),
    ("AIFF", "FLOAT", "FILE"),
]


def content_of(kind: str, subtype: str, endian: str = "FILE") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, WAVE, 16_000, subtype, endian, format=kind)
    return file.getvalue()


def scanned(file: Path, content: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    file.write_bytes(content)
    scan = scan_audio([AudioEntry(path=file, listed_at="list:1")], min_duration_s=0.1)
    return scan.faults, scan.warnings


@pytest.mark.parametrize(("kind", "subtype", "endian"), FORMATS)
def test_a_file_that_is_cut_short_is_refused(
    tmp_path: Path, kind: str, subtype: str, endian: str
) -> None:
    content, file = content_of(kind, subtype, endian), tmp_path / "a.wav"
    assert scanned(file, content) == ((), ())
    # From half of the audio to its last bytes.
    for size in (len(content) // 2, len(content) - 600):
        (fault,), _ = scanned(file, content[:size])
        assert "a.wav: is cut short: must have " in fault
        with pytest.raises(AudioError, match=r"is cut short: must have \d+ samples by its header"):
            load_wave(file)


def test_the_numbers_of_samples_are_those_of_the_header_and_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(content_of("WAV", "PCM_16")[: 44 + 2 * 5000 + 1])
    with pytest.raises(AudioError, match="must have 16001 samples by its header, got 5000"):
        load_wave(file)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000, 0x80000000])
def test_the_sizes_of_a_stream_are_taken(tmp_path: Path, size: int) -> None:
    content = bytearray(content_of("WAV", "PCM_16"))
    content[4:8] = content[40:44] = struct.pack("<I", size)
    (tmp_path / "a.wav").write_bytes(content)
    assert len(load_wave(tmp_path / "a.wav")) == len(WAVE)
    assert scanned(tmp_path / "a.wav", bytes(content)) == ((), ())


def test_a_file_without_audio_is_no_stream(tmp_path: Path) -> None:
    content = content_of("WAV", "PCM_16")[:40] + bytes(4)
    tags = b"LIST" + struct.pack("<I", 4) + b"INFO"
    for more in (b"", tags):
        (fault,), _ = scanned(tmp_path / "a.wav", content + more)
        assert "must last at least 0.1 s, got 0.0000 s" in fault


def test_a_stream_of_flac_is_taken_and_refused_if_cut(tmp_path: Path) -> None:
    file = io.BytesIO()
    noise = np.random.default_rng(0).normal(size=200_000) / 9
    soundfile.write(file, noise, 16_000, format="FLAC")
    content = bytearray(file.getvalue())
    # The number of samples in STREAMINFO: 36 bits, 0 for unknown.
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(content)
    np.testing.assert_allclose(load_wave(tmp_path / "a.flac"), noise, atol=1e-4)
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match=r"a\.flac: cannot be read"):
        load_wave(tmp_path / "a.flac")


@pytest.mark.parametrize(("kind", "subtype", "endian"), FORMATS)
def test_bytes_after_the_audio_that_are_no_chunk_are_warned_of(
    tmp_path: Path, kind: str, subtype: str, endian: str
) -> None:
    content = content_of(kind, subtype, endian)
    faults, (warning,) = scanned(tmp_path / "a.wav", content + b"\xff\x7f" * 500)
    assert faults == ()
    assert "list:1: " in warning
    assert "goes on after the end of its audio with bytes that are no chunk" in warning
    extent = read_extent(tmp_path / "a.wav")
    assert extent is not None
    # W64 pads its chunks to 8 bytes, and some of what follows is taken as padding.
    assert 992 <= extent.stray <= 1000


def test_a_header_shorter_than_its_file_is_warned_of(tmp_path: Path) -> None:
    content = bytearray(content_of("WAV", "PCM_16"))
    content[4:8] = struct.pack("<I", 36 + 2 * 4000)
    content[40:44] = struct.pack("<I", 2 * 4000)
    faults, (warning,) = scanned(tmp_path / "a.wav", bytes(content))
    assert faults == ()
    assert "24,002 bytes after the 8,000 of audio" in warning


def test_chunks_after_the_audio_are_no_doubt(tmp_path: Path) -> None:
    # The last one is odd and lacks its padding, as some programs write it.
    tags = struct.pack("<4sI10s4sI3s", b"LIST", 10, b"INFOISFT", b"id3 ", 3, b"abc")
    assert scanned(tmp_path / "a.wav", content_of("WAV", "PCM_16") + tags) == ((), ())


def test_float_samples_of_another_scale_are_warned_of_once(tmp_path: Path) -> None:
    entries = []
    for name, scale in (("a", 32768), ("b", 32768), ("c", 3)):
        soundfile.write(tmp_path / f"{name}.wav", WAVE * scale, 16_000, "FLOAT")
        entries.append(AudioEntry(path=tmp_path / f"{name}.wav", listed_at=f"list:{name}"))
    (warning,) = scan_audio(entries, min_duration_s=0.1).warnings
    assert warning.startswith(f"list:a: {tmp_path / 'a.wav'}: has samples far above 1")
    assert warning.endswith("peak 9,830.4 (2 such files)")
