"""The file `config.toml`: its sections, and what is wrong with it in words."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec

from engines.keys import SettingsError

HOSTED = "grpc.stability.ai:443"
REST_HOSTED = "https://api.stability.ai"
KEY_VARIABLE = "STABILITY_KEY"

DEADLINE_SECONDS = 300.0
IDLE_SECONDS = 120.0
Images = Literal["auto", "kitty", "sixel", "cells", "none"]
Seconds = Annotated[float, msgspec.Meta(ge=1, le=24 * 3600)]


class BuiltinSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The embedded engine. It needs none so far; any key in its section is an error."""


class InterfaceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The interface: how images reach the terminal, and whether the mouse is used."""

    images: Images = "auto"
    mouse: bool = True


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The worker leaves after `idle_minutes` without a job; 0: at once."""

    idle_minutes: Annotated[float, msgspec.Meta(ge=0, le=7 * 24 * 60)] = 10.0


Credits = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class BudgetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What paid images may cost.

    `credits_per_day`: no image is asked for beyond it, None for no limit. `prices`: credits an
    image by model, where the price list knows better or nothing.
    """

    credits_per_day: Credits | None = None
    prices: dict[str, Credits] = {}


class StabilitySection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[stability] and each of [hosts.NAME], as written; see `engines.settings`."""

    host: Annotated[str, msgspec.Meta(min_length=1)] = HOSTED
    key_command: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] | None = None
    key_file: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    keyring: bool = False
    tls: bool | None = None
    certificates: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    deadline_seconds: Seconds = DEADLINE_SECONDS
    idle_seconds: Seconds = IDLE_SECONDS
    model: str | None = None
    models: tuple[str, ...] = ()
    upscale_models: tuple[str, ...] = ()
    free: bool | None = None


class StabilityRestSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[stability-rest], as written."""

    host: Annotated[str, msgspec.Meta(min_length=1)] = REST_HOSTED
    certificates: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    deadline_seconds: Seconds = DEADLINE_SECONDS
    idle_seconds: Seconds = IDLE_SECONDS


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """The whole file. The tables of `hosts` are read one by one, so that errors name them."""

    stability: StabilitySection = StabilitySection()
    hosts: dict[str, dict[str, Any]] = {}
    profile: str | None = None
    budget: BudgetSettings = BudgetSettings()
    stability_rest: StabilityRestSection = StabilityRestSection()
    builtin: BuiltinSettings = BuiltinSettings()
    interface: InterfaceSettings = InterfaceSettings()
    worker: WorkerSettings = WorkerSettings()


def read_file(path: Path) -> File:
    """The file at `path`, the defaults where there is none. Raises `SettingsError`."""
    try:
        values: Any = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return File()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text (byte {error.start}).") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from None
    hosts = values.get("hosts")
    places = {f"hosts.{name}": host for name, host in hosts.items()} if _is_table(hosts) else {}
    for place in ("stability", "stability-rest"):
        places[place] = values.get(place)
    for place, section in places.items():
        if _is_table(section) and "key" in section:
            raise SettingsError(
                f"{path}: [{place}] key: a key does not belong in this file.",
                "Put it into a file of its own (mode 0600) and name that as key_file in the "
                f"section [{place.removesuffix('-rest')}], or set {KEY_VARIABLE}.",
            )
    try:
        return msgspec.convert(values, type=File)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {explain(str(error))}") from None


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<where>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_KNOWN: dict[str, tuple[str, ...]] = {
    "": File.__struct_encode_fields__,
    "stability": StabilitySection.__struct_fields__,
    "hosts": StabilitySection.__struct_fields__,
    "budget": BudgetSettings.__struct_fields__,
    "stability-rest": StabilityRestSection.__struct_fields__,
    "builtin": BuiltinSettings.__struct_fields__,
    "interface": InterfaceSettings.__struct_fields__,
    "worker": WorkerSettings.__struct_fields__,
}
_TYPES = {
    "bool": "true or false",
    "str": "a text",
    "float": "a number",
    "int": "a number",
    "array": "a list",
    "object": "a section",
}
_CHOICES = {"interface.images": get_args(Images)}


def explain(text: str, section: str = "") -> str:
    """A message of msgspec (`Expected … - at `$.a.b``) as a sentence that names the field.

    `section` is the one that was read, when it was not the whole file.
    """
    match = _AT.match(text)
    assert match is not None
    what, where = match["what"], match["where"] or ""
    name = where
    if not section:
        section, _, name = where.partition(".")
    place = f"[{section}] {name}".strip() if section else ""
    if unknown := _UNKNOWN.fullmatch(what):
        known = ", ".join(_KNOWN.get(section.partition(".")[0], ())) or "none"
        kind = f"{place} {unknown['name']}" if place else f"[{unknown['name']}]"
        return f"{kind}: there is no such setting. Known: {known}."
    what = re.sub("`([^`]*)`", lambda match: _name_types(match[1]), what)
    if where in _CHOICES:
        what = f"{what}. Known: {', '.join(_CHOICES[where])}"
    return f"{place}: {what[0].lower()}{what[1:]}."


def _name_types(types: str) -> str:
    names = [name for name in types.split(" | ") if name != "null"]
    return " or ".join(_TYPES.get(name, name) for name in names)
