"""What a person sets: `config.toml` and environment variables."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec

from engines.key import SettingsError, check_key, read_key_command, read_key_file
from engines.secret import Secret
from store.fields import check_name
from store.places import find_config_file

HOSTED = "grpc.stability.ai:443"
HOST_VARIABLE = "STABILITY_HOST"
REST_HOSTED = "https://api.stability.ai"
REST_HOST_VARIABLE = "STABILITY_REST_HOST"
KEY_VARIABLE = "STABILITY_KEY"

DEADLINE_SECONDS = 300.0
IDLE_SECONDS = 120.0
Images = Literal["auto", "kitty", "sixel", "cells", "none"]
Seconds = Annotated[float, msgspec.Meta(ge=1, le=24 * 3600)]

__all__ = [
    "Settings",
    "SettingsError",
    "StabilityRestSettings",
    "StabilitySettings",
    "load_settings",
    "load_user_settings",
]


class StabilitySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The engine `stability`.

    `host`: `host:port` or `unix:/path`. `key`: None without one. `tls`: on or off, None for
    the rule (off for this machine, else on). `certificates`: a PEM file of the authorities
    to trust instead of the usual ones. `deadline_seconds` is the longest an image may take,
    `idle_seconds` the longest the server may say nothing. `models`: the names to offer, the
    default first; empty for those of the hosted service. `upscale_models`: likewise those that
    make an image larger.
    """

    host: str = HOSTED
    key: Secret | None = None
    tls: bool | None = None
    certificates: Path | None = None
    deadline_seconds: float = DEADLINE_SECONDS
    idle_seconds: float = IDLE_SECONDS
    models: tuple[str, ...] = ()
    upscale_models: tuple[str, ...] = ()


class StabilityRestSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The engine `stability-rest`.

    `host`: `https://host`, or `http://host:port` for this machine. `key`: that of the engine
    `stability`. The others are as there.
    """

    host: str = REST_HOSTED
    key: Secret | None = None
    certificates: Path | None = None
    deadline_seconds: float = DEADLINE_SECONDS
    idle_seconds: float = IDLE_SECONDS


class BuiltinSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The embedded engine. It needs none so far; any key in its section is an error."""


class InterfaceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The interface: how images reach the terminal, and whether the mouse is used."""

    images: Images = "auto"
    mouse: bool = True


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The worker leaves after `idle_minutes` without a job; 0: at once."""

    idle_minutes: Annotated[float, msgspec.Meta(ge=0, le=7 * 24 * 60)] = 10.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set."""

    stability: StabilitySettings = StabilitySettings()
    stability_rest: StabilityRestSettings = StabilityRestSettings()
    builtin: BuiltinSettings = BuiltinSettings()
    interface: InterfaceSettings = InterfaceSettings()
    worker: WorkerSettings = WorkerSettings()


class _StabilitySection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: Annotated[str, msgspec.Meta(min_length=1)] = HOSTED
    key_command: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] | None = None
    key_file: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    tls: bool | None = None
    certificates: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    deadline_seconds: Seconds = DEADLINE_SECONDS
    idle_seconds: Seconds = IDLE_SECONDS
    models: tuple[str, ...] = ()
    upscale_models: tuple[str, ...] = ()


class _StabilityRestSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: Annotated[str, msgspec.Meta(min_length=1)] = REST_HOSTED
    certificates: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    deadline_seconds: Seconds = DEADLINE_SECONDS
    idle_seconds: Seconds = IDLE_SECONDS


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    stability: _StabilitySection = _StabilitySection()
    stability_rest: _StabilityRestSection = _StabilityRestSection()
    builtin: BuiltinSettings = BuiltinSettings()
    interface: InterfaceSettings = InterfaceSettings()
    worker: WorkerSettings = WorkerSettings()


def load_user_settings() -> Settings:
    """The settings of the person who runs this process. Raises `SettingsError`."""
    return load_settings(os.environ, find_config_file())


def load_settings(environ: Mapping[str, str], config_file: Path) -> Settings:
    """The settings in `config_file` (none when it does not exist) and `environ`, which wins.

    The key comes from the first of: `STABILITY_KEY`, the setting `key_command`, the setting
    `key_file`; the latter two are only read when the key is used. Raises `SettingsError`.
    """
    file = _read_file(config_file)
    section = file.stability
    for field in ("models", "upscale_models"):
        for name in getattr(section, field):
            try:
                check_name(field, name)
            except ValueError:
                raise SettingsError(
                    f"{config_file}: [stability] {field}: {name!r} is not a name of a model.",
                    "Names have small letters, digits, '.', '_' and '-'.",
                ) from None
    folder = config_file.parent
    key, rest = _find_key(environ, section, folder), file.stability_rest
    return Settings(
        stability=StabilitySettings(
            host=environ.get(HOST_VARIABLE) or section.host,
            key=key,
            tls=section.tls,
            certificates=_find_path(section.certificates, folder),
            deadline_seconds=float(section.deadline_seconds),
            idle_seconds=float(section.idle_seconds),
            models=tuple(dict.fromkeys(section.models)),
            upscale_models=tuple(dict.fromkeys(section.upscale_models)),
        ),
        stability_rest=StabilityRestSettings(
            host=environ.get(REST_HOST_VARIABLE) or rest.host,
            key=key,
            certificates=_find_path(rest.certificates, folder),
            deadline_seconds=float(rest.deadline_seconds),
            idle_seconds=float(rest.idle_seconds),
        ),
        builtin=file.builtin,
        interface=file.interface,
        worker=file.worker,
    )


def _find_path(text: str | None, folder: Path) -> Path | None:
    return None if text is None else folder / Path(text).expanduser()


def _find_key(
    environ: Mapping[str, str], section: _StabilitySection, folder: Path
) -> Secret | None:
    if environ.get(KEY_VARIABLE):
        return check_key(Secret(environ[KEY_VARIABLE].strip()), f"The variable {KEY_VARIABLE}")
    if section.key_command is not None:
        argv = section.key_command
        return Secret.deferred(lambda: read_key_command(argv))
    if (path := _find_path(section.key_file, folder)) is not None:
        return Secret.deferred(lambda: read_key_file(path))
    return None


def _read_file(path: Path) -> _File:
    try:
        values: Any = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return _File()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text (byte {error.start}).") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from None
    for section in ("stability", "stability-rest"):
        if isinstance(values.get(section), dict) and "key" in values[section]:
            raise SettingsError(
                f"{path}: [{section}] key: a key does not belong in this file.",
                "Put it into a file of its own (mode 0600) and name that as key_file in the "
                f"section [stability], or set {KEY_VARIABLE}.",
            )
    try:
        return msgspec.convert(values, type=_File)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {_explain(str(error))}") from None


_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<where>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_KNOWN: dict[str, tuple[str, ...]] = {
    "": _File.__struct_encode_fields__,
    "stability": _StabilitySection.__struct_fields__,
    "stability-rest": _StabilityRestSection.__struct_fields__,
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


def _explain(text: str) -> str:
    """A message of msgspec (`Expected … - at `$.a.b``) as a sentence that names the field."""
    match = _AT.match(text)
    assert match is not None
    what, where = match["what"], match["where"] or ""
    section, _, name = where.partition(".")
    place = f"[{section}] {name}".strip() if section else ""
    if unknown := _UNKNOWN.fullmatch(what):
        known = ", ".join(_KNOWN.get(section, ())) or "none"
        kind = f"{place} {unknown['name']}" if place else f"[{unknown['name']}]"
        return f"{kind}: there is no such setting. Known: {known}."
    what = re.sub("`([^`]*)`", lambda match: _name_types(match[1]), what)
    if where in _CHOICES:
        what = f"{what}. Known: {', '.join(_CHOICES[where])}"
    return f"{place}: {what[0].lower()}{what[1:]}."


def _name_types(types: str) -> str:
    names = [name for name in types.split(" | ") if name != "null"]
    return " or ".join(_TYPES.get(name, name) for name in names)
