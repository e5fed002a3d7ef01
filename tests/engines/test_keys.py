"""A secret shows itself nowhere."""

from __future__ import annotations

import copy
import io
import logging
import os
import pickle
import traceback
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from rich.traceback import Traceback

from engines.keys import Secret, write_key_file
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
