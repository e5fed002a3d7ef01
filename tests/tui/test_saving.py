"""Files of images: their names, and writing them whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import RequestError
from store.metadata.choices import MadeFile
from store.prompts import parse_prompt
from tests.factories import make_image, make_request
from tui.file_names import FIELD_NAMES, NAME_BYTES, check_pattern, make_harmless, make_name
from tui.saving import open_new, write_files

MADE = MadeFile(data=b"image", suffix=".png", parameters="a", record=b"{}", signature="s")


@given(st.text(st.characters(), max_size=300))
def test_any_text_becomes_one_harmless_name(text: str) -> None:
    name = make_harmless(text)
    assert name
    assert name not in (".", "..")
    assert Path(name).name == name
    assert not set(name) & set('/\\:*?"<>|\0\n')
    assert len(name.encode()) <= NAME_BYTES + 1
    assert not name.startswith((".", "-", " "))
    assert not name.endswith((".", " "))
    assert all(sign.isprintable() for sign in name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("-rf", "_rf"),
        ("a\x1b[31m\u202eb", "a [31m b"),
        ("...", "image"),
        ("café 猫", "café 猫"),
    ],
)
def test_names_that_would_do_harm(text: str, name: str) -> None:
    assert make_harmless(text) == name


def test_a_pattern_has_fields() -> None:
    request = make_request(parse_prompt("night/sky: a town"), seed=7)
    image = make_image(3, request, session="../x", created_at=0.0)
    assert make_name("{seed}", image, 1) == "7"
    assert make_name("{n:4}-{prompt}", image, 12) == "0012-night_sky_ a town"
    assert make_name("{session} {model} {engine}", image, 1) == "_x r1 builtin"
    assert make_name("{id} {width}x{height} {steps} {cfg}", image, 1) == "00030003 128x128 50 8"
    every = "-".join(f"{{{name}}}" for name in FIELD_NAMES)
    assert len(make_name(check_pattern(every), image, 1).encode()) <= NAME_BYTES
    long = make_request(parse_prompt("猫" * 3000))
    assert len(make_name("{prompt}{prompt}{prompt}", make_image(1, long), 1).encode()) <= NAME_BYTES


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "1 to 200"),
        ("x" * 201, "1 to 200"),
        ("a/{seed}", "not folders"),
        ("{sead}", "Did you mean 'seed'"),
        ("{seed", "brace"),
        ("{n:x}", "digits"),
        ("{n:99}", "digits"),
        ("{image.path}", "no field"),
    ],
)
def test_a_wrong_pattern_is_explained(pattern: str, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_pattern(pattern)
    assert said in str(caught.value)


def test_nothing_is_overwritten_and_names_stay_together(tmp_path: Path) -> None:
    (tmp_path / "7.txt").write_text("mine")
    (tmp_path / "7-2.json").symlink_to("nowhere")
    path = write_files(tmp_path, "7", MADE, ("txt", "json"))
    assert path.name == "7-3.png"
    again = write_files(tmp_path, "7", MADE, ())
    assert again.name == "7.png"
    assert (tmp_path / "7.txt").read_text() == "mine"
    names = {each.name for each in tmp_path.iterdir()}
    assert names == {
        *("7.txt", "7-2.json", "7.png"),
        *("7-3.png", "7-3.txt", "7-3.json", "7-3.json.sig"),
    }


def test_a_file_system_without_links_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert write_files(tmp_path, "7", MADE, ()).name == "7.png"
    assert write_files(tmp_path, "7", MADE, ()).name == "7-2.png"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["7-2.png", "7.png"]


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    calls = iter(range(1, 10))
    sync = os.fsync

    def fill(descriptor: int) -> None:
        if next(calls) == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(RequestError) as caught:
        write_files(tmp_path, "7", MADE, ("txt", "json"))
    assert f"Cannot write into {tmp_path}: No space left on device." in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RequestError, match="Cannot write into"):
        write_files(tmp_path / "file", "7", MADE, ())


def test_a_new_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"

    def write_half() -> None:
        with open_new(path) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert list(tmp_path.iterdir()) == []
    with open_new(path) as file:
        file.write(b"whole")
    assert path.read_bytes() == b"whole"
    with pytest.raises(RequestError, match="is there already"), open_new(path):
        pass
    assert path.read_bytes() == b"whole"
