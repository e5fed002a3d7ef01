"""The stack as a text: what is written is read back, and what is wrong is told with its line."""

from __future__ import annotations

import pytest

from store.errors import RequestError
from store.limits import PROMPT_LIMIT
from store.records import DraftPrompt
from tui.compose.stack_text import read_stack, write_stack


@pytest.mark.parametrize(
    "prompts",
    [
        (DraftPrompt(text="night sky"), DraftPrompt(text="clouds", weight=-1.0)),
        (DraftPrompt(text="two\nlines\n\nand a gap", weight=0.75, enabled=False),),
        (DraftPrompt(text="[1.0]\n# no comment\n\\[off]\n[a cat]"), DraftPrompt(text="#x")),
        (DraftPrompt(text=""),),
        (DraftPrompt(text="夜空 ::2", weight=-10.0),),
    ],
)
def test_what_is_written_is_read_back(prompts: tuple[DraftPrompt, ...]) -> None:
    assert read_stack(write_stack(prompts)) == prompts


def test_a_weight_is_read_as_people_write_it() -> None:
    text = "[+1]\na\n[ -0.5 ]\nb\n[off]\nc\n[off 2]\r\nd\n"
    assert [(p.text, p.weight, p.enabled) for p in read_stack(text)] == [
        ("a", 1.0, True),
        ("b", -0.5, True),
        ("c", 1.0, False),
        ("d", 2.0, False),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There is no prompt."),
        ("night sky", "Line 1: 'night sky' stands before the first weight."),
        ("[1]\na\n[11]\nb", "Line 3: "),
        ("[1]\na\n" * (PROMPT_LIMIT + 1), f"these are more than {PROMPT_LIMIT} prompts"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(RequestError) as raised:
        read_stack(text)
    assert said in str(raised.value)
