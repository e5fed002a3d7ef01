"""The engines that are installed, found by the entry point group `safelight.engines`.

A package offers an engine by an entry point whose name is the engine's and whose object is its
`EngineSpec`. Ours are found in the same way. One that cannot be loaded is told by name, and the
others work on.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from engines.base import EngineError, EngineSpec, Failure
from store.limits import suggest

if TYPE_CHECKING:
    import importlib.metadata

GROUP = "safelight.engines"
_OURS = f"{__package__}."


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """`specs` by the engines' names, the default first; `problems`: why others cannot be used."""

    specs: Mapping[str, EngineSpec[Any]]
    problems: Mapping[str, str]

    def get_spec(self, engine: str) -> EngineSpec[Any]:
        """The spec of `engine`. Raises `EngineError` with the known names, or what is wrong."""
        if engine in self.specs:
            return self.specs[engine]
        if engine in self.problems:
            raise EngineError(
                Failure.UNKNOWN_ENGINE,
                self.problems[engine],
                "Install its package again, or remove it.",
            )
        raise EngineError(
            Failure.UNKNOWN_ENGINE,
            f"There is no engine {engine!r}.",
            suggest(engine, self.specs)
            if self.specs
            else "None is known: install Safelight again.",
        )

    def find_spec(self, engine: str) -> EngineSpec[Any] | None:
        """The spec of `engine`, None where it is not installed (any more)."""
        return self.specs.get(engine)

    @property
    def default(self) -> EngineSpec[Any]:
        """The engine that is used where none is named. Raises `EngineError` without any."""
        return self.get_spec(next(iter(self.specs), "default"))


@cache
def read_entry_points(group: str) -> importlib.metadata.EntryPoints:
    """What the packages of this Python offer in `group`; they are looked at once in a process."""
    found: importlib.metadata.EntryPoints = _read_all().select(group=group)
    return found


@cache
def _read_all() -> Any:
    # Not before it is needed: it loads what reads mail.
    import importlib.metadata

    return importlib.metadata.entry_points()


@cache
def find_installed() -> Installed:
    """The engines of this Python; looked for once in a process."""
    specs: dict[str, EngineSpec[Any]] = {}
    problems: dict[str, str] = {}
    points = read_entry_points(GROUP)
    # Ours first, so that no other package can take their names.
    for point in sorted(points, key=lambda point: not point.value.startswith(_OURS)):
        name, package = point.name, point.dist.name if point.dist is not None else point.value
        about = f"The engine {name!r} of the package {package} cannot be used"
        if name in specs or name in problems:
            problems[f"{name} ({package})"] = f"{about}: there is another one of this name."
            continue
        try:
            spec = point.load()
        except Exception as error:  # noqa: BLE001 (a stranger's package; the others work on)
            problems[name] = f"{about}: {type(error).__name__}: {_flatten(error)}"
            continue
        if not isinstance(spec, EngineSpec) or spec.name != name:
            problems[name] = f"{about}: {point.value} is no EngineSpec of this name."
            continue
        specs[name] = spec
    order = sorted(specs, key=lambda name: (not specs[name].is_default, name))
    return Installed(specs={name: specs[name] for name in order}, problems=problems)


def _flatten(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or "it does not say why"
