"""Images of other programs in the history."""

from __future__ import annotations

import functools
from pathlib import Path

from textual import events
from textual.widgets import Input

from tests.screens import join_lines, read_screen, wait_in_app
from tests.store.metadata.dialect_files import A1111, make_png
from tests.tui.history.opening import make_history, open_history, wait_for_record
from tests.tui.host import press
from tui.dialogs import PathScreen


async def test_a_file_is_imported_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(make_png([("parameters", A1111 + ", Clip skip: 2")]))
    (tmp_path / "bare.png").write_bytes(make_png([]))
    darkroom = make_history(2)
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "I")
        await wait_in_app(pilot, lambda: isinstance(pilot.app.screen, PathScreen), "the question")
        field = pilot.app.screen.query_one(Input)
        field.value = f"{tmp_path}/bare.png"
        await press(pilot, "enter")
        said = functools.partial(lambda: "no metadata" in join_lines(read_screen(pilot.app)))
        await wait_in_app(pilot, said, "the reason")
        field.value = f"{tmp_path}/cat.png"
        await press(pilot, "enter")
        await wait_in_app(pilot, lambda: len(darkroom.images) == 3, "the image")
        image = darkroom.images[-1]
        await wait_in_app(pilot, lambda: pilot.app.screen is screen, "the history")
        await press(pilot, "home")
        await wait_for_record(pilot, screen, image.id)
        record = " ".join(screen.record.text.split())
        assert "imported A1111, partial: some of it is not in the request" in record
        assert "unread Clip skip: 2" in record
        assert "lineage imported from cat.png" in record
        assert "a1111" in read_screen(pilot.app)


async def test_what_is_not_known_is_not_shown_as_a_number(tmp_path: Path) -> None:
    darkroom = make_history(1)
    data = make_png([("Description", "a quiet harbour")])
    image = (await darkroom.import_image(data, "harbour.png")).image
    async with open_history(darkroom) as (pilot, screen):
        await wait_for_record(pilot, screen, image.id)
        record = " ".join(screen.record.text.split())
        for name in ("seed", "steps", "cfg", "sampler", "size"):
            assert f"{name} not known" in record
        assert "seed -" in join_lines(read_screen(pilot.app))


async def test_a_file_that_is_dropped_stands_in_the_question(tmp_path: Path) -> None:
    path = tmp_path / "a cat.png"
    path.write_bytes(make_png([("parameters", A1111)]))
    darkroom = make_history(1)
    async with open_history(darkroom) as (pilot, _):
        pilot.app.post_message(events.Paste(f"'{path}'"))
        await wait_in_app(pilot, lambda: isinstance(pilot.app.screen, PathScreen), "the question")
        assert pilot.app.screen.query_one(Input).value == str(path)
        await press(pilot, "enter")
        await wait_in_app(pilot, lambda: len(darkroom.images) == 2, "the image")
