"""Stability AI over gRPC: the messages of its protocol, built, sent and read by us."""

from __future__ import annotations

from pathlib import Path

from engines.base import Engine, EngineError, EngineSpec, Judgement
from engines.capabilities import Capabilities
from engines.config_file import ConfigFile
from engines.keys import (
    KEYS_FOLDER,
    Secret,
    SettingsError,
    check_key,
    read_key_command,
    read_key_file,
    read_keyring,
)
from engines.remote import check_key_there, describe_host, find_target, judge_change
from engines.stability.models import (
    ENGINE,
    StabilitySection,
    StabilitySettings,
    describe_losses,
    estimate_credits,
    make_capabilities,
)
from store.limits import check_model
from store.records import EnvironmentRecord
from store.request import Request

HOST_VARIABLE = "STABILITY_HOST"
KEY_VARIABLE = "STABILITY_KEY"
HOSTS_TABLE = "hosts"


class StabilitySpec(EngineSpec[StabilitySettings]):
    """The engine `stability`; each host profile is a server of the protocol."""

    name = ENGINE
    section = StabilitySection
    hosts_table = HOSTS_TABLE
    variables = (HOST_VARIABLE, KEY_VARIABLE)

    def get_capabilities(self, settings: StabilitySettings) -> Capabilities:
        """What the host is said to have."""
        return make_capabilities(settings.models, settings.upscale_models)

    def open(self, settings: StabilitySettings, *, processes: int | None = None) -> Engine:
        """A client of the host."""
        from engines.stability.engine import StabilityEngine

        return StabilityEngine(settings)

    def check_ready(self, settings: StabilitySettings) -> None:
        """The service wants a key."""
        check_key_there(settings.key, find_target(settings.host, settings.tls))

    def configure(
        self, section: StabilitySection, config: ConfigFile, place: str
    ) -> StabilitySettings:
        """The settings of one host.

        The key comes from the first of: `STABILITY_KEY`, the setting `key_command`, the setting
        `key_file`, the keyring if `keyring` is set, the file that `safelight key set --file`
        writes; all but the first are only read when the key is used. Raises `SettingsError`.
        """
        names = section.models if section.model is None else (section.model, *section.models)
        for field, listed in (("models", names), ("upscale_models", section.upscale_models)):
            for name in listed:
                try:
                    check_model(field, name)
                except ValueError:
                    raise SettingsError(
                        f"{config.path}: [{place}] {field}: {name!r} is not a name of a model.",
                        "Names have small letters, digits, '.', '_' and '-', and may end in @3.",
                    ) from None
        return StabilitySettings(
            host=config.environ.get(HOST_VARIABLE) or section.host,
            key=find_key(section, config, place),
            tls=section.tls,
            certificates=config.find_path(section.certificates),
            deadline_seconds=float(section.deadline_seconds),
            idle_seconds=float(section.idle_seconds),
            models=tuple(dict.fromkeys(names)),
            upscale_models=tuple(dict.fromkeys(section.upscale_models)),
            is_free=section.free,
        )

    def estimate_cost(self, request: Request, settings: StabilitySettings) -> float | None:
        """The hosted service's price, nothing where the host is free."""
        is_free = settings.is_free
        if is_free is None:
            try:
                is_free = find_target(settings.host, settings.tls).is_local
            except EngineError:
                is_free = False
        return 0.0 if is_free else estimate_credits(request)

    def judge_change(
        self, name: str, request: Request, then: EnvironmentRecord, now: EnvironmentRecord
    ) -> Judgement:
        """The server decides; what carries the message does not."""
        return judge_change(name)

    def describe_losses(self, request: Request) -> tuple[str, ...]:
        """What does not repeat or is not read."""
        return describe_losses(request)

    def examine(self, settings: StabilitySettings) -> str:
        """The host, and whether there is a key."""
        return describe_host(settings)


def name_account(profile: str | None) -> str:
    """What the key of a host profile is called in the keyring, and its file."""
    return ENGINE if profile is None else f"{HOSTS_TABLE}.{profile}"


def find_own_key_file(profile: str | None, config_file: Path) -> Path:
    """The file that `safelight key set --file` writes for `profile` (None: [stability])."""
    return config_file.parent / KEYS_FOLDER / name_account(profile)


def find_key(section: StabilitySection, config: ConfigFile, place: str) -> Secret | None:
    """The key of the host whose section stands at `place`. Raises `SettingsError`."""
    if place not in config.keys:
        config.keys[place] = _find_key(section, config, place)
    return config.keys[place]


def _find_key(section: StabilitySection, config: ConfigFile, place: str) -> Secret | None:
    if config.environ.get(KEY_VARIABLE):
        key = Secret(config.environ[KEY_VARIABLE].strip())
        return check_key(key, f"The variable {KEY_VARIABLE}")
    if section.key_command is not None:
        argv = section.key_command
        return Secret.deferred(lambda: read_key_command(argv))
    if (path := config.find_path(section.key_file)) is not None:
        return Secret.deferred(lambda: read_key_file(path))
    if section.keyring:
        return Secret.deferred(lambda: read_keyring(place))
    if config.path is not None and (own := config.path.parent / KEYS_FOLDER / place).is_file():
        return Secret.deferred(lambda: read_key_file(own))
    return None


SPEC = StabilitySpec()
