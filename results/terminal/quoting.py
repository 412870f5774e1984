"""Commands that a person copies into a shell, whatever a path in them is called."""

import os
import re
import shlex
from pathlib import Path

from spaces.files.visible import visible


def veer_command(*words: str | Path) -> str:
    """A command of Veer's that a POSIX shell reads as it is meant.

    Args:
        words: What follows `veer`. A path that begins with `-` is written so that it is no
            option; a text that does so is one.
    """
    return " ".join(["veer", *(_quoted(_not_an_option(word)) for word in words)])


def _not_an_option(word: str | Path) -> str:
    text = str(word)
    return f"./{text}" if isinstance(word, Path) and text.startswith("-") else text


def _quoted(word: str) -> str:
    """As the shell's word; what a screen does not show as octal bytes (bash, zsh, ksh)."""
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def _escaped(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    if char.isprintable():
        return char
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(char))


def escape_markdown(text: object) -> str:
    """The text without effect: no HTML, link, emphasis, table cell or line of its own."""
    return re.sub(r"[\\`*<>\[\]|&]", r"\\\g<0>", visible(str(text)))


def inline_code(text: object) -> str:
    """The text between backticks; a backtick in it becomes an apostrophe."""
    return f"`{visible(str(text)).replace('`', chr(39))}`"
