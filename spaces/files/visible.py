"""Text that came from elsewhere, made safe to show: control characters as their escapes.

A file name, a config, a speaker or an exception's message may hold escape sequences that clear
the screen, newlines that forge a line, or overrides of the writing direction that turn text round.
"""

import unicodedata

# Controls (among them those of 8 bits), formats (writing direction, zero width), halves of
# surrogate pairs (undecodable bytes of a file name: no terminal takes them), and rare line ends.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str, keep: str = "") -> str:
    r"""The text, each character that a screen would obey shown as Python writes it: `\x1b`.

    Args:
        text: Of any source.
        keep: Characters that stay what they are, such as the newlines of a message of ours.
    """
    if text.isprintable():
        return text
    return "".join(
        each
        if each in keep or unicodedata.category(each) not in _HIDDEN
        else each.encode("unicode_escape").decode("ascii")
        for each in text
    )
