"""A secret that was read is found in every form in which a service can repeat it."""

from __future__ import annotations

import base64
import html
import json
import quopri
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import known_secrets
from store.known_secrets import conceal, conceal_bytes, remember_secret

KEY = 'sk-CANARY/4417+"\\=%&z'
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "bearer": lambda key: f"Bearer {key}",
    "in capitals": str.upper,
    "in JSON": json.dumps,
    "in JSON in JSON": lambda key: json.dumps(json.dumps(key)),
    "JSON escapes": lambda key: "".join(f"\\u{ord(sign):04x}" for sign in key),
    "a slash in JSON": lambda key: json.dumps(key).replace("/", "\\/"),
    "in a URL": lambda key: urllib.parse.quote(key, safe=""),
    "in a URL in a URL": lambda key: urllib.parse.quote(urllib.parse.quote(key, safe="")),
    "all percent": lambda key: "".join(f"%{ord(sign):02x}" for sign in key),
    "HTML": lambda key: "".join(f"&#{ord(sign)};" for sign in key),
    "HTML, hexadecimal": lambda key: "".join(f"&#x{ord(sign):X};" for sign in key),
    "Python": lambda key: repr(key.encode() + b"\xff"),
    "octal": lambda key: "".join(f"\\{ord(sign):03o}" for sign in key),
    "quoted-printable": lambda key: "".join(f"={ord(sign):02X}" for sign in key),
    "hexadecimal": lambda key: key.encode().hex(),
    "capital hexadecimal": lambda key: key.encode().hex().upper(),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_is_taken_out(name: str) -> None:
    remember_secret(KEY)
    said = f"Wrong key ({SPELLINGS[name](KEY)}), ask us."
    shown = conceal(said)
    assert "[key]" in shown
    assert shown.startswith("Wrong key (")
    assert shown.endswith("), ask us.")
    left = shown.replace("Wrong key", "").replace("[key]", "").replace("ask us", "")
    assert not any(part in left.lower() for part in ("sk", "canary", "4417", "u006b", "%6b"))
    masked = conceal_bytes(said.encode())
    assert len(masked) == len(said.encode())
    assert masked.startswith(b"Wrong key (")
    assert masked.endswith(b"), ask us.")
    assert b"**********" in masked


def wrap(text: str, end: str, width: int = 19) -> str:
    return end.join(text[begin : begin + width] for begin in range(0, len(text), width))


LINES: dict[str, Callable[[str], str]] = {
    "MIME": lambda key: wrap(base64.b64encode(f"me:{key}".encode()).decode(), "\r\n"),
    "MIME in JSON": lambda key: json.dumps(wrap(base64.b64encode(key.encode()).decode(), "\r\n")),
    "base64 of a header that goes on": lambda key: wrap(
        base64.urlsafe_b64encode(key.encode()).decode(), "\n \t"
    ),
    "quoted-printable": lambda key: wrap(
        quopri.encodestring(key.encode()).decode().removesuffix("="), "=\r\n", 6
    ),
    "hexadecimal": lambda key: wrap(key.encode().hex(), "\n"),
    "as it is": lambda key: wrap(key, "\n", 7),
}


@pytest.mark.parametrize("name", LINES)
def test_lines_that_end_inside_a_secret_do_not_hide_it(name: str) -> None:
    remember_secret(KEY)
    said = f"Wrong key.\r\nIt was:\n({LINES[name](KEY)}),\nask us."
    shown = conceal(said)
    for left in ("Wrong key.\r\nIt was:\n(", "[key]", "),\nask us."):
        assert left in shown
    # Of base64, up to three characters before and behind are left.
    assert len(shown) <= len("Wrong key.\r\nIt was:\n([key]),\nask us.") + 8
    masked = conceal_bytes(said.encode())
    assert len(masked) == len(said.encode())
    assert masked.startswith(b"Wrong key.\r\nIt was:\n(")
    assert masked.endswith(b"),\nask us.")
    assert masked.count(b"*") >= len(KEY)


def test_lines_around_a_secret_stay_lines() -> None:
    remember_secret(KEY)
    assert conceal(f"one\n{KEY}\ntwo\n{KEY}\n\nthree") == "one\n[key]\ntwo\n[key]\n\nthree"


