"""Checks that chain the lines of a journal, so that none can be altered, taken out or put in.

Each line ends with `"check"`: 16 hex digits of the SHA-256 of the line before's check followed by
the line's own text without its check. Lines that are cut off at the end are not noticed: what is
left is the journal as it once was. It guards against damage and editing, not against someone who
works out all checks anew.
"""

import hashlib
import re

DIGITS = 16
CHECK = re.compile(rb',"check":"([0-9a-f]{16})"\}$')
# Before the first line.
START = b""


def chained(text: bytes, before: bytes) -> tuple[bytes, bytes]:
    """A line with its check.

    Args:
        text: A JSON object, not empty, without a line end.
        before: The check of the line before it.

    Returns:
        The line, and its check.
    """
    check = _check(text, before)
    return text[:-1] + b',"check":"' + check + b'"}', check


def split_check(line: bytes) -> tuple[bytes, bytes | None]:
    """A line's own text and its check, None where it has none."""
    found = CHECK.search(line)
    return (line, None) if found is None else (line[: found.start()] + b"}", found[1])


def follows(text: bytes, check: bytes, before: bytes) -> bool:
    """Whether a check is that of this text behind that check."""
    return check == _check(text, before)


def _check(text: bytes, before: bytes) -> bytes:
    return hashlib.sha256(before + text).hexdigest()[:DIGITS].encode()
