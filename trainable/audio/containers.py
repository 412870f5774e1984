"""What the header of an uncompressed audio file promises, beside what the file holds.

libsndfile reads a file that was cut short, or whose header is shorter than the file, without an
error: it takes what is there. Here WAV (RIFF, RIFX, RF64), W64, AIFF and AIFF-C are read as the
chunks that they consist of.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

# A program that writes to a pipe cannot come back to fill in a size: FFmpeg leaves 0xFFFFFFFF,
# SoX 0x7FFFF000 and 0x7F000000 (AIFF), others 0.
_STREAMED_FROM = {"RIFF": 0x7FFFF000, "AIFF": 0x7F000000, "W64": 2**62}
_RIFF_IDS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
# The rest of every GUID of W64 after the four letters of its chunk.
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_CHUNK_HEADER = 8
_W64_CHUNK_HEADER = 24
# A file has some ten chunks; more are an attack, or no chunks.
_MAX_CHUNKS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """The audio data of a file, in bytes.

    Attributes:
        promised: Bytes of audio by the header; None if a stream left them open.
        held: Bytes from the start of the audio to the end of the file.
        stray: Bytes after the audio and its chunks that are no chunk.
        frame: Bytes of a sample of all channels; 0 if unknown.
        open_size_at: Place of a size of 0 that a stream left in a WAV file, which libsndfile takes
            for a file without audio; None elsewhere.
    """

    promised: int | None
    held: int
    stray: int
    frame: int
    open_size_at: int | None = None

    @property
    def num_missing(self) -> int:
        """Samples that the header promises and the file lacks."""
        if self.promised is None or self.held >= self.promised:
            return 0
        missing = self.promised - self.held
        return -(-missing // self.frame) if self.frame else missing


def read_extent(path: Path) -> Extent | None:
    """Return the extent of the audio in a file; None for other formats, and without audio.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(40)
        size = file.seek(0, 2)
        if head[:4] in _RIFF_IDS and head[8:12] == b"WAVE":
            return _riff(file, size, ">" if head[:4] == b"RIFX" else "<")
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return _aiff(file, size)
        if head[:16] == _W64_RIFF:
            return _w64(file, size)
    return None


def _riff(file: IO[bytes], size: int, order: str) -> Extent | None:
    frame, long_size = 0, None
    for name, start, length in _chunks(file, 12, size, order):
        if name == b"ds64":
            file.seek(start + 8)
            long_size = _number(file, "<Q", 8)
        elif name == b"fmt ":
            file.seek(start + 12)
            frame = _number(file, f"{order}H", 2) or 0
        elif name == b"data":
            promised: int | None = length
            if length == 0xFFFFFFFF and long_size is not None:
                promised = long_size
            elif length == 0:
                # Without audio, only chunks follow.
                found = _extent(file, (start, start, 0, frame), size, order)
                if not found.stray:
                    return found
                return replace(found, promised=None, stray=0, open_size_at=start - 4)
            elif length >= _STREAMED_FROM["RIFF"]:
                promised = None
            end = None if promised is None else start + promised + promised % 2
            return _extent(file, (start, end, promised, frame), size, order)
    return None


def _aiff(file: IO[bytes], size: int) -> Extent | None:
    frame, found = 0, None
    for name, start, length in _chunks(file, 12, size, ">"):
        file.seek(start)
        if name == b"COMM":
            channels = _number(file, ">H", 2) or 0
            file.seek(start + 6)
            frame = channels * (((_number(file, ">H", 2) or 0) + 7) // 8)
        elif name == b"SSND":
            # Offset and size of blocks come before the audio, whose chunk counts them.
            is_open = length < _CHUNK_HEADER or length >= _STREAMED_FROM["AIFF"]
            promised = None if is_open else length - _CHUNK_HEADER
            end = None if is_open else start + length + length % 2
            found = (start + _CHUNK_HEADER, end, promised)
    if found is None:
        return None
    return _extent(file, (*found, frame), size, ">")


def _w64(file: IO[bytes], size: int) -> Extent | None:
    frame, place = 0, 40
    for _ in range(_MAX_CHUNKS):
        file.seek(place)
        head = file.read(_W64_CHUNK_HEADER)
        if len(head) < _W64_CHUNK_HEADER or head[4:16] != _W64_TAIL:
            return None
        length = struct.unpack("<Q", head[16:])[0]
        if head[:4] == b"fmt ":
            file.seek(place + _W64_CHUNK_HEADER + 12)
            frame = _number(file, "<H", 2) or 0
        if head[:4] == b"data":
            start = place + _W64_CHUNK_HEADER
            is_open = length <= _W64_CHUNK_HEADER or length >= _STREAMED_FROM["W64"]
            promised = None if is_open else length - _W64_CHUNK_HEADER
            held = size - start
            end = None if promised is None else start + _rounded(promised, 8)
            stray = 0 if end is None else _w64_stray(file, end, size)
            return Extent(promised=promised, held=held, stray=stray, frame=frame)
        if length < _W64_CHUNK_HEADER:
            return None
        place += _rounded(length, 8)
    return None


def _w64_stray(file: IO[bytes], place: int, size: int) -> int:
    while size - place >= _W64_CHUNK_HEADER:
        file.seek(place)
        head = file.read(_W64_CHUNK_HEADER)
        length = struct.unpack("<Q", head[16:])[0]
        is_chunk = head[4:16] == _W64_TAIL and _W64_CHUNK_HEADER <= length <= size - place
        if not is_chunk:
            return size - place
        place += _rounded(length, 8)
    return max(0, size - place)


def _extent(
    file: IO[bytes], audio: tuple[int, int | None, int | None, int], size: int, order: str
) -> Extent:
    """Return the extent of audio: its start, the end of its chunk, promised bytes, frame."""
    start, end, promised, frame = audio
    stray = 0
    if end is not None and end < size:
        place = end
        for name, chunk_start, length in _chunks(file, end, size, order):
            is_name = name.isascii() and name.decode().isprintable()
            if not is_name or chunk_start + length > size:
                break
            place = chunk_start + length + length % 2
        stray = max(0, size - place)
    return Extent(promised=promised, held=size - start, stray=stray, frame=frame)


def _chunks(
    file: IO[bytes], place: int, size: int, order: str
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and length of each chunk, from a place on."""
    for _ in range(_MAX_CHUNKS):
        if size - place < _CHUNK_HEADER:
            return
        file.seek(place)
        name, length = struct.unpack(f"{order}4sI", file.read(_CHUNK_HEADER))
        yield name, place + _CHUNK_HEADER, length
        place += _CHUNK_HEADER + length + length % 2


def _number(file: IO[bytes], form: str, length: int) -> int | None:
    content = file.read(length)
    return int(struct.unpack(form, content)[0]) if len(content) == length else None


def _rounded(length: int, step: int) -> int:
    return -(-length // step) * step
