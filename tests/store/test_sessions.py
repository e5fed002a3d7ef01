from __future__ import annotations

import threading
import time
from pathlib import Path

import msgspec
import pytest

from store import migrations, sessions
from store.database import Database
from store.errors import NotFound, StoreError
from store.records import Draft, DraftPrompt, Session
from tests.store.helpers import execute
from tests.waiting import wait_until

DRAFT = Draft(
    prompts=(DraftPrompt(text="half a sent"), DraftPrompt(text="", weight=-1.0, enabled=False)),
    seed=12,
    seed_locked=True,
    pending={"steps": "4x"},
    place={"focus": "prompts", "row": 1, "is_open": True, "selected": None},
)


def test_a_new_session_has_an_empty_draft_and_is_the_last(db: Database) -> None:
    assert sessions.last_session_name(db) is None
    assert sessions.load_session(db, "evening").draft == Draft()
    assert sessions.last_session_name(db) == "evening"


def test_a_draft_comes_back_to_the_character(db: Database) -> None:
    sessions.save_draft(db, "evening", DRAFT)
    assert sessions.load_session(db, "evening").draft == DRAFT
    with Database.open(db.directory) as other:
        assert sessions.load_session(other, "evening").draft == DRAFT


def test_the_session_used_last_comes_first(db: Database) -> None:
    for name in ("one", "two", "three"):
        sessions.save_draft(db, name, DRAFT)
    sessions.load_session(db, "one")
    assert sessions.last_session_name(db) == "one"
    assert [session.name for session in sessions.list_sessions(db)] == ["one", "three", "two"]


def store_raw(db: Database, text: str) -> None:
    sessions.load_session(db, "evening")
    execute(db.directory, "UPDATE session SET draft = ?", text)


def test_fields_of_a_later_program_cost_nothing_and_survive(db: Database) -> None:
    values = {**msgspec.to_builtins(DRAFT), "mood": {"blue": 1}}
    store_raw(db, msgspec.json.encode(values).decode())
    assert sessions.load_session(db, "evening").draft == DRAFT
    sessions.save_draft(db, "evening", msgspec.structs.replace(DRAFT, images=3))
    [(stored,)] = execute(db.directory, "SELECT draft FROM session")
    assert msgspec.json.decode(stored)["mood"] == {"blue": 1}
    assert sessions.load_session(db, "evening").draft.images == 3


def test_a_field_that_cannot_be_read_costs_only_itself(db: Database) -> None:
    values = {**msgspec.to_builtins(DRAFT), "steps": "many", "pending": [1]}
    store_raw(db, msgspec.json.encode(values).decode())
    draft = sessions.load_session(db, "evening").draft
    assert draft == msgspec.structs.replace(DRAFT, steps=None, pending={})


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}"])
def test_a_draft_of_which_nothing_is_left_is_empty(db: Database, text: str) -> None:
    store_raw(db, text)
    assert sessions.load_session(db, "evening").draft == Draft()
    assert [session.draft for session in sessions.list_sessions(db)] == [Draft()]


