"""Stability AI over REST (v2beta)."""

from __future__ import annotations

from engines.base import Engine, EngineError, EngineSpec, Judgement
from engines.capabilities import Capabilities
from engines.config_file import ConfigFile
from engines.remote import check_key_there, describe_host, find_web_target, judge_change
from engines.stability import KEY_VARIABLE, find_key
from engines.stability.models import StabilitySection
from engines.stability_rest.models import (
    CAPABILITIES,
    ENGINE,
    KEY_PLACE,
    PRICES,
    StabilityRestSection,
    StabilityRestSettings,
    describe_losses,
)
from store.records import EnvironmentRecord
from store.request import Request

HOST_VARIABLE = "STABILITY_REST_HOST"


class StabilityRestSpec(EngineSpec[StabilityRestSettings]):
    """The engine `stability-rest`, whose key is that of [stability]."""

    name = ENGINE
    section = StabilityRestSection
    variables = (HOST_VARIABLE, KEY_VARIABLE)

    def get_capabilities(self, settings: StabilityRestSettings) -> Capabilities:
        """What the service has."""
        return CAPABILITIES

    def open(self, settings: StabilityRestSettings, *, processes: int | None = None) -> Engine:
        """A client of the service."""
        from engines.stability_rest.engine import StabilityRestEngine

        return StabilityRestEngine(settings)

    def check_ready(self, settings: StabilityRestSettings) -> None:
        """The service wants a key."""
        check_key_there(settings.key, find_web_target(settings.host))

    def configure(
        self, section: StabilityRestSection, config: ConfigFile, place: str
    ) -> StabilityRestSettings:
        """The settings. Raises `SettingsError`."""
        return StabilityRestSettings(
            host=config.environ.get(HOST_VARIABLE) or section.host,
            # Not the chosen profile's: the key of one's own server must not go to the service.
            key=find_key(config.read(KEY_PLACE, StabilitySection), config, KEY_PLACE),
            certificates=config.find_path(section.certificates),
            deadline_seconds=float(section.deadline_seconds),
            idle_seconds=float(section.idle_seconds),
        )

    def estimate_cost(self, request: Request, settings: StabilityRestSettings) -> float | None:
        """The service's price, nothing on this machine."""
        host = settings.host
        try:
            is_free = find_web_target(host).is_local
        except EngineError:
            is_free = False
        return 0.0 if is_free else PRICES.get(request.model)

    def judge_change(
        self, name: str, request: Request, then: EnvironmentRecord, now: EnvironmentRecord
    ) -> Judgement:
        """The server decides; what carries the message does not."""
        return judge_change(name)

    def describe_losses(self, request: Request) -> tuple[str, ...]:
        """What of the prompts and of the initial image does not travel."""
        return describe_losses(request)

    def examine(self, settings: StabilityRestSettings) -> str:
        """The host, and whether there is a key."""
        return describe_host(settings)


SPEC = StabilityRestSpec()
