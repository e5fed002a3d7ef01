"""The file `config.toml`: its tables, and what is wrong with them in words."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from engines.keys import Secret, SettingsError

_Section = TypeVar("_Section", bound=msgspec.Struct)

KEY_HINT = "Put it into a file of its own (mode 0600), or into the environment."
"""What is said of a key in the file; a section may have a `key_hint` of its own."""


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
        """The file that the setting `text` names, relative to the folder of this one."""
        if text is None:
            return None
        path = Path(text).expanduser()
        return path if self.path is None else self.path.parent / path


def read_config_file(path: Path, environ: Mapping[str, str]) -> ConfigFile:
    """The file at `path`, empty where there is none. Raises `SettingsError`."""
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        tables = {}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text (byte {error.start}).") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from None
    return ConfigFile(path=path, tables=tables, environ=environ)


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
    kind = f"{where} {name}" if where else f"[{name}]"
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
