"""Paths of image files as they are typed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from store.errors import StoreError
from tui.paths import (
    complete_path,
    list_files,
    parse_dropped,
    parse_path,
    read_image_file,
)


def test_a_path_is_continued_by_folders_and_image_files_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("harbour.png", "harbour.txt", "hills.JPG", ".hidden.png", "ha\x1bx.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "haze").mkdir()
    assert complete_path(f"{tmp_path}/h") == f"{tmp_path}/harbour.png"
    assert complete_path(f"{tmp_path}/haz") == f"{tmp_path}/haze/"
    assert complete_path(f"{tmp_path}/hi") == f"{tmp_path}/hills.JPG"
    assert complete_path(f"{tmp_path}/.h") == f"{tmp_path}/.hidden.png"
    assert complete_path(f"{tmp_path}/harbour.t") is None
    assert complete_path("/no/such/folder/a") is None
    monkeypatch.setenv("HOME", str(tmp_path))
    assert complete_path("~") == "~/"
    assert complete_path("~/haz") == "~/haze/"
    monkeypatch.chdir(tmp_path)
    assert complete_path("hi") == "hills.JPG"


def test_quotes_of_a_dropped_path_and_the_home_folder_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_path(" '/a b/c.png' ") == Path("/a b/c.png")
    assert parse_path("~/c.png") == tmp_path / "c.png"
    with pytest.raises(StoreError, match="No path"):
        parse_path("  ")
    with pytest.raises(StoreError, match="home folder"):
        parse_path("~no_such_user/c.png")


def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.png").write_bytes(b"")
    for path, said in (
        (tmp_path / "pipe", "no plain file"),
        (tmp_path, "folder"),
        (tmp_path / "none.png", "no file"),
        (tmp_path / "empty.png", "empty"),
        (Path("a\0b"), "cannot be read"),
    ):
        with pytest.raises(StoreError, match=said):
            read_image_file(path)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("/a/b.png", ["/a/b.png"]),
        ("/a/b.PNG \n", ["/a/b.PNG"]),
        ("'/a b/c d.png' ", ["/a b/c d.png"]),
        ('"/a b/c.webp"', ["/a b/c.webp"]),
        ("/a\\ b/c\\(1\\).jpg", ["/a b/c(1).jpg"]),
        ("/a b/c.png", ["/a b/c.png"]),
        ("file:///a%20b/c.png", ["/a b/c.png"]),
        ("file://localhost/a.png", ["/a.png"]),
        ("/a.png /b.jpg", ["/a.png", "/b.jpg"]),
        ("'/a b.png' '/c.png'", ["/a b.png", "/c.png"]),
        ("file:///a.png\r\nfile:///b.png\r\n", ["/a.png", "/b.png"]),
    ],
)
def test_dropped_files_are_understood_as_terminals_paste_them(text: str, paths: list[str]) -> None:
    assert parse_dropped(text) == [Path(path) for path in paths]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "night sky.png",
        "a town, /a/b.png",
        "/a/b.txt",
        "/a/b.png and more words",
        "file://elsewhere/a.png",
        "https://example.org/a.png",
        "/a/\x1b[31m.png",
        "/a\0.png",
        "it's a /town.png",
        "/a.png " * 200,
        "/" + "a" * 40_000 + ".png",
    ],
)
def test_other_text_names_no_dropped_files(text: str) -> None:
    assert parse_dropped(text) == []


def test_only_files_that_are_there_are_listed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "b.png").mkdir()
    names = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    assert list_files([*names, Path("/" + "x" * 5000)]) == names[:1]