def test_half_a_character_does_not_stop_the_rest_from_being_kept(db: Database) -> None:
    draft = msgspec.structs.replace(DRAFT, prompts=(DraftPrompt(text="broken \ud83d paste"),))
    sessions.save_draft(db, "evening", draft)
    again = sessions.load_session(db, "evening").draft
    assert again.prompts[0].text == "broken ? paste"
    assert again.seed == 12


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[2J", "x" * 101])
def test_a_name_can_be_shown(db: Database, name: str) -> None:
    with pytest.raises(StoreError, match="name of a session"):
        sessions.load_session(db, name)
    with pytest.raises(StoreError, match="name of a session"):
        sessions.save_draft(db, name, DRAFT)


def test_the_writer_writes_the_newest_draft_and_skips_what_it_overtakes(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_writing, may_go_on = threading.Event(), threading.Event()
    written: list[str] = []
    save_draft = sessions.save_draft

    def save(database: Database, name: str, draft: Draft) -> None:
        is_writing.set()
        assert may_go_on.wait(10)
        written.append(draft.prompts[0].text)
        save_draft(database, name, draft)

    monkeypatch.setattr(sessions, "save_draft", save)
    writer = sessions.DraftWriter(db)
    for text in ("r", "re", "red", "red barn"):
        writer.write("evening", Draft(prompts=(DraftPrompt(text=text),)))
        assert is_writing.wait(10)
    may_go_on.set()
    writer.close()
    assert written == ["r", "red barn"]
    assert writer.error is None
    assert sessions.load_session(db, "evening").draft.prompts[0].text == "red barn"


def test_a_draft_that_was_not_written_is_told_and_the_next_one_is_written(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One write that fails ends neither the writer nor what other sessions have in it."""
    refused: set[str] = {"evening"}
    save_draft = sessions.save_draft

    def save(database: Database, name: str, draft: Draft) -> None:
        if name in refused:
            raise StoreError("The disk is full.")
        save_draft(database, name, draft)

    monkeypatch.setattr(sessions, "save_draft", save)
    writer = sessions.DraftWriter(db)
    writer.write("evening", DRAFT)
    wait_until(lambda: writer.error, "the word that it was not written")
    assert str(writer.error) == "The disk is full."
    writer.write("morning", DRAFT)
    wait_until(lambda: sessions.last_session_name(db) == "morning", "the other session")
    refused.clear()
    writer.write("evening", DRAFT)
    writer.close()
    assert writer.error is None
    assert sessions.load_session(db, "evening").draft == DRAFT
    assert sessions.load_session(db, "morning").draft == DRAFT


def test_what_is_pending_at_the_end_is_written_before_it_ends(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_writing, may_go_on = threading.Event(), threading.Event()
    save_draft = sessions.save_draft

    def save(database: Database, name: str, draft: Draft) -> None:
        is_writing.set()
        assert may_go_on.wait(10)
        save_draft(database, name, draft)

    monkeypatch.setattr(sessions, "save_draft", save)
    writer = sessions.DraftWriter(db)
    writer.write("evening", Draft())
    assert is_writing.wait(10)
    for name in ("evening", "morning"):
        writer.write(name, DRAFT)
    threading.Timer(0.05, may_go_on.set).start()
    writer.close()
    for name in ("evening", "morning"):
        assert sessions.load_session(db, name).draft == DRAFT


def test_a_write_that_fails_at_the_end_is_told(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(sessions, "save_draft", refuse)
    writer = sessions.DraftWriter(db)
    writer.write("evening", DRAFT)
    writer.close()
    assert str(writer.error) == "The disk is full."


def test_a_history_for_reading_only_has_its_sessions(db: Database, directory: Path) -> None:
    sessions.save_draft(db, "evening", DRAFT)
    execute(directory, f"PRAGMA user_version = {migrations.VERSION + 1}")
    execute(
        directory,
        "UPDATE meta SET value = ? WHERE key = 'schema_version'",
        str(migrations.VERSION + 1),
    )
    with Database.open(directory) as reader:
        assert reader.is_read_only
        assert sessions.load_session(reader, "evening").draft == DRAFT
        assert sessions.load_session(reader, "new") == Session(
            name="new", draft=Draft(), updated_at=0.0
        )
        assert [session.name for session in sessions.list_sessions(reader)] == ["evening"]


def test_a_session_says_when_it_was_changed_last(db: Database) -> None:
    before = time.time()
    sessions.save_draft(db, "evening", DRAFT)
    first = sessions.load_session(db, "evening").updated_at
    assert before <= first <= time.time()
    assert sessions.load_session(db, "evening").updated_at == first, "looking is no change"
    new = sessions.load_session(db, "new").updated_at
    assert first <= new <= time.time()


@pytest.mark.parametrize("name", ["a", "x" * 100, "東京 at night"])
def test_names_that_can_be_shown_are_taken(db: Database, name: str) -> None:
    sessions.save_draft(db, name, DRAFT)
    assert sessions.last_session_name(db) == name


def write_text(db: Database, writer: sessions.DraftWriter, text: str, line: int = 1) -> None:
    """Hand over a draft, and wait until it was written."""
    writer.write("main", Draft(prompts=(DraftPrompt(text=text),), place={"line": line}))
    seen = text.replace("\ud83d", "?")
    wait_until(lambda: seen in read_texts(db).values(), what="the draft to be written")


def read_texts(db: Database) -> dict[str, str]:
    return {each.name: each.draft.prompts[0].text for each in sessions.list_sessions(db)}


def test_two_that_write_to_one_session_each_keep_their_text(db: Database) -> None:
    first, second = sessions.DraftWriter(db), sessions.DraftWriter(db)
    third = sessions.DraftWriter(db)
    for writer in (first, second, third):
        writer.load("main")
    write_text(db, first, "words of a")
    second.write("main", Draft(place={"line": 3}))  # the cursor was moved, nothing was typed
    write_text(db, second, "words of b")
    write_text(db, first, "words of a!")
    write_text(db, third, "words of c")
    write_text(db, second, "words of b!")
    kept = {"main": "words of a!", "main 2": "words of b!", "main 3": "words of c"}
    assert read_texts(db) == kept
    assert [writer.find_place("main") for writer in (first, second, third)] == list(kept)
    # Somebody may have opened the session of its own since.
    fourth = sessions.DraftWriter(db)
    fourth.write("main 2", fourth.load("main 2").draft)
    fourth.write("main 2", Draft(prompts=(DraftPrompt(text="words of d"),)))
    wait_until(lambda: "words of d" in read_texts(db).values(), what="the fourth's draft")
    write_text(db, second, "words of b!!")
    kept |= {"main 2": "words of d", "main 4": "words of b!!"}
    assert read_texts(db) == kept
    fourth.close()
    # Who opens it again goes on with what is there.
    assert second.load("main").draft.prompts[0].text == "words of a!"
    write_text(db, second, "b goes on")
    assert read_texts(db) == {**kept, "main": "b goes on"}
    for writer in (first, second, third):
        writer.close()
        assert writer.error is None


def test_what_both_have_is_no_quarrel(db: Database) -> None:
    first, second = sessions.DraftWriter(db), sessions.DraftWriter(db)
    for writer in (first, second):
        writer.load("main")
    for text in ("same", "same \ud83d half"):
        write_text(db, first, text, 1)
        write_text(db, first, text, 2)
    assert read_texts(db) == {"main": "same ? half"}
    second.load("main")
    write_text(db, second, "same ? half", 5)
    write_text(db, second, "goes on")
    assert read_texts(db) == {"main": "goes on"}
    for writer in (first, second):
        writer.close()


def test_a_session_is_made_with_a_draft_and_under_a_name_that_is_free(db: Database) -> None:
    assert sessions.make_session(db, "evening", DRAFT).draft == DRAFT
    assert sessions.load_session(db, "evening").draft == DRAFT
    with pytest.raises(StoreError, match="There is a session 'evening' already"):
        sessions.make_session(db, "evening", Draft())
    with pytest.raises(StoreError, match="cannot be the name of a session"):
        sessions.make_session(db, " ", Draft())


def test_a_session_gets_another_name_and_keeps_all_else(db: Database) -> None:
    sessions.save_draft(db, "evening", DRAFT)
    sessions.make_session(db, "morning", Draft())
    sessions.rename_session(db, "evening", "night")
    assert {row.name: row.draft for row in sessions.list_sessions(db)} == {
        "morning": Draft(),
        "night": DRAFT,
    }
    sessions.rename_session(db, "night", "night")
    with pytest.raises(StoreError, match="already"):
        sessions.rename_session(db, "night", "morning")
    with pytest.raises(NotFound, match="'evening'"):
        sessions.rename_session(db, "evening", "noon")


def test_an_archived_session_stands_last_and_is_not_the_one_to_begin_with(db: Database) -> None:
    for name in ("one", "two", "three"):
        sessions.save_draft(db, name, DRAFT)
    sessions.archive_session(db, "three", True)
    assert [(row.name, row.is_archived) for row in sessions.list_sessions(db)] == [
        ("two", False),
        ("one", False),
        ("three", True),
    ]
    assert sessions.last_session_name(db) == "two"
    sessions.rename_session(db, "three", "four")
    assert sessions.list_sessions(db)[-1].name == "four"
    assert sessions.list_sessions(db)[-1].is_archived
    sessions.archive_session(db, "four", False)
    assert sessions.last_session_name(db) == "four"
    with pytest.raises(NotFound):
        sessions.archive_session(db, "five", True)


def test_what_was_written_since_a_glance_is_not_written_over(db: Database) -> None:
    sessions.save_draft(db, "main", Draft(prompts=(DraftPrompt(text="seen"),)))
    seen = sessions.load_session(db, "main").draft
    sessions.save_draft(db, "main", Draft(prompts=(DraftPrompt(text="theirs"),)))
    writer = sessions.DraftWriter(db)
    writer.load("main")
    writer.expect("main", seen)
    writer.write("main", Draft(prompts=(DraftPrompt(text="seen, and more"),)))
    writer.close()
    found = {session.name: session.draft.prompts[0].text for session in sessions.list_sessions(db)}
    assert found == {"main": "theirs", "main 2": "seen, and more"}


def test_a_draft_of_a_session_that_was_renamed_elsewhere_does_not_take_its_old_name(
    db: Database,
) -> None:
    writer = sessions.DraftWriter(db)
    writer.load("evening")
    sessions.rename_session(db, "evening", "night")
    writer.write("evening", DRAFT)
    writer.close()
    assert writer.find_place("evening") == "evening 2"
    found = {row.name: row.draft for row in sessions.list_sessions(db)}
    assert found == {"night": Draft(), "evening 2": DRAFT}
