"""The text of a list: its encoding and its lines, and what a file is that is no text."""

import difflib
import re
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

from spaces.files.complaints import short_repr
from spaces.files.errors import ConfigError

# What the first bytes of a file show, and what leads on. Of HTML, letters may be of any case.
_KINDS = (
    (b"\x1f\x8b", "is compressed (gzip); unpack it with: gunzip -k FILE"),
    (b"BZh", "is compressed (bzip2); unpack it with: bunzip2 -k FILE"),
    (b"\xfd7zXZ", "is compressed (xz); unpack it with: unxz -k FILE"),
    (b"\x28\xb5\x2f\xfd", "is compressed (zstd); unpack it with: unzstd -k FILE"),
    (b"PK\x03\x04", "is a ZIP archive or a spreadsheet; unpack it, or export it as text"),
    (b"version https://git-lfs", "is a pointer of Git LFS; get the file with: git lfs pull"),
    (b"%PDF", "is a PDF"),
    (b"RIFF", "is audio"),
    (b"fLaC", "is audio"),
    (b"PAR1", "is a Parquet file; export it as text"),
    (b"\x93NUMPY", "is a NumPy array; export it as text"),
    (b"\x80\x02", "is a pickle; export it as text"),
    (b"\x80\x04", "is a pickle; export it as text"),
)
_HTML = re.compile(rb"\s*(<!doctype\s+html|<html|<\?xml|<head)", re.IGNORECASE)
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"
# Bytes that are looked at to recognise a file.
_HEAD = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ListText:
    """A list that was read.

    Attributes:
        lines: Its lines, without blank ones at the end.
        encoding: How it is encoded, as Python names it.
    """

    lines: list[str]
    encoding: str


def read_text(path: Path, encoding: str | None = None) -> ListText:
    """Read a list in any encoding that its bytes show.

    Args:
        path: The file.
        encoding: How it is encoded; None to find that out.

    Raises:
        ConfigError: It cannot be read, is no text, or its encoding is not known; the message has
            the line.
    """
    content = _content(path)
    found = encoding or _encoding_of(content)
    try:
        text = content.decode(found)
    except LookupError as error:
        raise ConfigError(f"there is no encoding {found!r}") from error
    except UnicodeDecodeError as error:
        raise _not_encoded(path, content, found, error.start) from error
    lines = lines_of(text)
    if "\ufeff" in text:  # lists that were joined have the mark of the second one in the middle
        lines = [line.removeprefix("\ufeff") for line in lines]
    return ListText(lines=lines, encoding=found)


def read_lines(path: Path, convert: str | None = None) -> list[str]:
    """Return the lines of a UTF-8 text, without blank ones at its end.

    Args:
        path: The file.
        convert: Command that converts a list; None for one that is made with iconv.

    Raises:
        ConfigError: It cannot be read or is not UTF-8; the message has the line.
    """
    try:
        found = read_text(path)
    except NotUTF8Error as error:
        command = f"{convert} --encoding latin-1" if convert else _iconv("LATIN1", path)
        raise ConfigError(f"{error}; convert it with: {command}") from error
    if not found.encoding.startswith("utf-16"):
        return found.lines
    raise ConfigError(
        f"{path}:1: the list cannot be read: must be UTF-8, got UTF-16; convert it with: "
        f"{convert or _iconv(found.encoding.upper(), path)}"
    )


class NotUTF8Error(ConfigError):
    """A text is in an encoding that its bytes do not show."""


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, without blank ones at its end, as an editor counts them."""
    # Not `splitlines`, which also ends a line at a form feed or U+2028, as no editor does.
    text = text.rstrip().replace("\r\n", "\n").replace("\r", "\n")
    return text.split("\n") if text else []


def new_name(path: Path) -> Path:
    """Return where a converted list is written by default, next to the list."""
    return path.with_name(f"{path.stem}_new{path.suffix or '.txt'}")


def _content(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        # A pipe can be read once only, and a device need not end.
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
            raise ConfigError(f"{path}: the list must be a file, got {kind}")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such list{_near(path)}") from error
    except OSError as error:
        raise ConfigError(f"{path}: the list cannot be read: {error.strerror}") from error
    head = content[:_HEAD]
    what = next((text for start, text in _KINDS if head.startswith(start)), None)
    if what is None and _HTML.match(head):
        what = "is an HTML page, as a failed download leaves it; open the address in a browser"
    if what is None and _encoding_of(content) == "utf-8-sig" and 10 * head.count(0) > len(head):
        what = "has bytes that are 0"
    if what is not None:
        what = what.replace("FILE", shlex.quote(str(path)))
        raise ConfigError(f"{path}:1: the list must be text, but {what}")
    return content


def _near(path: Path) -> str:
    try:
        names = [each.name for each in path.parent.iterdir()]
    except OSError:
        return f"; there is no folder {path.parent}" if not path.parent.exists() else ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _encoding_of(content: bytes) -> str:
    if content[:2] in _UTF16_MARKS:
        return "utf-16"
    # Of Latin letters in UTF-16, each second byte is 0.
    head = content[:_HEAD]
    for place, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) >= 8 and head[place::2].count(0) > 0.4 * len(head):
            return name
    return "utf-8-sig"


def _not_encoded(path: Path, content: bytes, encoding: str, position: int) -> ConfigError:
    if encoding != "utf-8-sig":
        return ConfigError(f"{path}: is not encoded as {encoding}, as byte {position:,} shows")
    # An error counts from after a byte order mark.
    position += len(_UTF8_MARK) * content.startswith(_UTF8_MARK)
    start = max(content.rfind(b"\n", 0, position), content.rfind(b"\r", 0, position)) + 1
    number = len(lines_of(content[:position].decode("latin-1") + "."))
    text = re.split(rb"[\r\n]", content[start : start + _HEAD], maxsplit=1)[0].decode("latin-1")
    return NotUTF8Error(
        f"{path}:{number}: the list cannot be read: must be UTF-8, got the byte "
        f"0x{content[position]:02x} in {short_repr(text.strip())} (as Latin-1)"
    )


def _iconv(encoding: str, path: Path) -> str:
    new = shlex.quote(str(new_name(path)))
    return f"iconv -f {encoding} -t UTF-8 {shlex.quote(str(path))} > {new}"
