"""Where the data folder is, who may write there, and what others put in its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from store.database import Database
from store.errors import StoreError
from store.folder import (
    check_place,
    find_config_file,
    find_data_directory,
    make_private_folder,
    open_private,
)
from tests.factories import make_request
from tests.store.helpers import make_images

NOBODY = 65534


def set_home(monkeypatch: pytest.MonkeyPatch, **environ: str) -> None:
    for name in ("HOME", "SAFELIGHT_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"HOME": ""}, "HOME is empty"),
        ({"HOME": "here"}, "HOME is 'here', which is no whole path"),
        ({"HOME": "/no/such/home"}, "home folder /no/such/home does not exist"),
        ({"HOME": "/dev/null"}, "home folder /dev/null does not exist"),
        ({"HOME": "/", "XDG_DATA_HOME": "x", "XDG_CONFIG_HOME": "x"}, "HOME is 'x', which is no"),
        ({"SAFELIGHT_HOME": "~nobody-of-that-name/x"}, "names no folder here"),
    ],
)
def test_without_a_home_it_is_said_which_variable_helps(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], words: str
) -> None:
    set_home(monkeypatch, **environ)
    for find in (find_data_directory, find_config_file):
        with pytest.raises(StoreError, match=words) as caught:
            find()
        assert caught.value.hint


def test_a_user_whom_the_system_does_not_know_needs_a_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_home(monkeypatch)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as without an entry
    with pytest.raises(StoreError, match="HOME is not set"):
        find_data_directory()


def test_another_folder_than_home_needs_no_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = str(tmp_path)
    set_home(monkeypatch, HOME="", XDG_DATA_HOME=place, XDG_CONFIG_HOME=place)
    assert find_data_directory() == tmp_path / "safelight"
    assert find_config_file() == tmp_path / "safelight" / "config.toml"
    set_home(monkeypatch, HOME="", SAFELIGHT_HOME=place)
    assert find_data_directory() == tmp_path / "data"


def test_each_folder_on_the_way_is_private(tmp_path: Path) -> None:
    previous = os.umask(0o002)
    try:
        make_private_folder(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(previous)
    for name in ("a", "a/b", "a/b/c"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o700, name
    (tmp_path / "a").chmod(0o755)
    make_private_folder(tmp_path / "a" / "d")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755, "one that was there is as it was"
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        make_private_folder(tmp_path / "file" / "d")


def test_a_folder_open_to_all_is_closed_when_the_history_is_made(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o777)
    Database.open(directory).close()
    assert directory.stat().st_mode & 0o777 == 0o700


def test_what_is_planted_is_not_opened(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "link").symlink_to(victim)
    (tmp_path / "nowhere").symlink_to(tmp_path / "new")
    os.link(victim, tmp_path / "second")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "nowhere", "second", "pipe", "folder"):
        for flags in (os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_APPEND, os.O_RDONLY):
            with pytest.raises(StoreError, match=f"{name} .* not touched") as caught:
                open_private(tmp_path / name, flags)
            assert "Remove it" in caught.value.hint
    assert victim.read_text() == "precious"
    assert not (tmp_path / "new").exists()
    with pytest.raises(FileNotFoundError):
        open_private(tmp_path / "missing", os.O_RDWR)


def test_the_spool_goes_into_no_planted_file(db: Database, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    db.vault.spool("b" * 32, b"answer")
    (db.directory / "spool" / f"{'a' * 32}.spool").symlink_to(victim)
    with pytest.raises(StoreError, match="is a link"):
        db.vault.spool("a" * 32, b"answer")
    assert victim.read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", ["history.sqlite3", "history.sqlite3-wal", "images", "spool"])
def test_a_link_of_another_user_is_not_followed(directory: Path, tmp_path: Path, name: str) -> None:
    directory.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (directory / name).symlink_to(tmp_path / "elsewhere")
    os.chown(directory / name, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(StoreError, match=f"{name} is a link that another user put there"):
        Database.open(directory)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_ones_own_link_to_a_larger_disk_is_followed(directory: Path, tmp_path: Path) -> None:
    directory.mkdir()
    (tmp_path / "larger").mkdir()
    (directory / "images").symlink_to(tmp_path / "larger")
    with Database.open(directory) as db:
        make_images(db, [make_request()])
    assert len(list((tmp_path / "larger").rglob("*.png"))) == 1


@pytest.mark.parametrize("place", ["", "images", "images/{}", "spool", "history.sqlite3-journal"])
def test_files_that_root_left_behind_are_named_before_anything_is_written(
    directory: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    with Database.open(directory) as db:
        [image] = make_images(db, [make_request()])
        db.vault.spool("b" * 32, b"answer")
    (directory / "history.sqlite3-journal").touch()
    blocked = directory / place.format(image.path.parent.name)
    real = os.access
    # As it is for everybody but root, whom these tests may run as.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != blocked and real(path, mode))
    with Database.open(directory) as db:
        assert db.is_read_only
        with pytest.raises(StoreError) as caught:
            make_images(db, [make_request()])
    assert f"{blocked} cannot be written" in str(caught.value)
    assert f"sudo chown -R {os.geteuid()} {directory}" in str(caught.value)


def test_where_no_folder_can_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_place(tmp_path / "new" / "data")
    with pytest.raises(StoreError, match=r"file is no folder"):
        check_place(tmp_path / "file" / "data")
