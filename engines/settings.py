"""What a person sets: `config.toml` and environment variables.

The section of an engine is read by the engine's own `EngineSpec`, whoever wrote it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast, get_args, get_origin

import msgspec

from engines.base import EngineSpec
from engines.config_file import ConfigFile, read_config_file, refuse_unknown
from engines.installed import find_installed
from engines.keys import SettingsError
from store.folder import find_config_file

PROFILE_VARIABLE = "SAFELIGHT_PROFILE"

_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

Images = Literal["auto", "kitty", "sixel", "cells", "none"]
Colours = Literal["auto", "truecolor", "256", "16", "none"]
Notify = Literal["auto", "bell", "osc9", "osc777", "osc99", "none"]
Credits = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
_Own = TypeVar("_Own")


class InterfaceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The interface.

    How images reach the terminal, how many colours it gets, whether the mouse is used, whether
    the terminal is asked what it can show, and the theme to begin with. `notify`: how it is told
    that jobs have ended that took `notify_after` seconds or more. `title`: whether the terminal's
    title says what is made.
    """

    images: Images = "auto"
    colours: Colours = "auto"
    ask_terminal: bool = True
    mouse: bool = True
    theme: str = "auto"
    notify: Notify = "auto"
    notify_after: Annotated[float, msgspec.Meta(ge=0, le=24 * 60 * 60)] = 10.0
    title: bool = True


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The worker leaves after `idle_minutes` without a job; 0: at once."""

    idle_minutes: Annotated[float, msgspec.Meta(ge=0, le=7 * 24 * 60)] = 10.0


class BudgetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What paid images may cost.

    `credits_per_day`: no image is asked for beyond it, None for no limit. `prices`: credits an
    image by model, where the price list knows better or nothing.
    """

    credits_per_day: Credits | None = None
    prices: dict[str, Credits] = {}


