"""Earlier prompts, walked with up and down and searched."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import OptionList

from store.records import Draft, DraftPrompt
from tests.factories import make_request
from tests.screens import read_screen
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import read_message, running
from tests.waiting import wait_for
from tui.app import SafelightApp
from tui.compose import earlier
from tui.compose.earlier import SHOWN, EarlierScreen, EarlierTexts, search_texts

START = with_place(Draft(prompts=(DraftPrompt(text="first"), DraftPrompt(text="second")), seed=5))


def make_darkroom(tmp_path: Path) -> DeskDarkroom:
    darkroom = DeskDarkroom(tmp_path, START)
    darkroom.add_image(make_request("harbour at dawn", seed=1))
    darkroom.add_image(make_request("lighthouse", "fog::-1", seed=2))
    darkroom.add_image(make_request("two\nlines::2", "first", seed=3))
    return darkroom


def read_text(darkroom: DeskDarkroom) -> str:
    return darkroom.draft.prompts[0].text


async def test_up_goes_back_and_down_returns_to_what_was_typed(tmp_path: Path) -> None:
    darkroom = make_darkroom(tmp_path)
    async with running(darkroom) as (app, pilot):
        await pilot.press("enter", *" draft", "up")
        assert read_text(darkroom) == "two\nlines"
        await pilot.press("up")
        assert read_text(darkroom) == "two\nlines", "the cursor went to the first line only"
        await pilot.press("up")
        assert read_text(darkroom) == "first"
        await pilot.press("up", "up", "up")
        assert read_text(darkroom) == "harbour at dawn"
        await pilot.press("up")
        assert read_message(app) == "There is no earlier prompt."
        await pilot.press(*["down"] * 6)
        assert read_text(darkroom) == "first draft"
        await pilot.press("down", "x", "escape")
        assert read_text(darkroom) == "first draftx"


async def test_what_was_changed_is_kept_as_what_is_typed(tmp_path: Path) -> None:
    darkroom = make_darkroom(tmp_path)
    async with running(darkroom) as (_, pilot):
        await pilot.press("enter", "up", "up", "up")
        assert read_text(darkroom) == "lighthouse"
        await pilot.press(*" keeper", "up", "down")
        assert read_text(darkroom) == "lighthouse keeper"
        await pilot.press("escape", "u")
        assert read_text(darkroom) == "first"


async def test_a_recalled_text_is_none_whose_colons_are_a_weight(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, START)
    request = make_request("a::2::1")
    assert request.stack.prompts[0].text == "a::2"
    darkroom.add_image(request)
    async with running(darkroom) as (_, pilot):
        await pilot.press("enter", "up", "enter")
        assert darkroom.draft.prompts[0] == DraftPrompt(text="a::2")


async def open_search(app: SafelightApp) -> EarlierScreen:
    await wait_for(lambda: isinstance(app.screen, EarlierScreen), "the search")
    screen = app.screen
    assert isinstance(screen, EarlierScreen)
    await wait_for(lambda: "3 images" in read_screen(app), "what was read")
    return screen


@pytest.mark.parametrize("size", [(60, 40), (80, 24), (120, 40)])
@pytest.mark.samples(1)
async def test_an_earlier_prompt_is_found_by_words_or_letters(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    darkroom = make_darkroom(tmp_path)
    async with running(darkroom, size) as (app, pilot):
        await pilot.press("down", "ctrl+r")
        screen = await open_search(app)
        assert "5 prompts of 3 images" in read_screen(app)
        await pilot.press(*"hrbd")
        shown = screen.query_one(OptionList)
        await wait_for(lambda: shown.option_count == 1, "what was found")
        await pilot.press("enter")
        await wait_for(lambda: app.screen is app.compose_screen, "the editor")
        texts = [prompt.text for prompt in darkroom.draft.prompts]
        assert texts == ["first", "harbour at dawn"]
        await pilot.press("u")
        assert [prompt.text for prompt in darkroom.draft.prompts] == ["first", "second"]
        await pilot.press("ctrl+r")
        await open_search(app)
        await pilot.press(*"zzz")
        await wait_for(lambda: "Nothing found" in read_screen(app), "the answer")
        await pilot.press("enter", "escape")
        assert app.screen is app.compose_screen


@pytest.mark.exhaustive
async def test_it_is_searched_for_while_typing_too(tmp_path: Path) -> None:
    darkroom = make_darkroom(tmp_path)
    async with running(darkroom) as (app, pilot):
        await pilot.press("enter", "ctrl+r")
        await open_search(app)
        await pilot.press(*"house", "enter")
        await wait_for(lambda: app.screen is app.compose_screen, "the editor")
        await wait_for(lambda: read_text(darkroom) == "lighthouse", "the text")
        assert app.compose_screen.is_typing
        await pilot.press(*"s", "escape")
        assert read_text(darkroom) == "lighthouses"


async def test_only_so_much_is_kept_of_a_long_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(earlier, "FIRST_PAGE", 2)
    monkeypatch.setattr(earlier, "PAGE", 3)
    monkeypatch.setattr(earlier, "TEXTS_MAXIMUM", 6)
    darkroom = DeskDarkroom(tmp_path, START)
    for seed in range(1, 21):
        darkroom.add_image(make_request(f"prompt {seed}", seed=seed), data=b"x")
    texts = EarlierTexts(darkroom)
    assert await texts.get(0) == "prompt 20"
    assert len(texts) == 2
    assert await texts.get(99) is None
    assert (texts.images, texts.is_whole) == (8, True)


def test_words_come_before_letters_and_newer_before_older() -> None:
    texts = ["a blue house", "night", "Lighthouse at Night", "his own use"]
    assert search_texts(texts, "house") == ["a blue house", "Lighthouse at Night", "his own use"]
    assert search_texts(texts, "night light") == ["Lighthouse at Night"]
    assert search_texts(texts, "  ") == texts
    assert search_texts(texts, "xq") == []
    many = [f"text {number}" for number in range(3 * SHOWN)]
    assert search_texts(many, "text") == many[:SHOWN]
