"""What a worker runs jobs with: equal where nothing is other, another where anything is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from engines.worker.program import SALT_NAME, digest_program, digest_settings, read_serving
from store.errors import StoreError

HOME = {"HOME": "/nowhere", "SAFELIGHT_HOME": "/nowhere/safelight"}


def plant(root: Path, **files: str) -> str:
    """The digest of a program whose files these are; `__` stands for `/`."""
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return digest_program(root)


def test_every_change_of_the_code_is_another_program(tmp_path: Path) -> None:
    first = plant(tmp_path, engines__a="1", store__b="2", store__c__d="3")
    assert digest_program(tmp_path) == first
    seen = {first}
    for change in (
        {"engines__a": "2"},
        {"store__b": "3"},
        {"store__c__d": "4"},
        {"store__new": ""},
        {"engines__worker__new": "x"},
    ):
        seen.add(plant(tmp_path, **change))
    (tmp_path / "store" / "b.py").rename(tmp_path / "store" / "e.py")
    seen.add(digest_program(tmp_path))
    (tmp_path / "store" / "e.py").unlink()
    seen.add(digest_program(tmp_path))
    assert len(seen) == 8


def test_what_no_worker_runs_is_no_part_of_it(tmp_path: Path) -> None:
    first = plant(tmp_path, engines__a="1", store__b="2")
    (tmp_path / "store" / "notes.txt").write_text("x")
    (tmp_path / "store" / "__pycache__").mkdir()
    (tmp_path / "store" / "__pycache__" / "b.py").write_text("x")
    assert plant(tmp_path, engines__training__t="x") == first
    assert plant(tmp_path, tui__screen="x") == first


def test_another_python_or_another_version_is_another_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {digest_program(tmp_path)}
    for target, value in (
        ("engines.worker.program.VERSION", 9999),
        ("engines.worker.program.version", lambda _: "9.9"),
        ("engines.worker.program.sys.version", "another"),
        ("engines.worker.program.sys.prefix", "/elsewhere"),
        ("engines.worker.program.read_entry_points", lambda _: []),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(target, value)
            seen.add(digest_program(tmp_path))
    assert len(seen) == 6
    assert digest_program(tmp_path) in seen


@pytest.mark.parametrize(
    ("name", "engines"),
    [
        ("STABILITY_KEY", {"stability", "stability-rest"}),
        ("STABILITY_HOST", {"stability"}),
        ("STABILITY_REST_HOST", {"stability-rest"}),
        ("EDITOR", set()),
    ],
)
def test_a_variable_concerns_the_engines_that_read_it(
    tmp_path: Path, name: str, engines: set[str]
) -> None:
    before = digest_settings(tmp_path, HOME)
    after = digest_settings(tmp_path, HOME | {name: "x"})
    assert set(before) == {"stability", "stability-rest"}
    assert {each for each in before if before[each] != after[each]} == engines
    # One that is empty is one that is not set.
    assert digest_settings(tmp_path, HOME | {name: ""}) == before


def test_another_place_of_the_configuration_is_another_setting(tmp_path: Path) -> None:
    before = digest_settings(tmp_path, HOME)
    after = digest_settings(tmp_path, HOME | {"SAFELIGHT_HOME": "/elsewhere"})
    assert not set(before.values()) & set(after.values())


def test_nothing_can_be_found_out_without_the_key_of_the_digests(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    environ = HOME | {"STABILITY_KEY": "sk-1"}
    found = digest_settings(one, environ)
    assert digest_settings(one, environ) == found
    assert not set(digest_settings(other, environ).values()) & set(found.values())
    salt = one / SALT_NAME
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600
    assert len(salt.read_bytes()) == 32
    assert [path.name for path in one.iterdir()] == [SALT_NAME]
    assert read_serving(one, environ).settings == found
    assert read_serving(one, environ).program == digest_program()


def test_two_that_make_the_key_at_once_have_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that comes second finds a name that is taken, and uses what is there."""
    link = os.link

    def be_second(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"of the first")
        link(source, target)

    monkeypatch.setattr(os, "link", be_second)
    first = digest_settings(tmp_path, HOME)
    assert (tmp_path / SALT_NAME).read_bytes() == b"of the first"
    monkeypatch.undo()
    assert digest_settings(tmp_path, HOME) == first


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    for make in (os.mkdir, os.mkfifo):
        make(tmp_path / SALT_NAME)
        with pytest.raises(StoreError, match="is not a file") as caught:
            digest_settings(tmp_path, HOME)
        assert SALT_NAME in str(caught.value)
        os.renames(tmp_path / SALT_NAME, tmp_path / "away" / make.__name__)
