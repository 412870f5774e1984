"""Text made safe for where it is shown: commands to copy into a shell, and text in Markdown.

Names of files and parameters may contain any character.
"""

import os
import re
import shlex
from pathlib import Path

from spaces.files.locations import name_for_people
from spaces.files.visible import visible


def veer_command(*words: str | Path) -> str:
    """Return a command of Veer, quoted for a POSIX shell.

    Args:
        words: The words after `veer`. A path that begins with `-` gets a `./`, so that it is not
            taken for an option; a text that begins so is an option. The working copy of a folder
            in object storage is named by its URI.
    """
    named = (name_for_people(word) if isinstance(word, Path) else word for word in words)
    return " ".join(["veer", *(_quoted(_not_an_option(word)) for word in named)])


def _not_an_option(word: str | Path) -> str:
    text = str(word)
    return f"./{text}" if isinstance(word, Path) and text.startswith("-") else text


def _quoted(word: str) -> str:
    """Return a word quoted for the shell; unprintable ones with octal bytes (bash, zsh, ksh)."""
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def _escaped(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    if char.isprintable():
        return char
    # Three digits, since the shell would read a digit that follows as part of a shorter number.
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(char))


def escape_markdown(text: object) -> str:
    """Return the text as plain text in Markdown, without HTML, links, emphasis or table cells."""
    return re.sub(r"[\\`*<>\[\]|&]", r"\\\g<0>", visible(str(text)))


def inline_code(text: object) -> str:
    """Return the text as code in Markdown; a backtick in it becomes an apostrophe."""
    return f"`{visible(str(text)).replace('`', chr(39))}`"
