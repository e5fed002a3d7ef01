"""Image files of others on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from store import sessions
from store.database import Database
from store.folder import find_data_directory
from store.records import Draft, DraftPrompt
from tests.store.metadata.dialect_files import A1111, make_commented, make_graph, make_png
from tests.tui.cli.invoking import invoke


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "images"
    found.mkdir()
    (found / "a.png").write_bytes(make_png([("parameters", A1111)], (512, 768)))
    (found / "b.jpg").write_bytes(make_commented(A1111 + ", Clip skip: 2", "JPEG", size=(512, 768)))
    graph = msgspec.json.encode(make_graph()).decode()
    (found / "c.PNG").write_bytes(make_png([("prompt", graph)], (512, 640)))
    return found


def read(*arguments: object) -> Any:
    done = invoke([*map(str, arguments), "--json"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return msgspec.json.decode(done.stdout)


def test_a_file_is_imported_and_what_is_known_of_it_is_told(folder: Path) -> None:
    done = invoke(["import", str(folder / "b.jpg")])
    assert done.exit_code == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0].endswith("b.jpg A1111, partial: some of it is not in the request")
    assert lines[1:3] == ["+1.0 a cat", "+1.3 clouds"]
    assert lines[-2:] == [
        "seed 1229080980, steps 20, cfg 7, k_dpmpp_2m, 512 x 768, model v1-5",
        "unread: Clip skip: 2",
    ]
    again = invoke(["import", str(folder / "b.jpg")])
    assert (again.exit_code, "in the history already" in again.stdout) == (0, True)
    assert len(read("history")["images"]) == 1


def test_the_images_of_a_folder_are_imported_and_no_link_is_followed(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "notes.txt").write_text("Steps: 1")
    (folder / "inner").mkdir()
    (tmp_path / "secret.png").write_bytes(make_png([("parameters", A1111)]))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    found = read("import", folder)
    assert [Path(row["file"]).name for row in found["imported"]] == ["a.png", "b.jpg", "c.PNG"]
    assert found["failed"] == []
    row = found["imported"][2]
    assert row["is_new"]
    assert row["image"]["imported"] == {
        "dialect": "ComfyUI",
        "grade": "mapped",
        "file_name": "c.PNG",
        "unread": [],
        "unsaid": [],
        "signer": None,
    }
    assert row["image"]["purpose"] == "import"
    assert row["image"]["verdict"] == "cannot run"
    assert [row["is_new"] for row in read("import", folder)["imported"]] == [False] * 3
    assert "imported: ComfyUI" in invoke(["history"]).stdout


def test_what_cannot_be_imported_is_told_with_a_status(folder: Path) -> None:
    (folder / "bare.png").write_bytes(make_png([]))
    done = invoke(["import", str(folder)])
    assert done.exit_code == 1
    assert "bare.png: The file has no metadata" in done.stderr
    assert "3 images imported, 0 there already, 1 not imported" in done.stderr
    assert invoke(["import", str(folder / "bare.png")]).exit_code == 2
    found = read("import", folder / "none.png")
    assert found["imported"] == []
    assert "no file" in found["failed"][0]["message"]
    assert invoke(["import", str(folder), "--session", "none"]).exit_code == 2


def test_an_image_of_another_program_is_never_made_again(folder: Path) -> None:
    image = read("import", folder / "a.png")["imported"][0]["image"]
    verified = read("verify", image["id"])["results"][0]
    assert verified["verdict"] == "cannot run"
    before = invoke(["verify", image["id"], "--dry-run"])
    assert before.exit_code == 2
    assert "it cannot be made again now" in before.stdout
    again = invoke(["regenerate", image["id"]])
    assert again.exit_code == 2
    assert "Another program made" in again.stderr
    line = invoke(["show", image["id"], "--command"])
    assert (line.exit_code, line.stdout) == (2, "")
    shown = invoke(["show", image["id"]]).stdout
    assert "A1111, mapped: all that it says is in the request" in shown
    assert read("show", image["id"])["imported_text"] == A1111


def test_what_a_file_says_is_loaded_into_a_draft_and_the_one_before_is_kept(folder: Path) -> None:
    before = Draft(prompts=(DraftPrompt(text="night sky"),), steps=33)
    with Database.open(find_data_directory()) as db:
        sessions.save_draft(db, "main", before)
    found = read("import", folder / "a.png", "--draft")
    assert (found["session"], found["grade"]) == ("main", "mapped")
    assert read("history")["images"] == []
    with Database.open(find_data_directory()) as db:
        loaded = sessions.load_session(db, "main").draft
        assert [row.text for row in loaded.prompts][:2] == ["a cat", "clouds"]
        assert (loaded.engine, loaded.steps, loaded.seed) == ("builtin", 20, 1229080980)
        assert sessions.load_session(db, found["kept"]).draft == before
    other = invoke(["import", str(folder / "b.jpg"), "--draft", "--session", "new"])
    assert "loaded into the session new" in other.stdout
    assert "unread: Clip skip: 2" in other.stdout
    assert invoke(["import", str(folder), str(folder), "--draft"]).exit_code == 2
