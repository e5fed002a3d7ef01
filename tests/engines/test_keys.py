"""A secret shows itself nowhere."""

from __future__ import annotations

import copy
import io
import logging
import os
import pickle
import stat
import sys
import traceback
import types
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from rich.traceback import Traceback

from engines.keys import (
    Secret,
    SettingsError,
    check_keyring,
    note_change,
    read_key_command,
    read_key_file,
    read_keyring,
    remove_from_keyring,
    write_key_file,
    write_keyring,
)
from engines.stability.models import StabilitySettings

CANARY = "sk-CANARY-0123456789"


def test_it_reveals_the_text_only_when_asked() -> None:
    secret = Secret(CANARY)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>40}", f"{secret!r}", f"{[secret]}"]
    shown += ["%s" % secret, "{0}".format(secret)]  # noqa: UP031, UP030, UP032
    assert not [text for text in shown if CANARY in text]
    assert secret.reveal() == CANARY


def test_settings_that_hold_it_do_not_show_it() -> None:
    settings = StabilitySettings(key=Secret(CANARY))
    assert CANARY not in repr(settings)
    with pytest.raises(TypeError):
        msgspec.json.encode(settings)


def test_it_is_never_pickled_and_has_no_visible_variables() -> None:
    secret = Secret(CANARY)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(secret, protocol)
    with pytest.raises(TypeError):
        vars(secret)
    with pytest.raises(TypeError):
        secret.__getstate__()
    assert copy.deepcopy({"key": secret})["key"] is secret


def test_a_traceback_with_variables_does_not_show_it() -> None:
    def fail(key: Secret) -> None:
        holder = {"authorization": key, "list": [key]}
        raise ValueError(f"no luck with {key} and {holder}")

    try:
        fail(Secret(CANARY))
    except ValueError as error:
        console = Console(file=io.StringIO(), width=200)
        console.print(Traceback.from_exception(type(error), error, None, show_locals=True))
        rich_text = console.file.getvalue()  # type: ignore[attr-defined]
        captured = traceback.TracebackException.from_exception(error, capture_locals=True)
        plain_text = "".join(captured.format())
    assert CANARY not in rich_text + plain_text
    assert "Secret(…)" in plain_text


def test_a_log_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("engines").warning("key %s %r", Secret(CANARY), Secret(CANARY))
    assert "Secret(…)" in caplog.text
    assert CANARY not in caplog.text


def test_a_deferred_one_is_read_once_and_late() -> None:
    calls = []

    def read() -> Secret:
        calls.append(1)
        return Secret(CANARY)

    secret = Secret.deferred(read)
    assert repr(secret) == "Secret(…)"
    assert calls == []
    assert [secret.reveal(), secret.reveal()] == [CANARY, CANARY]
    assert calls == [1]


def test_equality_compares_the_texts() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_a_key_file_and_the_folders_above_it_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "config" / "safelight" / "keys" / "stability"
    previous = os.umask(0o002)
    try:
        write_key_file(path, Secret(CANARY))
    finally:
        os.umask(previous)
    assert path.stat().st_mode & 0o777 == 0o600
    for folder in list(path.parents)[:3]:
        assert folder.stat().st_mode & 0o777 == 0o700, folder


# Where a key is kept


