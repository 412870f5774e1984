"""Text of any source as Markdown that shows it."""

import re

from spaces.files.visible import visible


def plain(text: object) -> str:
    """The text without effect: no HTML, link, emphasis, table cell or line of its own."""
    return re.sub(r"[\\`*<>\[\]|&]", r"\\\g<0>", visible(str(text)))


def code(text: object) -> str:
    """The text between backticks; a backtick in it becomes an apostrophe."""
    return f"`{visible(str(text)).replace('`', chr(39))}`"
