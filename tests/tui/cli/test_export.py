"""The command that writes images to files: what it chooses, refuses and leaves out."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from store.database import Database
from store.folder import find_data_directory
from store.metadata.containers import read_metadata
from store.metadata.files import read_file
from store.records import Image
from tests.factories import make_request
from tests.store.helpers import make_images
from tests.tui.cli.invoking import invoke


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Image]:
    """Three images of a history, the last of another session."""
    monkeypatch.setenv("SAFELIGHT_HOME", str(tmp_path / "home"))
    with Database.open(find_data_directory()) as database:
        first = make_images(database, [make_request("a town", seed=1), make_request("sea", seed=2)])
        return [*first, *make_images(database, [make_request("a town", seed=3)], "harbour")]


def export(*arguments: str, status: int = 0) -> Any:
    done = invoke(["export", *arguments, "--json"])
    assert done.exit_code == status, done.stderr
    return json.loads(done.stdout)


def list_names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_images_are_named_by_their_seeds_and_carry_their_records(
    images: list[Image], tmp_path: Path
) -> None:
    out = tmp_path / "new" / "folder"
    rows = export("@1", images[0].id[:8], "-o", str(out))["images"]
    assert [Path(row["path"]).name for row in rows] == ["3.png", "1.png"]
    record = read_file((out / "1.png").read_bytes()).read.record
    assert record is not None
    assert record.id == images[0].id
    assert record.request == images[0].request
    assert export("@1", "-o", str(out))["images"][0]["path"] == str(out / "3-2.png")


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (["--all"], ["1.png", "2.png", "3.png"]),
        (["--last", "2"], ["2.png", "3.png"]),
        (["--search", "town"], ["1.png", "3.png"]),
        (["--search", "seed:2"], ["2.png"]),
        (["--session", "harbour"], ["3.png"]),
        (["--search", "nothing"], []),
    ],
)
@pytest.mark.usefixtures("images")
@pytest.mark.samples(2)
def test_which_images_are_meant(chosen: list[str], names: list[str], tmp_path: Path) -> None:
    if "harbour" in chosen:
        with Database.open(find_data_directory()) as database:
            from store.sessions import load_session

            load_session(database, "harbour")
    export(*chosen, "-o", str(tmp_path / "out"))
    assert list_names(tmp_path / "out") == names


def test_sidecars_patterns_and_formats(images: list[Image], tmp_path: Path) -> None:
    out = tmp_path / "out"
    many = ["--sidecar", "txt", "--sidecar", "json", "--format", "webp", "--name", "{prompt} {n:2}"]
    export("--all", "-o", str(out), *many)
    stems = ["a town 01", "sea 02", "a town 03"]
    assert list_names(out) == sorted(
        f"{stem}.{end}" for stem in stems for end in ("json", "txt", "webp")
    )
    assert (out / "sea 02.txt").read_text().startswith("sea\nSteps: 50, ")
    found = read_file((out / "sea 02.webp").read_bytes())
    assert found.text == (out / "sea 02.json").read_bytes()
    assert found.read.record is not None
    assert found.read.record.copy is not None
    assert found.read.record.copy.is_lossless
    assert found.read.record.id == images[1].id


@pytest.mark.parametrize("kind", [[], ["--format", "jpeg"], ["--format", "webp"]])
@pytest.mark.usefixtures("images")
def test_nothing_is_left_in_a_stripped_file(kind: list[str], tmp_path: Path) -> None:
    (row,) = export("@1", "-o", str(tmp_path), "--strip", *kind)["images"]
    data = Path(row["path"]).read_bytes()
    found = read_metadata(data)
    assert (found.fields, found.parts) == ((), ())
    assert b"town" not in data
    assert "town".encode("utf-16-be") not in data


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["@1"], "Say where to"),
        (["@1", "-o", "x", "--bundle", "y.zip"], "Say where to"),
        (["-o", "x"], "Say which images"),
        (["@1", "--all", "-o", "x"], "Say which images"),
        (["@1", "-o", "x", "--name", "{sead}"], "There is no field {sead}."),
        (["@1", "-o", "x", "--format", "gif"], "Unknown format"),
        (["@1", "-o", "x", "--quality", "5"], "Only JPEG and WebP"),
        (["@1", "-o", "x", "--format", "jpeg", "--quality", "0"], "out of range"),
        (["@1", "-o", "x", "--sidecar", "xml"], "Unknown sidecar"),
        (["@1", "-o", "x", "--strip", "--sidecar", "json"], "no record beside"),
        (["@1", "-o", "x", "--strip", "--sign", "x"], "no record to sign"),
        (["@1", "-o", "x", "--sign", "nothing"], "Cannot read the key"),
        (["@1", "--bundle", "x.zip", "--strip"], "A bundle holds the records."),
        (["@9", "-o", "x"], "There is no image @9"),
    ],
)
@pytest.mark.usefixtures("images")
@pytest.mark.samples(5)
def test_what_cannot_be_done_is_explained_and_nothing_is_made(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(["export", *arguments])
    assert done.exit_code == 2
    assert said in done.stderr
    assert list_names(tmp_path) == ["home"]


def test_an_image_without_its_file_is_left_out_and_told(
    images: list[Image], tmp_path: Path
) -> None:
    # All are of one colour, so they share a file: it is that of all.
    images[1].path.unlink()
    out = export("--all", "-o", str(tmp_path / "out"), status=1)
    assert [row["id"] for row in out["failed"]] == [image.id for image in images]
    assert "is missing" in out["failed"][0]["message"]
    bundle = export("--all", "--bundle", str(tmp_path / "all.zip"), status=1)
    assert len(bundle["failed"]) == 3
    with zipfile.ZipFile(tmp_path / "all.zip") as file:
        assert file.namelist() == ["manifest.json"]


@pytest.mark.usefixtures("images")
def test_a_pipe_is_no_file_to_be_verified(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    done = invoke(["verify", str(tmp_path / "pipe.png"), "--json"])
    assert done.exit_code == 2
    assert "is no plain file" in done.stderr
    assert "is no plain file" in json.loads(done.stdout)["error"]["message"]


def test_a_name_that_is_no_text_is_escaped_in_json(images: list[Image], tmp_path: Path) -> None:
    name = tmp_path / os.fsdecode(b"bad\xff.png")
    assert invoke(["export", images[0].id, "-o", str(tmp_path / "out")]).exit_code == 0
    (exported,) = (tmp_path / "out").iterdir()
    exported.rename(name)
    for command in ("verify", "import"):
        done = invoke([command, str(name), "--json"])
        assert r"bad\\udcff.png" in done.stdout
        assert json.loads(done.stdout)


@pytest.mark.usefixtures("images")
def test_a_bundle_is_never_written_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    path.write_text("mine")
    done = invoke(["export", "--all", "--bundle", str(path)])
    assert done.exit_code == 2
    assert "is there already" in done.stderr
    assert path.read_text() == "mine"
    assert list_names(tmp_path) == ["all.zip", "home"]