@pytest.mark.parametrize("before", ["", "u:", "us:", "user:", "somebody:"])
@pytest.mark.parametrize("after", ["", ":", "::", " and more"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_with_anything_around_is_taken_out(
    before: str, after: str, encode: Callable[[bytes], bytes]
) -> None:
    remember_secret(KEY)
    said = encode(f"{before}{KEY}{after}".encode()).decode()
    left = conceal(f"Basic {said}").removeprefix("Basic ").split("[key]")
    assert len(left) == 2
    # What is left is what stands beside it: of the secret itself less than one character.
    assert len(left[0]) * 6 <= len(before) * 8 + 5
    assert len(left[1].rstrip("=")) * 6 <= len(after) * 8 + 5
    assert KEY.encode() not in base64.b64decode(conceal_bytes(said.encode()).replace(b"*", b"A"))


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=16, max_size=64))
def test_any_key_is_taken_out_of_json_and_addresses(key: str) -> None:
    known_secrets._known.clear()
    remember_secret(key)
    assert conceal(json.dumps({"said": f"Bearer {key}"})) == '{"said": "Bearer [key]"}'
    address = "https://example.org/?key=" + urllib.parse.quote(key, safe="")
    assert key not in urllib.parse.unquote(conceal(address))


def test_what_holds_no_secret_stays_the_same_to_the_byte() -> None:
    remember_secret(KEY)
    text = "50 % of a \\ lighthouse = 1 &#65; sk-CANAR"
    data = bytes(range(256)) * 64
    assert conceal(text) == text
    assert conceal_bytes(data) is data or conceal_bytes(data) == data


@pytest.mark.parametrize("key", ["any", "hunter2", "safelight", "stability"])
def test_a_key_that_is_a_word_is_taken_only_out_of_what_a_service_says(key: str) -> None:
    remember_secret(key)
    ours = f"{key} makes many {key}s in /home/{key}/images"
    assert conceal(ours) == ours
    assert conceal_bytes(ours.encode()) == ours.encode()
    said = conceal(f"Incorrect key: {key}. Try m{key}y.", is_of_service=True)
    assert said == f"Incorrect key: [key]. Try m{key}y."


@pytest.mark.parametrize(
    "key", ["sk-\udcff-1234567", "ключ-1234-ключ", "sk 12345678\n", "\ud800" * 20]
)
def test_what_can_be_no_key_is_not_shown_either(key: str) -> None:
    remember_secret(key)
    assert conceal(f"no: {key}!") == "no: [key]!"
    assert conceal_bytes(b"no: %41!") == b"no: %41!"


def test_a_very_long_key_is_known_too() -> None:
    key = "".join(chr(0x21 + place * 7 % 94) for place in range(4096))
    remember_secret(key)
    assert conceal(f"no: {key}!") == "no: [key]!"


@pytest.mark.parametrize(
    "spell", [str.upper, urllib.parse.quote, lambda key: key.replace("/", "\\/")]
)
def test_a_long_key_leaves_nothing_of_itself_in_any_spelling(spell: Callable[[str], str]) -> None:
    key = "sk-" + "aB3/" * 60 + "+x/y=="
    remember_secret(key)
    assert conceal(f'{{"no": "{spell(key)}"}}') == '{"no": "[key]"}'
    assert b"3" not in conceal_bytes(f'{{"no": "{spell(key)}"}}'.encode())


def test_names_of_characters_in_html_are_spellings_too() -> None:
    key = "sk-ab&cd<ef\"gh'1234>x"
    remember_secret(key)
    said = f"<p>{html.escape(key)}</p>"
    assert conceal(said) == "<p>[key]</p>"
    assert conceal_bytes(said.encode()) == b"<p>" + b"*" * len(html.escape(key)) + b"</p>"


def test_text_that_looks_like_the_beginning_of_a_spelling_costs_no_time_worth_the_name() -> None:
    remember_secret("\\" * 20)
    remember_secret("sk-" + "\\" * 40 + "n" + "\\" * 9)
    remember_secret("%25" * 10)
    for sign in ("\\", "%25", "&#x0", "=5c"):
        conceal(sign * 20_000)
        conceal_bytes(sign.encode() * 20_000)
