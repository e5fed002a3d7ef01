"""Tokens as CLIP counts them, and where the border is of what falls off."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.tokens import MERGES, NEAR, SPECIAL_TOKENS, clean, count_tokens, find_tokens
from tests.engines.merges import COUNT
from tests.engines.prompt_texts import make_texts

COUNTS = Path(__file__).with_name("token_counts.json")
"""The counts of another program with the same vocabulary (instant-clip-tokenizer 0.1.1), for the
texts that `make_texts` makes once they are cleaned."""

MERGES_SHA256 = "d308b7377a8ceaa9707a21614fe8c831b9196e197b7aeb69833359362907af02"

JAPANESE = (
    "夜空に浮かぶ美しい日本の町、アニメ風、高精細、星空、雲、月明かり、静かな川、桜の木、提灯、" * 3
)
CHINESE = "城堡在山上，月光，湖水，" * 12
THAI = "ท้องฟ้ายามค่ำคืน" * 8
URL = "https://example.com/" + "a1b2" * 60
FAMILY = "👩‍👩‍👧‍👦" * 30


def test_the_vocabulary_is_clips_own() -> None:
    merges = gzip.decompress(MERGES.read_bytes())
    assert hashlib.sha256(merges).hexdigest() == MERGES_SHA256
    assert merges.count(b"\n") == COUNT
    assert len(MERGES.read_bytes()) < 220_000


def test_thousands_of_texts_count_as_they_always_did() -> None:
    counts = json.loads(COUNTS.read_text())
    texts = make_texts(len(counts), "kept")
    assert [len(find_tokens(clean(text))) for text in texts] == counts
    assert len(counts) == 2000


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 2),
        (" \n\t", 2),
        ("beautiful night sky above a japanese town, anime style", 12),
        ("Photo of a CAT", 6),
        ("it's", 4),
    ],
)
def test_start_and_end_count(text: str, count: int) -> None:
    assert count_tokens(text).count == count
    assert count_tokens(text).kept == text


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("the knight’s “last” stand", 'the knight\'s "last" stand'),
        ("ＦＵＬＬ　ＷＩＤＴＨ　１２３", "full width 123"),
        ("ｶﾀｶﾅ", "カタカナ"),
        (
            unicodedata.normalize("NFD", "crème brûlée, Ångström, 가구, が"),
            "crème brûlée, ångström, 가구, が",
        ),
        ("salt &amp; pepper", "salt & pepper"),
        ("salt &amp;amp; pepper", "salt & pepper"),
        ("<b>a &lt; b</b>", "<b>a < b</b>"),
        ("cafÃ© au lait", "café au lait"),
        ("ﬁne ﬂower", "fine flower"),
        ("a\u00a0town\u3000at\u2003night\r\nnow", "a town at night now"),
        ("  A   TOWN  ", "a town"),
        ("bell\x07", "bell"),
    ],
)
def test_a_text_is_cleaned_as_clip_does_it(typed: str, read: str) -> None:
    assert clean(typed) == read
    assert count_tokens(typed).count == count_tokens(read).count


@pytest.mark.parametrize("text", [JAPANESE, CHINESE, THAI, URL, FAMILY, "x" * 2000, "！？" * 90])
def test_of_a_text_without_spaces_is_kept_what_77_tokens_hold(text: str) -> None:
    found = count_tokens(text)
    assert found.is_over
    assert found.kept + found.dropped == text
    assert 70 <= count_tokens(found.kept).count <= 77


def test_no_character_is_cut() -> None:
    assert count_tokens(FAMILY).kept.endswith("👦")
    assert count_tokens(THAI).dropped[0] not in "่้ืั"
    letters = unicodedata.normalize("NFD", "é") * 200
    assert count_tokens(letters).kept.endswith("\u0301")


def test_the_border_is_between_words_where_spaces_are_near() -> None:
    words = ["harbour"] * 72 + ["extraordinarily", "incomprehensibility", "notwithstanding"] * 3
    found = count_tokens(" ".join(words))
    kept = found.kept.split(" ")
    assert words[: len(kept)] == kept
    assert found.dropped.startswith(" ")
    assert 70 <= count_tokens(found.kept).count <= 77


def test_what_follows_the_last_space_is_cut_where_it_is_long() -> None:
    found = count_tokens(f"a photo of {URL}")
    assert found.kept.startswith("a photo of https://example.com/a1b2")
    assert len(found.kept.split()[-1]) > NEAR
    assert count_tokens(f"一つの町　{JAPANESE}").kept.startswith("一つの町　夜空に浮かぶ")


def test_the_border_is_found_behind_what_cleaning_changed() -> None:
    found = count_tokens("“ＴＯＷＮ”　&amp;　" * 40)
    assert found.is_over
    assert 70 <= count_tokens(found.kept).count <= 77
    assert found.dropped[0] == "\u3000" or found.kept.endswith("\u3000")


@given(st.text(max_size=400), st.integers(2, 40))
@settings(max_examples=200, deadline=None)
def test_nothing_is_lost_and_what_is_kept_fits(text: str, limit: int) -> None:
    found = count_tokens(text, limit)
    assert found.kept + found.dropped == text
    assert found.count == count_tokens(text, 10_000).count >= SPECIAL_TOKENS
    assert found.is_over == (found.count > limit)
    if found.is_over:
        assert count_tokens(found.kept, limit).count <= limit


def test_the_vocabulary_is_read_when_the_first_text_is_counted() -> None:
    code = "import sys, engines.tokens, tui.cli, tui.app\n"
    code += "assert not {'tokenizers', 'ftfy'} & set(sys.modules)\n"
    code += "print(engines.tokens.count_tokens('a town').count)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "4\n"