class _Top(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in no section."""

    profile: str | None = None


_SHARED = ("profile", "budget", "interface", "keys", "worker")
"""What belongs to no engine."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set.

    `engines`: the settings of each engine by its name, as its spec made them, with the chosen
    host `profile`; ask `of`. `profiles` holds those of the engines that have hosts, by profile:
    under None what their own sections say. `keys`: keys of the interface by the id of what they
    do (`{"prompt.add": "b,ctrl+n"}`), unchecked.
    """

    engines: Mapping[str, Any] = {}
    profile: str | None = None
    profiles: Mapping[str | None, Mapping[str, Any]] = {}
    budget: BudgetSettings = BudgetSettings()
    interface: InterfaceSettings = InterfaceSettings()
    worker: WorkerSettings = WorkerSettings()
    keys: Mapping[str, str] = {}

    def of(self, spec: EngineSpec[_Own]) -> _Own:
        """The settings of the engine of `spec`: its defaults where none were read."""
        found = self.engines.get(spec.name)
        if found is None:
            return spec.configure(spec.section(), ConfigFile(), spec.name)
        return cast(_Own, found)

    def for_profile(self, profile: str | None) -> Settings:
        """The same with another profile chosen. Raises `SettingsError` with the known names."""
        if profile == self.profile:
            return self
        if profile not in self.profiles:
            raise _refuse_profile(str(profile), self.profiles)
        own = {**self.profiles.get(None, {}), **self.profiles[profile]}
        return msgspec.structs.replace(self, engines={**self.engines, **own}, profile=profile)


def _refuse_profile(name: str, known: Iterable[str | None]) -> SettingsError:
    listed = ", ".join(sorted(each for each in known if each)) or "none"
    return SettingsError(
        f"There is no profile {name!r}. Known: {listed}.",
        "Add a section [hosts.NAME] to config.toml.",
    )


def begin_config(path: Path) -> None:
    """Write a `config.toml` in which every setting is named and none is set, where there is none.

    Raises `SettingsError`.
    """
    if path.exists():
        return
    sections: dict[str, type[msgspec.Struct]] = {
        "interface": InterfaceSettings,
        "worker": WorkerSettings,
    }
    lines = ["# The settings of Safelight. What stands behind a # is the default.", ""]
    for name, section in sections.items():
        lines.append(f"# [{name}]")
        for field in msgspec.structs.fields(section):
            known = get_args(field.type) if get_origin(field.type) is Literal else ()
            words = f"  # {', '.join(map(str, known))}" if known else ""
            value = json.dumps(field.default)
            lines.append(f"# {field.name} = {value}{words}")
        lines.append("")
    lines += ["# [keys]", '# "prompt.add" = "b,ctrl+n"  # safelight keys lists the names', ""]
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("\n".join(lines))
    except FileExistsError:
        return
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror or error}.") from None


def load_user_settings() -> Settings:
    """The settings of the person who runs this process. Raises `SettingsError`."""
    return load_settings(os.environ, find_config_file())


def load_settings(environ: Mapping[str, str], config_file: Path) -> Settings:
    """The settings in `config_file` (none when it does not exist) and `environ`, which wins.

    Raises `SettingsError`.
    """
    config = read_config_file(config_file, environ)
    installed = find_installed()
    hosts = [spec for spec in installed.specs.values() if spec.hosts_table]
    known = (*installed.specs, *(spec.hosts_table for spec in hosts), *_SHARED)
    for name in config.tables:
        # The section of an engine that cannot be loaded is no mistake of the file.
        if name not in known and name not in installed.problems:
            raise SettingsError(f"{config_file}: {refuse_unknown(name, known)}")
    chosen = config.convert({"profile": config.tables.get("profile")}, _Top).profile
    engines = {
        name: own
        for name, spec in installed.specs.items()
        if (own := _read_engine(spec, config, name)) is not None
    }
    profiles: dict[str | None, dict[str, Any]] = {
        None: {spec.name: engines[spec.name] for spec in hosts if spec.name in engines}
    }
    for spec in hosts:
        for name in config.list_names(spec.hosts_table):
            if not _PROFILE.fullmatch(name):
                raise SettingsError(
                    f"{config_file}: [{spec.hosts_table}] {name!r} is not a name.",
                    "Names have letters, digits, '_' and '-'.",
                )
            own = _read_engine(spec, config, f"{spec.hosts_table}.{name}")
            profiles.setdefault(name, {})[spec.name] = own
    settings = Settings(
        engines=engines,
        profiles=profiles,
        budget=config.read("budget", BudgetSettings),
        interface=config.read("interface", InterfaceSettings),
        worker=config.read("worker", WorkerSettings),
        keys=dict(_list_keys(config, config.tables.get("keys", {}))),
    )
    return settings.for_profile(environ.get(PROFILE_VARIABLE) or chosen)


def _list_keys(config: ConfigFile, values: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Ids and keys of the section [keys]. Raises `SettingsError`.

    TOML takes `prompt.add = "b"` without quotes for a table in a table: that is meant as well.
    """
    if not isinstance(values, dict):
        raise SettingsError(f"{config.path}: [keys]: expected a section.")
    for name, value in values.items():
        identity = f"{place}.{name}" if place else name
        if isinstance(value, dict):
            yield from _list_keys(config, value, identity)
        elif isinstance(value, str):
            yield identity, value
        else:
            raise SettingsError(
                f"{config.path}: [keys] {identity}: expected a text.",
                f'Write it like {identity} = "b" or "b,ctrl+n".',
            )


def _read_engine(spec: EngineSpec[Any], config: ConfigFile, place: str) -> Any:
    """The settings of an engine; None where its spec fails, which is told when it is asked.

    Raises `SettingsError` for a mistake in the file.
    """
    try:
        return spec.configure(config.read(place, spec.section), config, place)
    except SettingsError:
        if place in config.tables or place != spec.name or config.environ.keys() & spec.variables:
            raise
        return None  # a section that may not be left out: who does not use the engine needs none
    except Exception:  # noqa: BLE001 (a stranger's package; the others work on)
        return None
