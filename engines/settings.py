"""What a person sets: `config.toml` and environment variables."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec

from engines.keys import (
    Secret,
    SettingsError,
    check_key,
    read_key_command,
    read_key_file,
    read_keyring,
)
from store.fields import check_name
from store.places import find_config_file

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


HOST_VARIABLE = "STABILITY_HOST"
REST_HOST_VARIABLE = "STABILITY_REST_HOST"
PROFILE_VARIABLE = "SAFELIGHT_PROFILE"

_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

__all__ = [
    "DEADLINE_SECONDS",
    "HOSTED",
    "HOST_VARIABLE",
    "IDLE_SECONDS",
    "KEY_VARIABLE",
    "PROFILE_VARIABLE",
    "REST_HOSTED",
    "REST_HOST_VARIABLE",
    "BudgetSettings",
    "BuiltinSettings",
    "InterfaceSettings",
    "Settings",
    "SettingsError",
    "StabilityRestSettings",
    "StabilitySettings",
    "WorkerSettings",
    "find_own_key_file",
    "load_settings",
    "load_user_settings",
    "name_account",
]


class StabilitySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The engine `stability`.

    `host`: `host:port` or `unix:/path`. `key`: None without one. `tls`: on or off, None for
    the rule (off for this machine, else on). `certificates`: a PEM file of the authorities
    to trust instead of the usual ones. `deadline_seconds` is the longest an image may take,
    `idle_seconds` the longest the server may say nothing. `models`: the names to offer, the
    default first; empty for those of the hosted service. `upscale_models`: likewise those that
    make an image larger. `is_free`: whether images cost nothing there, None for the rule (free
    on this machine).
    """

    host: str = HOSTED
    key: Secret | None = None
    tls: bool | None = None
    certificates: Path | None = None
    deadline_seconds: float = DEADLINE_SECONDS
    idle_seconds: float = IDLE_SECONDS
    models: tuple[str, ...] = ()
    upscale_models: tuple[str, ...] = ()
    is_free: bool | None = None


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


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set.

    `stability` is that of the chosen `profile` (None: of the section [stability]); `profiles`
    holds all, the section [stability] under None.
    """

    stability: StabilitySettings = StabilitySettings()
    profile: str | None = None
    profiles: dict[str | None, StabilitySettings] = {}
    budget: BudgetSettings = BudgetSettings()
    stability_rest: StabilityRestSettings = StabilityRestSettings()
    builtin: BuiltinSettings = BuiltinSettings()
    interface: InterfaceSettings = InterfaceSettings()
    worker: WorkerSettings = WorkerSettings()

    def for_profile(self, profile: str | None) -> Settings:
        """The same with another profile chosen. Raises `SettingsError` with the known names."""
        if profile == self.profile:
            return self
        if profile not in self.profiles:
            raise _refuse_profile(str(profile), self.profiles)
        return msgspec.structs.replace(self, stability=self.profiles[profile], profile=profile)


def _refuse_profile(name: str, known: Iterable[str | None]) -> SettingsError:
    listed = ", ".join(sorted(each for each in known if each)) or "none"
    return SettingsError(
        f"There is no profile {name!r}. Known: {listed}.",
        "Add a section [hosts.NAME] to config.toml.",
    )


def load_user_settings() -> Settings:
    """The settings of the person who runs this process. Raises `SettingsError`."""
    return load_settings(os.environ, find_config_file())


def load_settings(environ: Mapping[str, str], config_file: Path) -> Settings:
    """The settings in `config_file` (none when it does not exist) and `environ`, which wins.

    The key comes from the first of: `STABILITY_KEY`, the setting `key_command`, the setting
    `key_file`, the keyring if `keyring` is set, the file that `safelight key set --file`
    writes; all but the first are only read when the key is used. Raises `SettingsError`.
    """
    file = read_file(config_file)
    profiles: dict[str | None, StabilitySettings] = {
        None: _make_stability(environ, file.stability, config_file, None)
    }
    for name, values in file.hosts.items():
        if not _PROFILE.fullmatch(name):
            raise SettingsError(
                f"{config_file}: [hosts] {name!r} is not a name.",
                "Names have letters, digits, '_' and '-'.",
            )
        try:
            section = msgspec.convert(values, type=StabilitySection)
        except msgspec.ValidationError as error:
            text = explain(str(error), f"hosts.{name}")
            raise SettingsError(f"{config_file}: {text}") from None
        profiles[name] = _make_stability(environ, section, config_file, name)
    rest = file.stability_rest
    profile = environ.get(PROFILE_VARIABLE) or file.profile
    if profile not in profiles:
        raise _refuse_profile(str(profile), profiles)
    return Settings(
        stability=profiles[profile],
        profile=profile,
        profiles=profiles,
        stability_rest=StabilityRestSettings(
            host=environ.get(REST_HOST_VARIABLE) or rest.host,
            # Not the chosen profile's: the key of one's own server must not go to the service.
            key=profiles[None].key,
            certificates=_find_path(rest.certificates, config_file.parent),
            deadline_seconds=float(rest.deadline_seconds),
            idle_seconds=float(rest.idle_seconds),
        ),
        budget=file.budget,
        builtin=file.builtin,
        interface=file.interface,
        worker=file.worker,
    )


def find_own_key_file(profile: str | None, config_file: Path) -> Path:
    """The file that `safelight key set --file` writes for `profile` (None: [stability])."""
    return config_file.parent / "keys" / name_account(profile)


def name_account(profile: str | None) -> str:
    """What the key of `profile` is called in the keyring."""
    return "stability" if profile is None else f"hosts.{profile}"


def _make_stability(
    environ: Mapping[str, str], section: StabilitySection, config_file: Path, profile: str | None
) -> StabilitySettings:
    place = "stability" if profile is None else f"hosts.{profile}"
    names = section.models if section.model is None else (section.model, *section.models)
    for field, listed in (("models", names), ("upscale_models", section.upscale_models)):
        for name in listed:
            try:
                check_name(field, name)
            except ValueError:
                raise SettingsError(
                    f"{config_file}: [{place}] {field}: {name!r} is not a name of a model.",
                    "Names have small letters, digits, '.', '_' and '-'.",
                ) from None
    return StabilitySettings(
        host=environ.get(HOST_VARIABLE) or section.host,
        key=_find_key(environ, section, config_file, profile),
        tls=section.tls,
        certificates=_find_path(section.certificates, config_file.parent),
        deadline_seconds=float(section.deadline_seconds),
        idle_seconds=float(section.idle_seconds),
        models=tuple(dict.fromkeys(names)),
        upscale_models=tuple(dict.fromkeys(section.upscale_models)),
        is_free=section.free,
    )


def _find_path(text: str | None, folder: Path) -> Path | None:
    return None if text is None else folder / Path(text).expanduser()


def _find_key(
    environ: Mapping[str, str], section: StabilitySection, config_file: Path, profile: str | None
) -> Secret | None:
    if environ.get(KEY_VARIABLE):
        return check_key(Secret(environ[KEY_VARIABLE].strip()), f"The variable {KEY_VARIABLE}")
    if section.key_command is not None:
        argv = section.key_command
        return Secret.deferred(lambda: read_key_command(argv))
    if (path := _find_path(section.key_file, config_file.parent)) is not None:
        return Secret.deferred(lambda: read_key_file(path))
    if section.keyring:
        return Secret.deferred(lambda: read_keyring(name_account(profile)))
    if (own := find_own_key_file(profile, config_file)).is_file():
        return Secret.deferred(lambda: read_key_file(own))
    return None
