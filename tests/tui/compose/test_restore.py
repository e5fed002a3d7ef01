"""Quit, crash or close the lid: the next start finds everything, to the character."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from textual import events

from store.errors import StoreError
from store.records import Draft, DraftPrompt, Session
from tests.screens import join_lines, read_screen
from tests.tui.desk_darkroom import DeskDarkroom, make_app, with_place
from tests.tui.pilot import read_message, running
from tests.waiting import wait_for
from tui.compose.editors import PromptEditor, ValueInput

TWO = with_place(
    Draft(prompts=(DraftPrompt(text="night sky"), DraftPrompt(text="fog", weight=-0.5)), seed=5)
)


async def test_a_half_written_prompt_opens_at_its_cursor(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, TWO)
    async with running(darkroom) as (_, pilot):
        await pilot.press("down", "enter", *" bank", "left", "left")
        left = darkroom.draft
    async with running(darkroom) as (app, pilot):
        assert app.compose_screen.is_typing
        assert isinstance(app.focused, PromptEditor)
        assert app.focused.text == "fog bank"
        await pilot.press(*"ra")
        assert darkroom.draft.prompts[1].text == "fog barank"
        assert left.prompts[1].text == "fog bank"


@pytest.mark.parametrize(
    ("keys", "typed"),
    [
        (["down", "equals_sign", "end", "backspace", "7"], "-0.7"),
        (["tab", "down", "1", "2"], "12"),
        (["tab", "down", "down", "down", "down", *"19"], "19"),
    ],
)
@pytest.mark.samples(1)
async def test_a_half_typed_value_stays_open(tmp_path: Path, keys: list[str], typed: str) -> None:
    darkroom = DeskDarkroom(tmp_path, TWO)
    async with running(darkroom) as (_, pilot):
        await pilot.press(*keys)
        pending = darkroom.draft.pending
    async with running(darkroom) as (app, pilot):
        assert isinstance(app.focused, ValueInput)
        assert app.focused.value == typed
        assert darkroom.draft.pending == pending
        await pilot.press("escape")
        assert darkroom.draft.pending == {}


async def test_every_change_is_written_before_the_next_key(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, TWO)
    async with running(darkroom) as (_, pilot):
        await pilot.press("a")
        for index, letter in enumerate("lake"):
            await pilot.press(letter)
            assert darkroom.draft.prompts[1].text == "lake"[: index + 1]


async def test_reopening_changes_nothing(tmp_path: Path) -> None:
    draft = msgspec.structs.replace(
        TWO,
        seed_locked=True,
        previous_seeds=(3, 4),
        steps=33,
        cfg_scale=6.5,
        sampler="ddim",
        width=192,
        height=128,
        style_preset="anime",
        images=4,
        model="r0",
        parent_id="ab" * 16,
        place={"part": "parameters", "row": 1, "field": "cfg"},
    )
    darkroom = DeskDarkroom(tmp_path, draft)
    async with running(darkroom) as (app, _):
        assert app.compose_screen.draft == draft
        assert app.compose_screen.get_part() == "parameters"


async def test_keys_pressed_while_the_history_opens_take_effect_afterwards(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, TWO)
    darkroom.gate = asyncio.Event()
    app = make_app(darkroom)
    async with app.run_test() as pilot:
        await pilot.press("down", "right", "enter", *"gy")
        assert darkroom.saved == []
        darkroom.gate.set()
        await wait_for(lambda: app.compose_screen.is_ready, "the session")
        await wait_for(lambda: darkroom.draft.prompts[1].text == "foggy", "the keys")
        assert darkroom.draft.prompts[1].weight == -0.4


class GlancedDarkroom(DeskDarkroom):
    """Its draft is seen before it is open, and nothing is written before that."""

    def __init__(self, directory: Path, draft: Draft) -> None:
        super().__init__(directory, draft)
        self.gate = asyncio.Event()
        self.expected: list[Draft] = []

    async def glance_at_session(self, name: str | None = None) -> Session:
        return Session(name=name or "main", draft=self.sessions["main"], updated_at=0)

    def save_draft(self, name: str, draft: Draft) -> None:
        if self.is_open:
            super().save_draft(name, draft)

    def expect_draft(self, name: str, draft: Draft) -> None:
        self.expected.append(draft)


HALF_WRITTEN = with_place(TWO, row=1, typing="text", line=0, column=3)


async def test_text_goes_where_it_was_left_while_the_history_opens(tmp_path: Path) -> None:
    darkroom = GlancedDarkroom(tmp_path, HALF_WRITTEN)
    app = make_app(darkroom)
    async with app.run_test() as pilot:
        await wait_for(lambda: app.compose_screen.is_typing, "the editor")
        await pilot.press(*"gy")
        assert app.compose_screen.draft.prompts[1].text == "foggy"
        assert "foggy" in read_screen(app)
        assert not app.compose_screen.is_ready
        # What sends waits.
        app.post_message(events.Key("ctrl+j", None))
        await pilot.pause()
        assert (darkroom.sent, darkroom.saved) == ([], [])
        assert darkroom.gate is not None
        darkroom.gate.set()
        await wait_for(lambda: darkroom.sent, "the job")
        assert darkroom.sent[0].prompts[1].text == "foggy"
        assert darkroom.draft.prompts[1].text == "foggy"
        assert darkroom.expected == []


@pytest.mark.parametrize("typed", ["", "gy"])
async def test_a_session_that_somebody_else_changed_meanwhile_loses_nothing(
    tmp_path: Path, typed: str
) -> None:
    darkroom = GlancedDarkroom(tmp_path, HALF_WRITTEN)
    app = make_app(darkroom)
    async with app.run_test() as pilot:
        await wait_for(lambda: app.compose_screen.is_typing, "the editor")
        await pilot.press(*typed)
        theirs = msgspec.structs.replace(
            HALF_WRITTEN, prompts=(DraftPrompt(text="a harbour"), DraftPrompt(text="masts"))
        )
        darkroom.sessions["main"] = theirs
        assert darkroom.gate is not None
        darkroom.gate.set()
        await wait_for(lambda: app.compose_screen.is_ready, "the session")
        if typed:
            assert app.compose_screen.draft.prompts[1].text == "foggy"
            # What writes drafts knows by that what ours may be written over, and keeps both.
            assert darkroom.expected == [HALF_WRITTEN]
        else:
            assert app.compose_screen.draft.prompts == theirs.prompts
            assert darkroom.expected == []


async def test_a_history_that_cannot_be_opened_is_told_over_what_was_seen_of_it(
    tmp_path: Path,
) -> None:
    darkroom = GlancedDarkroom(tmp_path, HALF_WRITTEN)
    darkroom.open_error = StoreError("The history is damaged.", "Look at it.")
    app = make_app(darkroom)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for(lambda: app.compose_screen.is_typing, "the editor")
        assert darkroom.gate is not None
        darkroom.gate.set()
        await wait_for(lambda: "is damaged" in join_lines(read_screen(app)), "the reason")
        await pilot.press(*"gy")
        assert app.compose_screen.draft.prompts[1].text == "foggy"
        assert "history not open" in read_screen(app)
        darkroom.open_error = None
        await pilot.press("escape", "o")
        await wait_for(lambda: darkroom.saved, "the history")
        assert darkroom.draft.prompts[1].text == "foggy"


async def test_the_key_that_sends_waits_for_the_history_and_no_letter_is_lost(
    tmp_path: Path,
) -> None:
    darkroom = DeskDarkroom(tmp_path / "none")
    darkroom.gate = asyncio.Event()
    app = make_app(darkroom)
    async with app.run_test() as pilot:
        await wait_for(lambda: app.compose_screen.is_typing, "the editor")
        for key in [*"a cat", "ctrl+j", "a", *"dusk"]:
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await wait_for(lambda: "a cat" in read_screen(app), "the text")
        assert darkroom.sent == []
        darkroom.gate.set()
        await wait_for(lambda: darkroom.sent, "the job")
        assert [prompt.text for prompt in darkroom.sent[0].prompts] == ["a cat"]
        await wait_for(lambda: len(darkroom.draft.prompts) == 2, "the second prompt")
        await wait_for(lambda: darkroom.draft.prompts[1].text == "dusk", "its letters")
        await pilot.pause()
        assert read_message(app) == ""


@pytest.mark.exhaustive
async def test_keys_in_one_burst_do_what_they_would_one_by_one(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, TWO)
    async with running(darkroom) as (app, _):
        keys = ["a", *"dusk", "enter", "right", "down", "d", "equals_sign", *"1", "escape", "D"]
        for key in keys:
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        wanted = [("night sky", 1.0), ("dusk", 1.1), ("dusk", 1.1)]
        await wait_for(
            lambda: [(row.text, row.weight) for row in darkroom.draft.prompts] == wanted,
            "what the keys say",
        )


async def test_the_key_that_sends_never_overtakes_what_is_typed(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, TWO)
    async with running(darkroom) as (app, _):
        for key in ["a", *"dusk", "ctrl+j", "equals_sign", "0", "ctrl+j", "a", *"dawn", "f5"]:
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await wait_for(lambda: len(darkroom.sent) == 3, "three jobs")
        sent = [[(row.text, row.weight) for row in draft.prompts[1:-1]] for draft in darkroom.sent]
        assert sent == [
            [("dusk", 1.0)],
            [("dusk", 0.0)],
            [("dusk", 0.0), ("dawn", 1.0)],
        ]


async def test_a_first_launch_takes_text_before_the_history_is_there(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path / "none")
    darkroom.gate = asyncio.Event()
    app = make_app(darkroom)
    async with app.run_test() as pilot:
        await pilot.press(*"a ca")
        await pilot.pause()
        assert "a ca" in read_screen(app)
        darkroom.gate.set()
        await wait_for(lambda: app.compose_screen.is_ready, "the session")
        await pilot.press("t")
        await wait_for(lambda: darkroom.draft.prompts[0].text == "a cat", "the text")
        assert len(darkroom.draft.prompts) == 1


async def test_a_history_that_does_not_open_is_explained_in_place(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path / "none")
    darkroom.open_error = StoreError(
        "The history was written by a newer program.", "Update Safelight."
    )
    async with running(darkroom) as (app, pilot):
        await wait_for(lambda: "newer program" in join_lines(read_screen(app)), "the error")
        assert "Update Safelight." in join_lines(read_screen(app))
        await pilot.press(*"still typing", "escape")
        assert app.compose_screen.draft.prompts[0].text == "still typing"
        await pilot.press("ctrl+j")
        assert "newer program" in read_message(app)
        darkroom.open_error = None
        await pilot.press("o")
        await wait_for(lambda: "main" in darkroom.sessions and darkroom.saved, "the history")
        assert darkroom.draft.prompts[0].text == "still typing"


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_quitting_closes_the_darkroom(tmp_path: Path, key: str) -> None:
    darkroom = DeskDarkroom(tmp_path, TWO)
    async with running(darkroom) as (app, pilot):
        await pilot.press(key)
        await wait_for(lambda: darkroom.is_closed, "the end")
    assert app.return_code == 0
    assert darkroom.draft.prompts == TWO.prompts


async def test_a_session_that_was_not_there_says_so_and_names_the_others(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path, Draft(prompts=(DraftPrompt(text="night sky"),)))
    app = make_app(darkroom, session="nihgt")
    async with app.run_test():
        await wait_for(lambda: read_message(app), "what is said")
        assert read_message(app) == "The session 'nihgt' is empty. There are main."


async def test_opening_a_session_once_more_doubles_nothing_that_was_typed(tmp_path: Path) -> None:
    darkroom = DeskDarkroom(tmp_path / "none", TWO)
    darkroom.gate = asyncio.Event()
    app = make_app(darkroom)
    async with app.run_test() as pilot:
        await wait_for(lambda: app.compose_screen.is_typing, "the editor")
        await pilot.press(*"dusk")
        assert darkroom.saved == [], "nothing is written over what was not read yet"
        assert darkroom.draft == TWO
        darkroom.gate.set()
        await wait_for(lambda: app.compose_screen.is_ready, "the session")
        texts = ["night sky", "fog", "dusk"]
        assert [prompt.text for prompt in darkroom.draft.prompts] == texts
        await app.compose_screen.restore(await darkroom.load_session("main"))
        assert [prompt.text for prompt in darkroom.draft.prompts] == texts
        other = msgspec.structs.replace(TWO, prompts=(DraftPrompt(text="a barn"),))
        darkroom.sessions["other"] = other
        await app.compose_screen.restore(await darkroom.load_session("other"))
        await pilot.press("down", "a", *"x")
        assert [prompt.text for prompt in darkroom.sessions["other"].prompts] == ["a barn", "x"]
        assert [prompt.text for prompt in darkroom.sessions["main"].prompts] == texts