class Keyring:
    """A keyring in memory, in the place of the package."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.fault: Exception | None = None

    def get_password(self, service: str, account: str) -> str | None:
        if self.fault is not None:
            raise self.fault
        return self.kept.get((service, account))

    def set_password(self, service: str, account: str, password: str) -> None:
        self.kept[service, account] = password

    def delete_password(self, service: str, account: str) -> None:
        del self.kept[service, account]


class KeyringError(Exception):
    """What the package raises."""


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    kept = Keyring()
    errors = types.ModuleType("keyring.errors")
    errors.KeyringError = KeyringError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", kept)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    return kept


def test_the_keyring_gives_back_what_was_put_into_it_and_forgets_it(keyring: Keyring) -> None:
    check_keyring()
    write_keyring("stability", Secret(CANARY))
    assert keyring.kept == {("safelight", "stability"): CANARY}
    assert read_keyring("stability").reveal() == CANARY
    assert not remove_from_keyring("hosts.mine")
    assert keyring.kept
    assert remove_from_keyring("stability")
    assert keyring.kept == {}
    assert not remove_from_keyring("stability")
    with pytest.raises(SettingsError, match="holds no key for 'stability'") as caught:
        read_keyring("stability")
    assert "safelight key set" in caught.value.hint


@pytest.mark.parametrize("text", ["", "two words", "naïve", "a\nb", "\x1b[2J"])
def test_what_is_no_key_goes_nowhere(keyring: Keyring, tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="gives no key"):
        write_keyring("stability", Secret(text))
    assert keyring.kept == {}
    with pytest.raises(SettingsError, match="gives no key"):
        write_key_file(tmp_path / "keys" / "stability", Secret(text))
    assert not (tmp_path / "keys").exists()
    keyring.kept["safelight", "stability"] = text
    with pytest.raises(SettingsError, match="The keyring gives no key"):
        read_keyring("stability")


@pytest.mark.parametrize("fault", [KeyringError(CANARY), RuntimeError(CANARY), OSError(CANARY)])
def test_a_keyring_that_fails_is_named_without_what_it_says(
    keyring: Keyring, fault: Exception
) -> None:
    keyring.fault = fault
    for ask in (check_keyring, lambda: read_keyring("a"), lambda: remove_from_keyring("a")):
        with pytest.raises(SettingsError, match=type(fault).__name__) as caught:
            ask()
        assert CANARY not in str(caught.value)
        assert caught.value.__cause__ is None
        assert "key set --file" in caught.value.hint


def test_a_key_is_kept_in_a_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keys" / "stability"
    before = os.umask(0)
    try:
        write_key_file(path, Secret(CANARY))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text() == f"{CANARY}\n"
    assert read_key_file(path).reveal() == CANARY
    path.chmod(0o644)  # what others could read meanwhile is replaced, and not written into
    write_key_file(path, Secret("another"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key_file(path).reveal() == "another"
    assert [each.name for each in path.parent.iterdir()] == ["stability"]


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_disk_that_fails_keeps_the_old_key_and_leaves_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / "keys" / "stability"
    write_key_file(path, Secret("old"))

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os if name == "fsync" else Path, name, fail)
        with pytest.raises(SettingsError, match="cannot be written: No space left") as caught:
            write_key_file(path, Secret(CANARY))
    assert CANARY not in str(caught.value)
    assert read_key_file(path).reveal() == "old"
    assert [each.name for each in path.parent.iterdir()] == ["stability"]


def test_a_key_is_on_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append("folder" if is_folder else "file")
        fsync(descriptor)

    def note_name(path: Path, target: Path) -> Path:
        done.append("name")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_name)
    write_key_file(tmp_path / "stability", Secret(CANARY))
    assert done == ["file", "name", "folder"]


def test_a_key_file_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    write_key_file(path, Secret(CANARY))
    if os.getuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(SettingsError) as caught:
        read_key_file(path)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(("length", "is_taken"), [(4096, True), (4097, False)])
def test_a_key_file_has_a_limit(tmp_path: Path, length: int, is_taken: bool) -> None:
    path = tmp_path / "key"
    path.write_text("k" * length)
    path.chmod(0o600)
    if is_taken:
        assert read_key_file(path).reveal() == "k" * length
    else:
        with pytest.raises(SettingsError, match="more than 4096 bytes"):
            read_key_file(path)


def run_python(code: str) -> Secret:
    return read_key_command([sys.executable, "-c", code])


def test_a_key_command_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.keys.COMMAND_SECONDS", 0.2)
    with pytest.raises(SettingsError, match="gave no key within"):
        run_python(f"import time; print('{CANARY}', flush=True); time.sleep(60)")


def test_a_key_command_has_no_terminal_to_ask_or_to_write_to(
    capfd: pytest.CaptureFixture[str],
) -> None:
    code = f"import sys; sys.stderr.write('{CANARY}'); print(sys.stdin.read() + '{CANARY}')"
    assert run_python(code).reveal() == CANARY
    assert capfd.readouterr() == ("", "")


def test_a_change_of_the_keys_can_be_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "keys"
    note_change(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    os.utime(folder, (1, 1))
    note_change(folder)
    assert folder.stat().st_mtime > 1
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be written"):
        note_change(tmp_path / "file" / "keys")


def test_a_secret_is_equal_to_itself_without_being_read() -> None:
    def read() -> Secret:
        raise AssertionError("it was read")

    secret = Secret.deferred(read)
    assert secret == copy.copy(secret)
    with pytest.raises(TypeError):
        hash(secret)


def test_a_key_is_not_written_through_a_name_that_somebody_planted(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "keys" / "stability", tmp_path / "elsewhere"
    path.parent.mkdir()
    (path.parent / f".stability.{os.getpid()}.new").symlink_to(elsewhere)
    with pytest.raises(SettingsError, match="cannot be written"):
        write_key_file(path, Secret(CANARY))
    assert not elsewhere.exists()
    assert not path.exists()
