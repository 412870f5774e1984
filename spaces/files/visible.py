"""Safe display of text from outside: control characters are replaced by their escapes.

A file name, a config, a speaker or an exception's message may hold escape sequences that clear
the screen, newlines that forge a line, or marks that reverse the writing direction.
"""

import unicodedata

# Controls (among them those of 8 bits), formats (writing direction, zero width), halves of
# surrogate pairs (undecodable bytes of a file name: no terminal takes them), and rare line ends.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str, keep: str = "") -> str:
    r"""Return the text with every character that controls a screen escaped, as in `\x1b`.

    Args:
        text: Text of any source.
        keep: Characters to leave as they are, such as the newlines of Veer's own messages.
    """
    if text.isprintable():
        return text
    return "".join(
        each
        if each in keep or unicodedata.category(each) not in _HIDDEN
        else each.encode("unicode_escape").decode("ascii")
        for each in text
    )
