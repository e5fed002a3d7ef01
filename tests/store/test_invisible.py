"""One rule, by Unicode category, says which characters are never shown raw."""

from __future__ import annotations

import sys
import unicodedata

from store.invisible import ACTING, INVISIBLE, INVISIBLE_IN_BLOCK, escape_line

CATEGORIES = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def test_the_rule_is_that_of_the_categories() -> None:
    named = {code for code in range(sys.maxunicode + 1) if INVISIBLE.match(chr(code))}
    wanted = {
        code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in CATEGORIES
    }
    assert wanted <= named
    # Newer versions of Unicode have more of them than this Python knows.
    assert {unicodedata.category(chr(code)) for code in named - wanted} <= {"Cn"}


def test_lines_and_joiners_stay_where_they_belong() -> None:
    text = "a\n\tb\r\x1b\u2028\u061c\U000e0041\ue000\ud800c"
    assert INVISIBLE_IN_BLOCK.sub("", text) == "a\n\tbc"
    assert (
        ACTING.sub("", "می\u200cخو 👨\u200d👩 \ue000\u202e\u200e") == "می\u200cخو 👨\u200d👩 \ue000"
    )


def test_a_line_is_one_line_of_visible_characters() -> None:
    assert escape_line("a\r\nb\x1b[2J\u202e\U000e0041\udcff é") == (
        "a\\r\\nb\\x1b[2J\\u202e\\U000e0041\\udcff é"
    )
