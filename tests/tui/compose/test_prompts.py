"""The prompt stack as a person uses it: keys in, the written draft out."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from engines.tokens import count_tokens
from store.records import Draft, DraftPrompt
from tests.repeats import keep
from tests.screens import join_lines, read_screen
from tests.tui.desk_darkroom import DeskDarkroom, with_place
from tests.tui.pilot import make_key, press_key, read_message, running
from tests.waiting import wait_for
from tui.app import SafelightApp
from tui.compose.editors import PromptEditor
from tui.compose.prompts import PromptStack

THREE = with_place(
    Draft(
        prompts=(
            DraftPrompt(text="night sky"),
            DraftPrompt(text="clouds", weight=-1.0),
            DraftPrompt(text="fireworks", enabled=False),
        ),
        seed=5,
    )
)


def texts(draft: Draft) -> list[str]:
    return [prompt.text for prompt in draft.prompts]


async def test_the_first_launch_is_ready_to_type_and_shows_an_example(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path / "none")
    async with running(darkroom) as (app, pilot):
        assert app.compose_screen.is_typing
        assert "japanese town" in read_screen(app)
        await pilot.press(*"a cat", "ctrl+j")
        await wait_for(lambda: darkroom.sent, "the job")
        assert texts(darkroom.sent[0]) == ["a cat"]
        assert texts(darkroom.draft) == ["a cat"]


async def test_add_edit_and_leave_write_every_character(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, THREE)
    async with running(darkroom) as (app, pilot):
        await pilot.press("a", *"fog")
        assert texts(darkroom.draft) == ["night sky", "fog", "clouds", "fireworks"]
        assert "typing" in read_screen(app)
        await pilot.press("enter")
        assert not app.compose_screen.is_typing
        await pilot.press("enter", *" bank", "escape")
        assert texts(darkroom.draft)[1] == "fog bank"
        assert "moving" in read_screen(app)


@pytest.mark.exhaustive
async def test_a_long_text_keeps_its_lines_from_the_first_key_on(tmp_path: Path) -> None:
    """An arrow key goes where it would once the field has the height of its lines."""
    text = "K1uJkl7Jau7+jq0+d-y==0jqKdujq+a 1hK7q"
    long = with_place(Draft(prompts=(DraftPrompt(text=text),)))
    async with running(DeskDarkroom(tmp_path, long)) as (app, pilot):
        places = []
        for pause in (False, True):
            await press_key(app, make_key("enter"))
            if pause:
                await wait_for(lambda: app.focused and app.focused.size.height == 2, "both lines")
                await pilot.pause()
            await press_key(app, make_key("up"))
            assert isinstance(app.focused, PromptEditor)
            places.append(app.focused.cursor_location)
            await pilot.press("enter")
        assert places[0] == places[1]


async def test_a_prompt_that_was_added_and_left_empty_goes_away(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, THREE)
    async with running(darkroom) as (_, pilot):
        await pilot.press("a", "escape")
        assert darkroom.draft.prompts == THREE.prompts


async def test_remove_and_undo(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, THREE)
    async with running(darkroom) as (app, pilot):
        await pilot.press("down", "d", "d")
        assert texts(darkroom.draft) == ["night sky"]
        await pilot.press("u")
        assert texts(darkroom.draft) == ["night sky", "fireworks"]
        await pilot.press("u")
        assert darkroom.draft.prompts == THREE.prompts
        await pilot.press("u")
        assert "nothing to undo" in read_message(app)


async def test_reorder_duplicate_and_switch(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, THREE)
    async with running(darkroom) as (_, pilot):
        await pilot.press("J", "J")
        assert texts(darkroom.draft) == ["clouds", "fireworks", "night sky"]
        await pilot.press("K", "space", "D")
        assert texts(darkroom.draft) == ["clouds", "night sky", "night sky", "fireworks"]
        assert [prompt.enabled for prompt in darkroom.draft.prompts] == [True, False, False, False]


async def test_weights_step_in_tenths_and_show_their_sign(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, THREE)
    async with running(darkroom) as (app, pilot):
        await pilot.press("right", "right", "plus", "left")
        assert darkroom.draft.prompts[0].weight == 1.2
        shown = read_screen(app)
        assert "+1.2" in shown
        assert "−1.0" in shown
        assert "off" in shown
        await pilot.press("u")
        assert darkroom.draft.prompts[0].weight == 1.0


async def test_bars_tell_more_from_less_without_colour(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, THREE)
    async with running(darkroom) as (app, _):
        more, less, off = (
            next(line for line in read_screen(app).splitlines() if word in line)
            for word in ("night sky", "clouds", "fireworks")
        )
        left, right = more[more.index("▕") : more.index("▏")].split("│")
        assert "█" in right
        assert "█" not in left
        left, right = less[less.index("▕") : less.index("▏")].split("│")
        assert "█" in left
        assert "█" not in right
        assert "█" not in off


async def test_typing_after_the_equals_sign_replaces_the_weight(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, THREE)
    async with running(darkroom) as (_, pilot):
        await pilot.press("equals_sign", "minus", *"1.5", "enter")
        assert darkroom.draft.prompts[0].weight == -1.5
        await pilot.press("equals_sign", "right", "backspace", "7", "enter")
        assert darkroom.draft.prompts[0].weight == -1.7


@pytest.mark.parametrize(
    "wrong", keep(["11", "abc", "-10.5", "1e", "nan"], {"11", "nan"}.__contains__)
)
@pytest.mark.samples(1)
async def test_a_wrong_weight_is_explained_and_not_accepted(tmp_path: Path, wrong: str) -> None:
    darkroom = DeskDarkroom(tmp_path, THREE)
    async with running(darkroom) as (app, pilot):
        await pilot.press("equals_sign", *wrong, "enter")
        assert app.compose_screen.is_typing
        await pilot.pause()
        assert "from -10 to 10" in join_lines(read_screen(app))
        assert darkroom.draft.prompts[0].weight == 1.0
        assert darkroom.draft.pending == {"prompts.0.weight": wrong}
        await pilot.press("ctrl+j")
        assert darkroom.sent == []
        await pilot.press("escape")
        assert darkroom.draft.prompts == THREE.prompts
        assert darkroom.draft.pending == {}


async def test_a_digit_begins_a_new_weight(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, THREE)
    async with running(darkroom) as (app, pilot):
        await pilot.press("down", "0", *".35", "enter")
        assert darkroom.draft.prompts[1].weight == 0.35
        assert not app.compose_screen.is_typing
        assert "+0.35" in read_screen(app)


async def test_words_beyond_the_limit_are_counted_and_struck(tmp_path: Path) -> None:
    words = " ".join(["harbour"] * 80)
    draft = with_place(Draft(prompts=(DraftPrompt(text=words),), seed=5))
    async with running(DeskDarkroom(tmp_path, draft)) as (app, _):
        await wait_for(lambda: "fall off" in read_screen(app), "the count")
        assert "82/77" in read_screen(app)
        assert "5 words fall off after 77 tokens" in read_screen(app)


@pytest.mark.exhaustive
async def test_a_text_without_spaces_is_struck_where_its_tokens_end(tmp_path: Path) -> None:
    text = "城堡在山上，月光，湖水，" * 12
    draft = with_place(Draft(prompts=(DraftPrompt(text=text),), seed=5))
    async with running(DeskDarkroom(tmp_path, draft)) as (app, _):
        await wait_for(lambda: "fall off" in read_screen(app), "the count")
        kept = count_tokens(text).kept
        assert kept
        assert f"{len(text) - len(kept)} characters fall off after 77 tokens" in read_screen(app)


async def test_a_paste_keeps_its_control_characters_visible_and_harmless(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, THREE)
    async with running(darkroom) as (app, pilot):
        await pilot.press("a")
        app.post_message(events.Paste("x\x1b]52;c;aGk=\x07y\r\nz"))
        await wait_for(lambda: len(texts(darkroom.draft)[1]) > 1, "the paste")
        assert texts(darkroom.draft)[1] == "x␛]52;c;aGk=␇y\nz"


@pytest.mark.exhaustive
async def test_sixty_four_prompts_are_the_most(tmp_path: Path) -> None:
    draft = with_place(Draft(prompts=(DraftPrompt(text="x"),) * 64, seed=5))
    darkroom = DeskDarkroom(tmp_path, draft)
    async with running(darkroom) as (app, pilot):
        await pilot.press("a")
        assert len(darkroom.draft.prompts) == 64
        assert "full" in read_message(app)
        await pilot.press("end")
        stack = app.compose_screen.query_one(PromptStack)
        await wait_for(
            lambda: stack.rows[63].region.bottom <= stack.region.bottom, "the last row in sight"
        )


async def paste(app: SafelightApp, text: str) -> None:
    count = app.key_queue.taken
    app.post_message(events.Paste(text))
    await wait_for(lambda: app.key_queue.taken > count and app.key_queue.is_idle, "the paste")


def weights(draft: Draft) -> list[tuple[str, float]]:
    return [(prompt.text, prompt.weight) for prompt in draft.prompts]


@pytest.mark.parametrize("key", ["enter", "escape", "tab"])
@pytest.mark.samples(1)
async def test_several_prompts_in_one_text_become_rows(tmp_path: Path, key: str) -> None:
    darkroom = DeskDarkroom(tmp_path, THREE)
    async with running(darkroom) as (app, pilot):
        await pilot.press("a")
        await paste(app, "a cat::2 fog::-1")
        await pilot.press(key)
        rows = weights(darkroom.draft)
        assert rows[:3] == [("night sky", 1), ("a cat", 2), ("fog", -1)]
        assert "Read as 2 prompts" in read_message(app)
        if key != "tab":
            await pilot.press("u")
            assert weights(darkroom.draft)[1] == ("a cat::2 fog::-1", 1)
            assert "'::' is part of this text" in join_lines(read_screen(app))
            await pilot.press("ctrl+j")
            await wait_for(lambda: darkroom.sent, "the job")
            assert weights(darkroom.sent[0])[1] == ("a cat::2 fog::-1", 1)


async def test_a_weight_behind_a_typed_text_is_its_weight(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path)
    async with running(darkroom) as (_, pilot):
        await pilot.press(*"sky::1.5", "ctrl+j")
        await wait_for(lambda: darkroom.sent, "the job")
        assert weights(darkroom.sent[0]) == [("sky", 1.5)]
        await pilot.press("enter", "escape")
        assert weights(darkroom.draft) == [("sky", 1.5)]


async def test_a_text_that_is_not_clear_is_explained_and_may_stay(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path)
    async with running(darkroom) as (app, pilot):
        await pilot.press(*"hot:: dog", "ctrl+j")
        assert app.compose_screen.is_typing
        assert darkroom.sent == []
        shown = join_lines(read_screen(app))
        assert "No weight stands after the '::' in 'hot:: dog'." in shown
        await pilot.press("escape")
        assert "The text stays as it is" in read_message(app)
        await pilot.press("ctrl+j")
        await wait_for(lambda: darkroom.sent, "the job")
        assert weights(darkroom.sent[0]) == [("hot:: dog", 1)]


async def test_a_text_that_was_not_touched_is_not_read_again(tmp_path: Path) -> None:
    draft = with_place(Draft(prompts=(DraftPrompt(text="A::2 B"),), seed=5))
    darkroom = DeskDarkroom(tmp_path, draft)
    async with running(darkroom) as (_, pilot):
        await pilot.press("enter", "enter")
        assert weights(darkroom.draft) == [("A::2 B", 1)]


@pytest.mark.exhaustive
async def test_more_prompts_than_the_stack_takes_stay_one_text(tmp_path: Path) -> None:
    draft = with_place(Draft(prompts=(DraftPrompt(text="x"),) * 63, seed=5))
    darkroom = DeskDarkroom(tmp_path, draft)
    async with running(darkroom) as (app, pilot):
        await pilot.press("a")
        await paste(app, "a::1 b::1")
        await pilot.press("enter")
        assert app.compose_screen.is_typing
        assert "64 are the most" in join_lines(read_screen(app))
        assert len(darkroom.draft.prompts) == 64


async def test_half_a_character_of_a_paste_is_shown_and_harmless(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path)
    async with running(darkroom) as (app, _):
        await paste(app, "a\ud83db\u2028c")
        assert texts(darkroom.draft) == ["a\ufffdb\nc"]
