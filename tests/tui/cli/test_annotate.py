from __future__ import annotations

import subprocess
from collections.abc import Iterator

import msgspec
import pytest

from store import history, queue
from store.database import Database
from store.folder import find_data_directory
from store.records import Image
from tests.factories import make_request, make_result
from tests.store.helpers import make_images
from tests.tui.cli.invoking import invoke


@pytest.fixture
def db() -> Iterator[Database]:
    with Database.open(find_data_directory()) as database:
        yield database


@pytest.fixture
def images(db: Database) -> list[Image]:
    return make_images(db, [make_request(text) for text in ("red sea", "blue sea", "town")])


def run(*words: str, status: int = 0) -> str:
    done = invoke(words)
    assert done.exit_code == status, done.output
    return str(done.output)


def undo(said: str) -> list[str]:
    """The words of the command that undoes it."""
    (line,) = [line for line in said.splitlines() if line.startswith("undo: ")]
    return line.removeprefix("undo: safelight ").split()


def test_images_are_rated_and_the_line_that_is_told_undoes_it(
    db: Database, images: list[Image]
) -> None:
    said = run("rate", "@1", images[0].id[:8], "4")
    assert said.startswith("2 images: rated 4")
    assert [image.rating for image in history.list_images(db)] == [4, None, 4]
    run(*undo(said))
    assert [image.rating for image in history.list_images(db)] == [None, None, None]
    assert "already" in run("rate", "@1", "none")


@pytest.mark.parametrize("words", [["@1", "6"], ["@1", "four"], ["@1"], ["3"], ["@9", "3"]])
def test_what_is_no_rating_or_names_no_image_is_explained(
    images: list[Image], words: list[str]
) -> None:
    assert "safelight: " in run("rate", *words, status=2)


def test_all_that_a_search_finds_are_marked(db: Database, images: list[Image]) -> None:
    assert "2 images: favourite" in run("favourite", "--search", "sea")
    assert [image.is_favourite for image in history.list_images(db)] == [False, True, True]
    assert "1 image: no favourite" in run("favourite", "--search", "red", "--off")
    assert "0 images" in run("favourite", "--search", "nothing")
    assert "Say which" in run("favourite", status=2)
    assert "Say which" in run("favourite", "@1", "--search", "sea", status=2)


def test_tags_are_added_and_removed_by_their_signs(db: Database, images: list[Image]) -> None:
    run("tag", "@1", "@2", "+Night Sky", "+harbour")
    run("tag", "@1", "-harbour", "--add", "x")
    assert [image.tags for image in history.list_images(db)] == [
        *(("night sky", "x"), ("harbour", "night sky")),
        (),
    ]
    listed = msgspec.json.decode(run("tag", "--list", "--json"))["tags"]
    assert listed[0] == {"name": "night sky", "images": 2}
    assert "2  night sky" in run("tag", "--list")
    said = run("tag", "@1", "-x", "+y")
    run(*undo(said))
    assert history.get_image(db, "@1").tags == ("night sky", "x")
    assert "Say which tags" in run("tag", "@1", status=2)
    assert "comma" in run("tag", "@1", "+a,b", status=2)


@pytest.mark.parametrize(
    "text", ["a\u200bb", "-dash", "it's 100 % \\n", "two\nlines", "\u00e9\u2067"]
)
def test_the_line_that_is_told_for_a_note_gives_it_back_to_the_sign(
    db: Database, images: list[Image], text: str
) -> None:
    run("note", "@1", "--", text)
    kept = history.get_image(db, "@1").note
    said = run("note", "@1", "other")
    run(*_split(said))
    assert history.get_image(db, "@1").note == kept == text


def _split(said: str) -> list[str]:
    """The words of the command that undoes it, as a shell reads them."""
    (line,) = [line for line in said.splitlines() if line.startswith("undo: ")]
    words = subprocess.run(
        ["/bin/sh", "-c", line.replace("undo: safelight", "printf '%s\\0'")],
        capture_output=True,
        text=True,
        check=True,
    )
    return words.stdout.split("\0")[:-1]


def test_a_note_is_written_shown_and_taken_away(db: Database, images: list[Image]) -> None:
    run("note", "@1", "the one\nfor print")
    run("rate", "@1", "5")
    run("tag", "@1", "+print")
    shown = run("show", "@1")
    assert "note      the one\n          for print" in shown
    assert "*****, #print" in shown
    assert "(*****, #print)" in run("history")
    record = msgspec.json.decode(run("show", "@1", "--json"))
    assert (record["rating"], record["tags"], record["note"]) == (
        *(5, ["print"]),
        "the one\nfor print",
    )
    said = run("note", "@1", "")
    assert "note taken away" in said
    assert history.get_image(db, "@1").note is None
    run(*_split(said))
    assert history.get_image(db, "@1").note == "the one\nfor print"


def test_the_trash_takes_gives_back_and_says_what_it_frees(
    db: Database, images: list[Image]
) -> None:
    assert "The trash is empty" in run("trash", "--list")
    said = run("trash", "--search", "sea")
    assert "2 images: in the trash" in said
    assert "town" in run("history")
    assert "sea" not in run("history")
    assert "blue sea" in run("trash", "--list")
    run("trash", "--put-back", images[1].id)
    plan = run("trash", "--empty", "--dry-run")
    assert "1 image would be removed; frees 0 bytes in 0 files." in plan
    assert history.get_image(db, images[0].id).is_trashed
    done = msgspec.json.decode(run("trash", "--empty", "--json"))
    assert (done["images"], done["dry_run"]) == (1, False)
    assert "no image whose id" in run("show", images[0].id, status=2)
    assert "The trash is empty." in run("trash", "--empty")


@pytest.mark.parametrize(
    "words",
    [
        ["--empty", "--list"],
        ["@1", "--empty"],
        ["--dry-run"],
        ["--list", "--search", "sea"],
        [],
    ],
)
def test_what_the_trash_cannot_do_at_once_changes_nothing(
    db: Database, images: list[Image], words: list[str]
) -> None:
    assert "safelight: " in run("trash", *words, status=2)
    assert len(history.list_images(db)) == 3


def test_of_an_image_that_others_were_made_from_the_record_is_left(
    db: Database, images: list[Image]
) -> None:
    first = images[0]
    (job,) = queue.enqueue(db, [make_request("child")], parent_id=first.id)
    token = queue.recover(db, paid_engines=())
    claimed = queue.claim(db, token)
    assert claimed is not None
    assert claimed.id == job.id
    queue.finish(db, claimed, token, make_result("red"))
    run("trash", first.id, images[1].id)
    plan = run("trash", "--empty", "--dry-run")
    assert "1 image would be removed" in plan
    assert "Of 1 more only the pixels would be removed" in plan
    assert "Of 1 more only the pixels were removed" in run("trash", "--empty")
    assert "its pixels were removed with the trash" in run("show", first.id)
    assert msgspec.json.decode(run("show", first.id, "--json"))["is_emptied"]
    assert first.id[:8] not in run("history")
    assert "only the record is left" in run("rate", first.id, "3", status=2)
    assert "only the record is left" in run("trash", "--put-back", first.id, status=2)
