"""Text of any source, made safe to show."""

import pytest

from spaces.files.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\rb\x07", "a\\rb\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("wav\u202egpj", "wav\\u202egpj"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("a\u2028b", "a\\u2028b"),
        ("one\ntwo", "one\\ntwo"),
        ("undecodable \udcff", "undecodable \\udcff"),
        ("[red]x[/]", "[red]x[/]"),
        ("Zoë 王 \U0001f600 a\xa0b", "Zoë 王 \U0001f600 a\xa0b"),
    ],
)
def test_what_a_screen_would_obey_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_what_is_kept_stays() -> None:
    assert visible("one\ntwo\r", keep="\n") == "one\ntwo\\r"
