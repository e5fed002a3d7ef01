"""What a service says, as it becomes part of our messages."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import pytest

from engines.base import EngineError
from engines.keys import Secret
from engines.remote import TEXT_LIMIT, clean_text, explain_certificates, find_target

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


@pytest.mark.parametrize(("port", "is_one"), [(0, False), (1, True), (65535, True), (65536, False)])
def test_a_port_is_a_number_up_to_65535(port: int, is_one: bool) -> None:
    with contextlib.nullcontext() if is_one else pytest.raises(EngineError, match="1 to 65535"):
        assert find_target(f"127.0.0.1:{port}").address == f"127.0.0.1:{port}"


def test_certificates_that_cannot_be_read_are_named_with_the_reason() -> None:
    why = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/ca.pem")
    error = explain_certificates(Path("/ca.pem"), why, "stability")
    assert error.message == (
        "The certificates in /ca.pem cannot be read: No such file or directory."
    )
