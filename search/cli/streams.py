"""Output that any terminal, pipe or closed descriptor takes: no display problem ends a command.

Imports nothing of Veer: the entry calls it before the consoles are made.
"""

import codecs
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType

FALLBACK = "veer_fallback"
# The highest number of a standard stream.
STDERR = 2
# What Veer itself prints beside ASCII. Any other character that the encoding lacks is escaped.
ASCII: Mapping[str, str] = MappingProxyType(
    {
        "≈": "~",
        "±": "+-",
        "…": "...",
        "µ": "u",
        # The levels of a learning curve, bars and spinners.
        **dict(zip("▁▂▃▄▅▆▇█", "_.-:=+*#", strict=True)),
        **dict.fromkeys("━╸╺─╴╶", "-"),
        **dict.fromkeys("│┃", "|"),
        **dict.fromkeys("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏●•", "*"),
    }
)


def prepare_streams() -> None:
    """Make the standard streams of this process accept every text."""
    _fill_closed_descriptors()
    codecs.register_error(FALLBACK, _replace)
    for stream in (sys.stdout, sys.stderr):
        # Other objects, as of a notebook or a test, encode nothing.
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors=FALLBACK)


def _fill_closed_descriptors() -> None:
    """Open the null device in place of standard streams that are closed, as by `>&-`.

    Otherwise the next file that is opened gets their number, and what libraries print goes there.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    # Python has no stream for a descriptor that was closed when it started.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123


def is_closed(stream: object) -> bool:
    """Return whether a standard stream was closed when the process started."""
    # `> /dev/null` keeps the name that Python gives the stream.
    return getattr(stream, "name", None) == os.devnull


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    failed = error.object[error.start : error.end]
    return "".join(ASCII.get(char) or _escaped(char) for char in failed), error.end


def _escaped(char: str) -> str:
    return char.encode("ascii", "backslashreplace").decode("ascii")
