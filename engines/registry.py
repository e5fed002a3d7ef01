"""The engines of one configuration, by name. Asking what they accept opens none of them.

Nobody else need know an engine's name: what differs between engines is asked of their specs and
capabilities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from engines.base import Engine, EngineError, EngineSpec, Failure, TokenizedPrompt
from engines.capabilities import Capabilities
from engines.installed import find_installed
from engines.settings import Settings
from store.errors import SafelightError
from store.records import EnvironmentRecord
from store.request import Request

if TYPE_CHECKING:
    from PIL import Image as Pillow


class EngineRegistry:
    """The installed engines with the settings of one configuration.

    Each is opened when it is first asked for, and kept.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._installed = find_installed()
        self._engines: dict[str, Engine] = {}
        self._capabilities: dict[str, Capabilities] = {}

    def list_engines(self) -> tuple[str, ...]:
        """The names of the engines that can be used, the default first."""
        return tuple(name for name in self._installed.specs if self._find_problem(name) is None)

    @property
    def default_engine(self) -> str:
        """The engine that is used where none is named."""
        return self._installed.default.name

    @property
    def problems(self) -> dict[str, str]:
        """Why installed engines cannot be used, by their names."""
        found = {name: self._find_problem(name) for name in self._installed.specs}
        return dict(self._installed.problems) | {
            name: problem for name, problem in found.items() if problem is not None
        }

    @property
    def paid_engines(self) -> frozenset[str]:
        """The engines whose images may cost money; those that cannot be asked are among them."""
        paid = {name for name in self.list_engines() if self.get_capabilities(name).is_paid}
        return frozenset(paid | self.problems.keys())

    def get_spec(self, engine: str) -> EngineSpec[Any]:
        """What is known of `engine` without its settings. Raises `EngineError`."""
        return self._installed.get_spec(engine)

    def has_profiles(self, engine: str) -> bool:
        """Whether `engine` has host profiles."""
        spec = self._installed.find_spec(engine)
        return spec is not None and bool(spec.hosts_table)

    def examine(self, engine: str) -> str:
        """One line about `engine` for who looks for a fault. Raises `EngineError`."""
        spec = self.get_spec(engine)
        return spec.examine(self.settings.of(spec))

    def get_capabilities(self, engine: str) -> Capabilities:
        """What `engine` accepts. Raises `EngineError`, with the known names where it is unknown."""
        if engine not in self._capabilities:
            spec = self.get_spec(engine)
            try:
                found = spec.get_capabilities(self.settings.of(spec))
            except SafelightError:
                raise
            except Exception as error:
                raise EngineError(
                    Failure.INTERNAL,
                    f"The engine {engine!r} does not say what it accepts "
                    f"({type(error).__name__}: {error}).",
                    "Install its package again, or remove it.",
                ) from error
            self._capabilities[engine] = found
        return self._capabilities[engine]

    def _find_problem(self, engine: str) -> str | None:
        try:
            self.get_capabilities(engine)
        except SafelightError as error:
            return error.message
        return None

    def tokenize(self, engine: str, text: str, style_preset: str | None = None) -> TokenizedPrompt:
        """What the engine's model reads of `text`; all of it where nobody knows its words.

        The first call may read a vocabulary from the disk. Raises `EngineError` when it is
        damaged.
        """
        spec = self._installed.find_spec(engine)
        return TokenizedPrompt() if spec is None else spec.tokenize(text, style_preset)

    def check_ready(self, engine: str) -> None:
        """Raise `EngineError` for what `engine` is known to lack before anything is sent."""
        if (spec := self._installed.find_spec(engine)) is not None:
            spec.check_ready(self.settings.of(spec))

    def estimate_cost(self, request: Request) -> float | None:
        """The credits that `request` may cost, 0 where images are free, None if not known."""
        from engines.cost import estimate_cost

        return estimate_cost(request, self.settings)

    def pin(self, request: Request, environment: EnvironmentRecord | None = None) -> Request:
        """`request` with the revision of its model named; see `EngineSpec.name_model`."""
        spec = self._installed.find_spec(request.engine)
        model = request.model if spec is None else spec.name_model(request, environment)
        return request if model == request.model else msgspec.structs.replace(request, model=model)

    def describe_environment(self, request: Request) -> EnvironmentRecord:
        """What would decide the pixels of `request`, whose model is pinned, if it were made now.

        Opens its engine and may load its model. Raises `SafelightError`.
        """
        spec = self.get_spec(request.engine)
        return spec.describe_environment(request, self.get_engine(request.engine))

    def encode(self, engine: str, image: Pillow.Image) -> bytes | None:
        """The file that `engine` would write of these pixels; None where that is not known."""
        spec = self._installed.find_spec(engine)
        return None if spec is None else spec.encode(image)

    def has_losses(self, engine: str) -> bool:
        """Whether `engine` tells losses at all, so that who edits need not ask at every key."""
        spec = self._installed.specs.get(engine)
        return spec is not None and type(spec).describe_losses is not EngineSpec.describe_losses

    def describe_losses(self, request: Request) -> tuple[str, ...]:
        """What of `request` its engine cannot honour; see `EngineSpec.describe_losses`."""
        spec = self._installed.find_spec(request.engine)
        return () if spec is None else spec.describe_losses(request)

    def get_engine(self, engine: str) -> Engine:
        """The engine itself, opened once. Raises `EngineError`."""
        if engine not in self._engines:
            spec = self.get_spec(engine)
            self._engines[engine] = spec.open(self.settings.of(spec))
        return self._engines[engine]

    async def close(self) -> None:
        """Close every engine that was opened."""
        for engine in self._engines.values():
            await engine.close()
        self._engines.clear()


def make_engine(engine: str) -> Engine:
    """An engine of this machine for a fleet: it needs no settings and one processor.

    Raises `EngineError`.
    """
    spec = find_installed().get_spec(engine)
    return spec.open(Settings().of(spec), processes=1)
