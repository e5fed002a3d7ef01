"""The file `config.toml`: its tables, and what is wrong with them in words."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from engines.keys import Secret, SettingsError
from store.folder import spell_chown

_Section = TypeVar("_Section", bound=msgspec.Struct)

KEY_HINT = "Put it into a file of its own (mode 0600), or into the environment."
"""What is said of a key in the file; a section may have a `key_hint` of its own."""

SIZE_LIMIT = 1 << 20
"""Bytes of a configuration file that are read at most."""

DEPTH_LIMIT = 32
"""How deep tables and lists in it may lie in one another."""

_SHOWN = 80
"""Characters of a name that nobody knows in a sentence about it."""


class ConfigFile(msgspec.Struct, frozen=True, kw_only=True):
    """`config.toml` as it was read, and the environment variables that win over it.

    `path`: where it is, or would be; None for settings that come from no file. `tables`: what is
    in it, unchecked. `keys`: those that were found, by their place, so that engines with one key
    ask for it once.
    """

    path: Path | None = None
    tables: Mapping[str, Any] = {}
    environ: Mapping[str, str] = {}
    keys: dict[str, Secret | None] = msgspec.field(default_factory=dict)

    def read(self, place: str, section: type[_Section]) -> _Section:
        """The table at `place` (`stability`, `hosts.mine`), its defaults where there is none.

        Raises `SettingsError`, for a key that somebody has written there too.
        """
        values: Any = self.tables
        for name in place.split("."):
            values = values.get(name, {})
        names = section.__struct_encode_fields__
        if isinstance(values, dict) and "key" in values and "key" not in names:
            raise SettingsError(
                f"{self.path}: [{place}] key: a key does not belong in this file.",
                getattr(section, "key_hint", KEY_HINT).format(place=place),
            )
        return self.convert(values, section, place)

    def convert(self, values: Any, section: type[_Section], place: str = "") -> _Section:
        """`values` as `section`; `place` is empty for the whole file. Raises `SettingsError`."""
        try:
            return msgspec.convert(values, type=section)
        except msgspec.ValidationError as error:
            raise SettingsError(f"{self.path}: {explain(str(error), section, place)}") from None

    def list_names(self, table: str) -> tuple[str, ...]:
        """The names of the tables in `table`. Raises `SettingsError` when it is none."""
        values = self.tables.get(table, {})
        try:
            return tuple(msgspec.convert(values, type=dict[str, Any]))
        except msgspec.ValidationError as error:
            said = explain(str(error), msgspec.Struct, table)
            raise SettingsError(f"{self.path}: {said}") from None

    def find_path(self, text: str | None) -> Path | None:
        """The file that the setting `text` names, relative to the folder of this one.

        Raises `SettingsError` for what can be the name of none.
        """
        if text is None:
            return None
        try:
            path = Path(text).expanduser()
        except RuntimeError:
            raise SettingsError(
                f"{self.path}: {text!r} is in the home folder of a user whom nobody knows here.",
                "Write the whole path.",
            ) from None
        if "\0" in text:
            raise SettingsError(f"{self.path}: {text!r} cannot be the name of a file.")
        return path if self.path is None else self.path.parent / path


def read_config_file(path: Path, environ: Mapping[str, str]) -> ConfigFile:
    """The file at `path`, empty where there is none. Raises `SettingsError`.

    It can have programs started and keys sent elsewhere, so one that somebody else owns or may
    write is refused, as ssh does with its own. A byte order mark, which editors of Windows write,
    is passed over.
    """
    data = read_own_file(path)
    if data is None:
        return ConfigFile(path=path, environ=environ)
    # Not before there is a file to read.
    import tomllib

    try:
        tables = tomllib.loads(data.decode("utf-8-sig"))
        _check_depth(tables)
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path} is not UTF-8 text (byte {error.start}).", "Save it again as UTF-8."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from None
    except RecursionError:
        raise SettingsError(
            f"{path} is nested too deep to be read.",
            f"No setting needs more than {DEPTH_LIMIT} levels: take the others out.",
        ) from None
    except ValueError:
        # What Python says of it names a call, and nothing that a person could change.
        raise SettingsError(
            f"{path} holds a number or a time that is out of range.",
            "Correct it, or take the line out.",
        ) from None
    return ConfigFile(path=path, tables=tables, environ=environ)


def _check_depth(tables: Mapping[str, Any]) -> None:
    """Raise `RecursionError`, as the parser itself does, where tables nest deeper than we go."""
    level: list[Any] = [tables]
    for _ in range(DEPTH_LIMIT):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise RecursionError


def read_own_file(path: Path) -> bytes | None:
    """The bytes of a file that nobody but its owner, who runs this, or root may write.

    None where there is none. Raises `SettingsError`.
    """
    try:
        named = path.lstat()
        # Not blocking: a FIFO would hold the program until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise SettingsError(
            f"{path} cannot be read: you may not.",
            spell_chown(path.parent),
        ) from None
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or error
        raise SettingsError(f"{path} cannot be read: {what}.") from None
    try:
        _check_owned(path, named.st_uid, os.fstat(descriptor))
        with os.fdopen(os.dup(descriptor), "rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}.") from None
    finally:
        os.close(descriptor)
    if len(data) > SIZE_LIMIT:
        raise SettingsError(f"{path} has more than {SIZE_LIMIT:,} bytes.", "Shorten it.")
    return data


def _check_owned(path: Path, link_owner: int, facts: os.stat_result) -> None:
    """Raise `SettingsError` unless it is a file that this user or root owns and alone may write."""
    if not stat.S_ISREG(facts.st_mode):
        raise SettingsError(
            f"{path} cannot be read: it is not a file.", "Remove it, or move it away."
        )
    if {link_owner, facts.st_uid} - {os.geteuid(), 0}:
        raise SettingsError(
            f"{path} belongs to another user, who could have programs started by it.",
            f"Remove it. {spell_chown(path)}",
        )
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = stat.S_IMODE(facts.st_mode)
        raise SettingsError(
            f"{path} may be written by others (mode {mode:04o}), who could have programs "
            "started by it.",
            f"Look at what is in it, then: chmod go-w {shlex.quote(str(path))}",
        )


_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<where>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_TYPES = {
    "bool": "true or false",
    "str": "a text",
    "float": "a number",
    "int": "a number",
    "array": "a list",
    "object": "a section",
}


def explain(text: str, section: type[msgspec.Struct], place: str = "") -> str:
    """A message of msgspec (`Expected … - at `$.a.b``) as a sentence that names the field.

    It was said of `section`, the table at `place`; empty: of the whole file.
    """
    match = _AT.match(text)
    assert match is not None
    what, name = match["what"], match["where"] or ""
    where = f"[{place}] {name}".strip() if place else f"[{name}]" if name else ""
    if unknown := _UNKNOWN.fullmatch(what):
        return refuse_unknown(unknown["name"], section.__struct_encode_fields__, where)
    what = re.sub("`([^`]*)`", lambda match: _name_types(match[1]), what)
    if choices := _list_choices(section, name):
        what = f"{what}. Known: {', '.join(choices)}"
    return f"{where}: {what[0].lower()}{what[1:]}."


def refuse_unknown(name: str, known: tuple[str, ...], where: str = "") -> str:
    """That there is no setting `name` at `where`, and which there are."""
    shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    kind = f"{where} {shown}" if where else f"[{shown}]"
    return f"{kind}: there is no such setting. Known: {', '.join(known) or 'none'}."


def _list_choices(section: type[msgspec.Struct], name: str) -> tuple[str, ...]:
    """The words of the field `name` of `section`, where only some are taken."""
    for field in msgspec.structs.fields(section):
        if field.encode_name == name and get_origin(field.type) is Literal:
            return get_args(field.type)
    return ()


def _name_types(types: str) -> str:
    names = [name for name in types.split(" | ") if name != "null"]
    return " or ".join(_TYPES.get(name, name) for name in names)
