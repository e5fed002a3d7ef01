"""What terminals answered on earlier days, for links on which the answers come late.

One small file in the data folder. A terminal is known again by what its environment tells of it,
of which only a digest is kept. Whatever is wrong with the file, nothing is remembered.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from store.errors import StoreError
from store.folder import open_private
from tui.terminal.answers import LARGEST_CELL, NAME_LENGTH, Answers

FILE_NAME = "terminals.json"
MOST_TERMINALS = 32
FILE_BYTES = 1 << 16

_NAMES = ("TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "COLORTERM", "TMUX", "STY")


def recall_answers(directory: Path, environ: Mapping[str, str]) -> Answers | None:
    """What the terminal of `environ` answered when it last answered all."""
    answers = _read(directory).get(_name(environ))
    return None if answers is None else msgspec.structs.replace(answers, is_remembered=True)


def remember_answers(directory: Path, environ: Mapping[str, str], answers: Answers) -> None:
    """Keep what the terminal of `environ` answered. Makes no folder, and never fails."""
    known, name = _read(directory), _name(environ)
    if known.get(name) == answers:
        return
    known.pop(name, None)
    newest = dict([*known.items(), (name, answers)][-MOST_TERMINALS:])
    path = directory / FILE_NAME
    with contextlib.suppress(OSError, StoreError):
        descriptor = open_private(path, os.O_WRONLY | os.O_CREAT)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(newest))
            file.truncate()


def _read(directory: Path) -> dict[str, Answers]:
    try:
        with os.fdopen(open_private(directory / FILE_NAME, os.O_RDONLY), "rb") as file:
            found = msgspec.json.decode(file.read(FILE_BYTES), type=dict[str, Answers])
    except (OSError, StoreError, msgspec.MsgspecError, RecursionError):
        return {}
    return {name: answers for name, answers in found.items() if _is_sound(answers)}


def _is_sound(answers: Answers) -> bool:
    return (
        answers.is_whole
        and len(answers.name) <= NAME_LENGTH
        and answers.name.isprintable()
        and all(1 <= side <= LARGEST_CELL for side in answers.cell or ())
    )


def _name(environ: Mapping[str, str]) -> str:
    client = environ.get("SSH_CONNECTION", "").partition(" ")[0]
    facts = [*(environ.get(name, "") for name in _NAMES), client]
    return hashlib.sha256("\0".join(facts).encode("utf-8", "surrogateescape")).hexdigest()[:16]
