"""What the embedded model reads of a prompt, told without loading the model."""

from __future__ import annotations

import subprocess
import sys

import pytest

from engines.base import TokenizedPrompt
from engines.builtin.vocabulary import Vocabulary
from engines.registry import EngineRegistry
from engines.settings import Settings

WORDS = Vocabulary(["", "night", "sky", "castle", "fox"], length=4)


def read_words(text: str) -> tuple[list[str], str | None]:
    """The unknown words of `text` as they stand there, and the part that is not read."""
    reading = WORDS.read_places(text)
    words = [text[start:end] for start, end in reading.unknown]
    return words, None if reading.kept is None else text[reading.kept :]


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("night sky", []),
        ("Night Skies", ["Skies"]),
        ("the castles' foxes", []),
        ("a quokka, in the night", ["quokka"]),
        ("İstanbul night", ["stanbul"]),
        ("", []),
    ],
)
def test_unknown_words_are_found_where_they_stand(text: str, unknown: list[str]) -> None:
    assert read_words(text)[0] == unknown


def test_what_the_model_has_no_room_for_begins_after_the_last_word_that_it_reads() -> None:
    assert read_words("night sky castle") == ([], None)
    assert read_words("night quokka sky castle, fox") == (["quokka"], ", fox")
    assert WORDS.read_places("night sky castle", suffix="fox").kept == len("night sky")
    assert WORDS.read("night sky castle fox").ignored == ("fox",)


def test_the_registry_tells_it_for_the_embedded_model_only() -> None:
    registry = EngineRegistry(Settings())
    text = "night sky above a brxzlt"
    (place,) = registry.tokenize("builtin", text).unknown
    assert text[slice(*place)] == "brxzlt"
    assert registry.tokenize("stability", text) == TokenizedPrompt()


def test_reading_prompts_loads_no_numbers() -> None:
    code = (
        "import sys; from engines.builtin.vocabulary import tokenize; tokenize('fog');"
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
