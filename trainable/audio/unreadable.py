"""What a file is that cannot be read as audio, and what leads on."""

import re
import shlex
from pathlib import Path

READ = "WAV, FLAC, AIFF or W64"
_ISO_BRANDS_AT = slice(4, 8)
_HEAD = 512
# First bytes of formats that ffmpeg converts and libsndfile does not read, or not here.
_SOUNDS = (
    (b"ID3", "MP3"), (b"\xff\xfb", "MP3"), (b"\xff\xf3", "MP3"), (b"\xff\xf2", "MP3"),
    (b"\xff\xf1", "AAC"), (b"\xff\xf9", "AAC"), (b"OggS", "OGG"), (b"NIST_1A", "SPHERE"),
    (b"\x1aE\xdf\xa3", "WebM or Matroska"), (b"#!AMR", "AMR"), (b"0&\xb2u\x8ef\xcf\x11", "WMA"),
    (b"wvpk", "WavPack"), (b"MAC ", "Monkey's Audio"), (b".snd", "AU"), (b"caff", "CAF"),
)  # fmt: skip
_OTHERS = (
    (b"version https://git-lfs", "a pointer of Git LFS; get the audio with: git lfs pull"),
    (b"\x1f\x8b", "a compressed file (gzip); unpack it"),
    (b"PK\x03\x04", "a ZIP archive; unpack it"),
)
_WITH_HEADER = (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"FORM", b"riff")
_HTML = re.compile(rb"\s*(<!doctype|<html|<\?xml)", re.IGNORECASE)


def other_content(path: Path) -> tuple[str, str] | None:
    """Return what a file holds that is no audio which Veer reads, None if that is not known.

    Returns:
        The kind, which files share, and a clause that names it with what leads on.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        return "empty", "is empty (0 bytes); copy it anew"
    sound = next((name for start, name in _SOUNDS if head.startswith(start)), None)
    if head[_ISO_BRANDS_AT] == b"ftyp":
        sound = "M4A or MP4"
    if sound is None and path.suffix.lower() in (".raw", ".pcm") and head[:4] not in _WITH_HEADER:
        sound = "audio without a header"
    if sound is not None:
        return sound, f"must be {READ}, got {sound}; {conversion(path, sound)}"
    other = next((text for start, text in _OTHERS if head.startswith(start)), None)
    if other is None and _HTML.match(head):
        other = "an HTML or XML page, as a failed download leaves it; get it anew"
    if other is None and not any(head):
        other = "bytes that are all 0, as an interrupted copy leaves them; copy it anew"
    return None if other is None else (other, f"must be {READ}, got {other}")


def conversion(path: Path, kind: str) -> str:
    """Return the command that converts a file of a kind to WAV."""
    given = "-f s16le -ar 16000 " if kind == "audio without a header" else ""
    out = path.with_suffix(".wav")
    if out == path:
        out = path.with_name(f"{path.stem}_new.wav")
    names = [shlex.quote(str(each.absolute())) for each in (path, out)]
    return f"convert it with: ffmpeg {given}-i {names[0]} -ac 1 -ar 16000 {names[1]}"
