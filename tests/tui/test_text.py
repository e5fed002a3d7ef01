"""What is shown is visible and holds no key."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from store.known_secrets import remember_secret
from tui.text import clean_paste, mark_controls, show_safely

CATEGORIES = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")


def test_no_character_of_the_categories_is_shown_raw() -> None:
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in CATEGORIES:
            shown = show_safely(f"a{chr(code)}b")
            assert shown.isprintable()
            assert len(shown) > 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb\x7f", "a␛[2Jb␡"),
        ("a\u009bb\u200dc\u061cd\u2028e\u00adf", "a<U+009B>b<U+200D>c<U+061C>d<U+2028>e<U+00AD>f"),
        ("tag\U000e0041", "tag<U+E0041>"),
        ("half\udcff, private\ue000", "half<U+DCFF>, private<U+E000>"),
        ("a\nb\tc", "a␊b␉c"),
        ("wide　space, é, 猫, 👍", "wide　space, é, 猫, 👍"),
    ],
)
def test_each_is_a_picture_or_spelled(text: str, shown: str) -> None:
    assert show_safely(text) == shown


def test_lines_stay_lines_where_they_may() -> None:
    assert show_safely("a\n\tb\r\u202e", lines=True) == "a\n\tb␍<U+202E>"


def test_a_known_key_is_not_shown() -> None:
    remember_secret("sk-canary-4417")
    assert show_safely("no: Bearer sk-canary-4417\x07") == "no: Bearer [key]␇"


def test_what_is_pasted_keeps_its_joiners() -> None:
    text = "می\u200cخو 👨\u200d👩\u200d👧"
    assert clean_paste(text) == text
    assert mark_controls("a\x1bb") == "a␛b"
