"""What is shown is visible and holds no key."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from rich.segment import ControlType, Segment
from textual.color import Color

from store.known_secrets import remember_secret
from tests.factories import make_request
from tui.terminal.filter import ControlFilter
from tui.text import clean_paste, mark_controls, shorten_middle, show_first_prompt, show_safely

BLACK = Color(0, 0, 0)

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


def test_every_c0_control_has_its_own_picture() -> None:
    for code in range(0x20):
        assert show_safely(f"a{chr(code)}b") == f"a{chr(0x2400 + code)}b"
    assert show_safely("a\x7fb") == "a\u2421b"


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0x80, 0x9F),
        (0x200B, 0x200F),
        (0x202A, 0x202E),
        (0x2060, 0x2069),
        (0xFEFF, 0xFEFF),
        (0xD800, 0xDFFF),
    ],
    ids=["C1", "zero width", "embedding", "isolates", "byte order", "halves"],
)
def test_what_would_show_nothing_or_turn_the_line_is_spelled_out(first: int, last: int) -> None:
    for code in {first, first + 1, (first + last) // 2, last - 1, last} & {*range(first, last + 1)}:
        assert show_safely(f"a{chr(code)}b") == f"a<U+{code:04X}>b"
        assert show_safely(f"a{chr(code)}b", lines=True) == f"a<U+{code:04X}>b"


@pytest.mark.parametrize("text", [" !~", "\xa0\xa1", "\u200a", "\u2010", "\u202f", "äß漢字🌃"])
def test_the_neighbours_stay(text: str) -> None:
    assert show_safely(text) == show_safely(text, lines=True) == mark_controls(text) == text


def test_lines_and_tabs_stay_only_where_they_may() -> None:
    assert show_safely("a\n\tb\rc") == "a␊␉b␍c"
    assert show_safely("a\n\tb\rc", lines=True) == "a\n\tb␍c"
    assert show_safely("a\x08\x0b\x0cb", lines=True) == "a␈␋␌b"


def test_in_text_that_is_edited_each_sign_stands_for_one() -> None:
    text = "a\x00\x1b\x7f\x80\x9f\ud800\udfff\n\tb"
    shown = mark_controls(text)
    assert len(shown) == len(text)
    assert shown == "a␀␛␡\ufffd\ufffd\ufffd\ufffd\n\tb"


def test_what_was_pasted_shows_its_controls_and_keeps_its_lines() -> None:
    assert clean_paste("one\r\ntwo\x1b[2J") == "one\ntwo␛[2J"


@pytest.mark.parametrize(
    ("length", "shown"),
    [(10, "0123456789"), (11, "0123456789"), (9, "0123…6789"), (8, "012…6789"), (3, "0…9")],
)
def test_a_name_that_is_too_long_keeps_both_ends(length: int, shown: str) -> None:
    assert shorten_middle("0123456789", length) == shown
    assert len(shown) <= length


def test_the_first_prompt_is_one_line() -> None:
    assert (
        show_first_prompt(make_request("a  barn\n at\u202e night", "fog::-1"))
        == "a barn at<U+202E> night"
    )


# The last gate before the terminal


def write(*segments: Segment, has_pictures: bool = True) -> list[tuple[str, bool]]:
    made = ControlFilter(has_pictures).apply(list(segments), BLACK)
    return [(segment.text, segment.control is not None) for segment in made]


@pytest.mark.parametrize("code", [0x00, 0x07, 0x1B, 0x1F, 0x7F, 0x80, 0x9B, 0x9F])
def test_no_control_goes_out(code: int) -> None:
    [(text, _)] = write(Segment(f"ab{chr(code)}"), Segment(""))[:1]
    assert chr(code) not in text
    [(text, _)] = write(Segment(f"ab{chr(code)}"), has_pictures=False)
    assert text in ("ab", "ab?"), "cut to the cells that it had"


@pytest.mark.parametrize("code", [0x20, 0x7E, 0xA0, 0xA1, 0x2400])
def test_what_is_no_control_goes_out_as_it_is(code: int) -> None:
    text = f"ab{chr(code)}c\u3000"  # not all of it is printable, so it is looked at closely
    assert write(Segment(text)) == [(text, False)]


def test_what_the_program_itself_tells_the_terminal_goes_out_as_it_is() -> None:
    home = Segment("\x1b[H", None, [(ControlType.HOME,)])
    assert write(home, Segment("a\x1b[2Jb"))[0] == ("\x1b[H", True)


def test_a_line_never_grows_into_what_stands_beside_it() -> None:
    made = write(Segment("a\x1b\x1b"), Segment("bc"))
    assert "".join(text for text, _ in made) == "a␛␛"


def test_a_line_without_controls_is_the_same_list() -> None:
    segments = [Segment("plain"), Segment("text")]
    assert ControlFilter().apply(segments, BLACK) is segments
