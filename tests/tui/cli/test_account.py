"""`key set` and `key forget`: where the key is afterwards, and where it is not."""

from __future__ import annotations

import json
import os
import sys
import types
from pathlib import Path

import pytest

from engines.settings import PROFILE_VARIABLE
from engines.stability.account import Account
from engines.worker.process import fingerprint_files
from store.folder import find_config_file
from tests.tui.cli.invoking import invoke
from tui.cli import account as commands

CANARY = "sk-CANARY-" + "k" * 41


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is in the keyring, by account."""
    held: dict[str, str] = {}
    package, errors = types.ModuleType("keyring"), types.ModuleType("keyring.errors")
    errors.KeyringError = type("KeyringError", (Exception,), {})  # type: ignore[attr-defined]
    package.get_password = lambda _, account: held.get(account)  # type: ignore[attr-defined]
    package.set_password = lambda _, account, key: held.update({account: key})  # type: ignore[attr-defined]
    package.delete_password = lambda _, account: held.pop(account)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", package)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    return held


@pytest.fixture
def config(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(PROFILE_VARIABLE, "")
    path = find_config_file()
    path.parent.mkdir(parents=True)
    path.write_text('[hosts.mine]\nhost = "127.0.0.1:1"\n')
    return path


def run(*arguments: str, given: str = "") -> str:
    os.environ[PROFILE_VARIABLE] = ""  # a command that is given a profile says so to its process
    done = invoke(("key", *arguments), given.encode())
    assert done.exit_code == 0, done.output
    assert CANARY not in done.output
    return str(done.output)


def test_a_key_that_is_forgotten_is_no_longer_in_the_keyring(
    config: Path, kept: dict[str, str]
) -> None:
    run("set", given=f" {CANARY}\n")
    run("set", "--profile", "mine", given=f"{CANARY}2\n")
    assert kept == {"stability": CANARY, "hosts.mine": f"{CANARY}2"}
    assert "no longer" in run("forget")
    assert kept == {"hosts.mine": f"{CANARY}2"}
    assert "held no such key" in run("forget")
    run("forget", "--profile", "mine")
    assert kept == {}


def test_a_key_file_that_is_forgotten_is_gone(config: Path, kept: dict[str, str]) -> None:
    run("set", "--file", given=f"{CANARY}\n")
    run("set", "--file", "--profile", "mine", given=f"{CANARY}\n")
    folder = config.parent / "keys"
    assert len(list(folder.iterdir())) == 2
    assert kept == {}, "it is in the file alone"
    assert "is removed" in run("forget", "--file")
    assert [path.read_text() for path in folder.iterdir()] == [f"{CANARY}\n"]
    assert "There is no file" in run("forget", "--file")


@pytest.mark.parametrize("in_file", [False, True])
def test_a_worker_notices_each_change_of_a_key(
    config: Path, kept: dict[str, str], in_file: bool
) -> None:
    where = ("--file",) if in_file else ()
    seen = [fingerprint_files()]
    for words in (("set",), ("set",), ("forget",)):
        run(*words, *where, given=f"{CANARY}{len(seen)}\n")
        seen.append(fingerprint_files())
    assert len(set(seen)) == 4


def test_an_answer_that_is_no_key_changes_nothing(config: Path, kept: dict[str, str]) -> None:
    run("set", given=f"{CANARY}\n")
    before = fingerprint_files()
    done = invoke(("key", "set"), b"two words\n")
    assert done.exit_code == 2
    assert "gives no key" in done.stderr
    assert kept == {"stability": CANARY}
    assert fingerprint_files() == before


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """What the service tells of the key, whatever it is asked."""
    told = Account(host="127.0.0.1:1", id="me", organization="us", credits=12.5)

    async def read(_: object) -> Account:
        return told

    monkeypatch.setattr("engines.stability.account.read_account", read)
    return told


def test_the_balance_is_told_in_words_and_in_json(config: Path, account: Account) -> None:
    said = invoke(["balance"]).stdout
    assert said == "127.0.0.1:1: 12.50 credits\nspent today, as estimated here: 0.00\n"
    config.write_text("[budget]\ncredits_per_day = 7.5\n")
    assert "spent today, as estimated here: 0.00 of 7.5\n" in invoke(["balance"]).stdout
    assert json.loads(invoke(["balance", "--json"]).stdout) == {
        "host": "127.0.0.1:1",
        "account": "me",
        "organization": "us",
        "credits": 12.5,
        "spent_today": 0.0,
        "credits_per_day": 7.5,
    }


def test_a_key_that_is_accepted_is_told_in_words_and_in_json(
    config: Path, account: Account
) -> None:
    assert "127.0.0.1:1 accepts the key; 12.50 credits are left" in run("test")
    done = invoke(["key", "test", "--json"])
    assert json.loads(done.stdout) == {"host": "127.0.0.1:1", "accepted": True, "credits": 12.5}


def test_without_a_keyring_nobody_is_asked_for_a_key(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setattr("tui.cli.account._ask_key", lambda _: pytest.fail("it was asked for"))
    done = invoke(("key", "set"), b"")
    assert done.exit_code == 2
    assert "pip install 'safelight[keyring]'" in done.stderr


def test_a_key_that_is_given_as_an_argument_is_refused_and_not_repeated(
    config: Path, kept: dict[str, str]
) -> None:
    done = invoke(("key", "set", CANARY))
    assert done.exit_code == 2
    assert "A key is no argument" in done.stderr
    assert CANARY not in done.output
    assert kept == {}


def test_in_a_terminal_a_key_is_asked_for_and_not_shown(
    config: Path, kept: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def ask(words: str) -> str:
        asked.append(words)
        return f" {CANARY}\t"

    monkeypatch.setattr(commands, "getpass", types.SimpleNamespace(getpass=ask))
    terminal = types.SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr(commands, "sys", types.SimpleNamespace(stdin=terminal))
    run("set")
    assert kept == {"stability": CANARY}
    assert asked == ["Key for grpc.stability.ai:443 (not shown): "]
