"""The search field: errors at their place, completion, hints, orders of the list."""

from __future__ import annotations

import pytest

from store.records import Image
from store.search import NEWEST_FIRST, Sort, SortKey
from tests.factories import make_request
from tests.screens import read_screen, wait_in_app
from tests.tui.history.opening import NARROW, make_history, open_history
from tests.tui.host import press
from tests.tui.memory_darkroom import MemoryDarkroom
from tui.history import list as lists
from tui.history.pages import HistoryPages
from tui.history.search import SearchField, TermSuggester, describe_sort, next_sort


async def test_what_is_wrong_is_marked_below_it_and_the_list_stays() -> None:
    darkroom = make_history(3)
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "slash")
        screen.query_one(SearchField).value = "night smapler:k"
        await wait_in_app(pilot, lambda: "no key" in read_screen(pilot.app), "what is wrong")
        lines = read_screen(pilot.app).split("\n")
        [row] = [place for place, line in enumerate(lines) if "night smapler:k" in line]
        start = lines[row].index("smapler:")
        assert lines[row + 1][start : start + 8] == "^" * 8
        assert "There is no key 'smapler:'. Did you mean sampler:?" in lines[row + 1]
        assert len(screen.history_list.pages) == 3
        await press(pilot, "enter")
        assert screen.query_one(SearchField).has_focus
        await press(pilot, "end", *["backspace"] * 10)
        await wait_in_app(pilot, lambda: "^" not in read_screen(pilot.app), "no mark")
        await press(pilot, "enter")
        assert screen.history_list.has_focus


@pytest.mark.exhaustive
async def test_a_narrow_terminal_says_what_is_wrong_too() -> None:
    async with open_history(make_history(1), NARROW) as (pilot, _):
        await press(pilot, "slash", *"night sky castle mountain river since:nonsense")
        assert "since" in read_screen(pilot.app)
        await wait_in_app(
            pilot, lambda: "'nonsense' is no day and no time" in read_screen(pilot.app), "the words"
        )


async def test_advice_that_has_no_room_is_left_out_whole() -> None:
    async with open_history(make_history(1), (60, 40)) as (pilot, _):
        await press(pilot, "slash", *"sede:5")
        await wait_in_app(pilot, lambda: "Did you mean seed:?" in read_screen(pilot.app), "advice")
        assert "Put it" not in read_screen(pilot.app)


@pytest.mark.exhaustive
async def test_the_line_below_says_what_can_be_typed() -> None:
    async with open_history(make_history(1)) as (pilot, _):
        await press(pilot, "slash")
        await wait_in_app(pilot, lambda: "engine:" in read_screen(pilot.app), "the keys")
        await press(pilot, *"verdict:d")
        await wait_in_app(
            pilot, lambda: "identical, drifted, different" in read_screen(pilot.app), "the words"
        )


@pytest.mark.parametrize("is_at_rest", [False, True])
async def test_the_record_waits_until_nothing_more_is_typed(
    monkeypatch: pytest.MonkeyPatch, is_at_rest: bool
) -> None:
    monkeypatch.setattr(lists, "_REST_SECONDS", 0.0 if is_at_rest else 1000.0)
    darkroom = MemoryDarkroom()
    found, newest = (darkroom.add_image(make_request(text)) for text in ("a boat", "a castle"))
    asked: list[str] = []
    check = darkroom.check_image

    async def note(reference: str) -> Image:
        asked.append(reference)
        return await check(reference)

    monkeypatch.setattr(darkroom, "check_image", note)
    async with open_history(darkroom) as (pilot, screen):
        await wait_in_app(pilot, lambda: newest.id in asked, "the record of the newest")
        asked.clear()
        await press(pilot, "slash", *"boat")
        await wait_in_app(pilot, lambda: "1 image found" in read_screen(pilot.app), "what is found")
        assert screen.image == found
        assert "a boat" in read_screen(pilot.app)
        if is_at_rest:
            await wait_in_app(pilot, lambda: found.id in asked, "its record")
        else:
            assert asked == []


async def test_keys_and_values_are_completed() -> None:
    darkroom = MemoryDarkroom()
    darkroom.add_image(session="towns")
    darkroom.add_image(session="my hills")
    complete = TermSuggester(darkroom).get_suggestion
    for typed, whole in (
        ("night ver", "night verdict:"),
        ("-ta", "-tag:"),
        ("verdict:di", "verdict:different"),
        ("since:y", "since:yesterday"),
        ("is:f", "is:favourite"),
        ("session:to", "session:towns"),
        ('session:"my', 'session:"my hills"'),
        ("session:my", None),
        ("night ", None),
        ("s", None),
        ("steps:3", None),
        ("nokey:x", None),
    ):
        assert await complete(typed) == whole, typed
    async with open_history(darkroom) as (pilot, screen):
        await press(pilot, "slash", *"sess")
        field = screen.query_one(SearchField)
        await wait_in_app(pilot, lambda: field._suggestion == "session:", "the rest of the key")
        await press(pilot, "right")
        assert field.value == "session:"


@pytest.mark.exhaustive
async def test_the_list_is_sorted_by_a_key_and_says_so() -> None:
    darkroom = MemoryDarkroom()
    for text, seed in (("castle", 3), ("apple", 1), ("bridge", 2)):
        darkroom.add_image(make_request(text, seed=seed))
    async with open_history(darkroom) as (pilot, screen):

        def pages() -> HistoryPages:
            return screen.history_list.pages

        assert list(pages().numbers) == [3, 2, 1]
        await press(pilot, "S", "S")
        await wait_in_app(pilot, lambda: pages().sort == Sort(SortKey.SEED), "by seed")
        assert list(pages().numbers) == [2, 3, 1]
        assert "history, lowest seed first" in read_screen(pilot.app)
        await press(pilot, "R")
        await wait_in_app(pilot, lambda: pages().sort.is_reversed, "turned round")
        assert list(pages().numbers) == [1, 3, 2]
        assert "history, highest seed first" in read_screen(pilot.app)
        darkroom.add_image(make_request("door", seed=9))
        await wait_in_app(pilot, lambda: list(pages().numbers) == [4, 1, 3, 2], "the new one")
        await press(pilot, "slash", *"sort:prompt")
        await wait_in_app(pilot, lambda: list(pages().numbers) == [2, 3, 1, 4], "by prompt")
        await press(pilot, "enter", "S")
        assert "The search names the order" in read_screen(pilot.app)
        await press(pilot, "escape")
        await wait_in_app(pilot, lambda: pages().sort.key is SortKey.SEED, "as it was")


def test_the_orders_go_round() -> None:
    sort, seen = NEWEST_FIRST, []
    for _ in SortKey:
        sort = next_sort(sort)
        seen.append(describe_sort(sort))
    assert sort == NEWEST_FIRST
    assert len(set(seen)) == len(SortKey)
