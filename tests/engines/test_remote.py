"""What a service says, as it becomes part of our messages."""

from __future__ import annotations

import pytest

from engines.keys import Secret
from engines.remote import TEXT_LIMIT, clean_text

KEY = "sk-CANARYc4n4ry0123456789abcdef"


def test_a_text_is_one_visible_line_and_no_longer_than_the_limit() -> None:
    assert clean_text("a\r\n\tb\x1b[2J\u202e\u2028c\U000e0041") == "a b?[2J? c?"
    assert clean_text("x" * TEXT_LIMIT) == "x" * TEXT_LIMIT
    assert clean_text("x" * (TEXT_LIMIT + 1)) == "x" * (TEXT_LIMIT - 1) + "…"
    assert clean_text("abc " * 10**6, 10) == "abc abc a…"


@pytest.mark.parametrize("before", [0, 280, 290, 299, 1190, 1199, 1200])
@pytest.mark.parametrize("sign", ["x ", " ", "-"])
def test_no_half_of_a_key_is_left_where_a_text_is_cut(before: int, sign: str) -> None:
    Secret(KEY)
    said = clean_text(sign * (before // len(sign)) + KEY + " and more" * 1000)
    assert not any(KEY[:size] in said for size in range(6, len(KEY)))
    assert len(said) <= TEXT_LIMIT


def test_a_short_key_of_a_server_of_ones_own_is_taken_out_of_its_words() -> None:
    Secret("cat")
    assert (
        clean_text("Bearer cat is wrong; concatenate it.")
        == "Bearer [key] is wrong; concatenate it."
    )
