"""Checks that chain the lines of a journal, so that a change, removal or insertion is detected.

Each line ends with `"check"`: 16 hex digits of the SHA-256 of the check of the previous line
followed by the text of this line without its check. Removal of lines at the end is not detected:
what is left is the journal as it was earlier. The chain protects against damage and editing, not
against someone who recomputes all checks.
"""

import hashlib
import re

# 64 bits: enough against accidents, and a line stays short.
DIGITS = 16
CHECK = re.compile(rb',"check":"([0-9a-f]{16})"\}$')
# The check that the first line chains to.
START = b""


def chained(text: bytes, before: bytes) -> tuple[bytes, bytes]:
    """Return a line with its check appended, and that check.

    Args:
        text: A JSON object that is not empty, without a line end.
        before: The check of the previous line.
    """
    check = _check(text, before)
    return text[:-1] + b',"check":"' + check + b'"}', check


def split_check(line: bytes) -> tuple[bytes, bytes]:
    """Return the text of a line without its check, and the check, empty where it has none."""
    found = CHECK.search(line)
    return (line, START) if found is None else (line[: found.start()] + b"}", found[1])


def follows(text: bytes, check: bytes, before: bytes) -> bool:
    """Return whether a check is the one of this text after the check `before`."""
    return check == _check(text, before)


def _check(text: bytes, before: bytes) -> bytes:
    return hashlib.sha256(before + text).hexdigest()[:DIGITS].encode()
