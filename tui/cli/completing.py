"""What a shell completes beside commands and options: ids, seeds, sessions, engines and theirs.

Each takes the beginning that was typed and gives what goes on from it, with a word about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from store.errors import SafelightError

ID_LENGTH = 8
SHOWN = 50
_SEED = "seed:"


def complete_image(incomplete: str) -> list[tuple[str, str]]:
    """Ids of the newest images, or `seed:N`."""
    from store.glance import list_image_names

    names = _look(list_image_names)
    if incomplete.startswith(_SEED[: len(incomplete) or 1]):
        return _begin(((f"{_SEED}{seed}", name[:ID_LENGTH]) for name, seed in names), incomplete)
    shown = ((name[: max(ID_LENGTH, len(incomplete))], f"seed {seed}") for name, seed in names)
    return _begin(shown, incomplete)


def complete_job(incomplete: str) -> list[tuple[str, str]]:
    """Ids of the newest jobs."""
    from store.glance import list_job_names

    shown = (
        (name[: max(ID_LENGTH, len(incomplete))], state) for name, state in _look(list_job_names)
    )
    return _begin(shown, incomplete)


def complete_session(incomplete: str) -> list[tuple[str, str]]:
    """Names of sessions."""
    from store.glance import list_session_names

    return _begin(((name, "") for name in _look(list_session_names)), incomplete)


def complete_engine(incomplete: str) -> list[tuple[str, str]]:
    """Names of engines, with their titles."""
    return _begin(((each.engine, each.title) for each in _list_capabilities()), incomplete)


def complete_sampler(incomplete: str) -> list[tuple[str, str]]:
    """Names of samplers, with what they are."""
    from tui.words import describe_sampler

    names = dict.fromkeys(name for each in _list_capabilities() for name in each.samplers)
    return _begin(((name, describe_sampler(name)) for name in names), incomplete)


def complete_model(incomplete: str) -> list[tuple[str, str]]:
    """Names of models, with their engines."""
    found = ((name, each.engine) for each in _list_capabilities() for name in each.models)
    return _begin(found, incomplete)


def complete_style(incomplete: str) -> list[tuple[str, str]]:
    """Names of style presets."""
    names = dict.fromkeys(name for each in _list_capabilities() for name in each.style_presets)
    return _begin(((name, "") for name in names), incomplete)


def _begin(found: Iterable[tuple[str, str]], incomplete: str) -> list[tuple[str, str]]:
    """Those that begin so and can be shown, each once."""
    fitting = {
        name: words for name, words in found if name.startswith(incomplete) and name.isprintable()
    }
    return list(fitting.items())[:SHOWN]


def _look(read: Any) -> Any:
    from store.folder import find_data_directory

    try:
        return read(find_data_directory())
    except SafelightError:
        return []


def _list_capabilities() -> list[Any]:
    """Of every engine that says what it accepts; none where the settings cannot be read."""
    from engines.registry import EngineRegistry
    from engines.settings import load_user_settings

    try:
        registry = EngineRegistry(load_user_settings())
    except SafelightError:
        return []
    return [registry.get_capabilities(name) for name in registry.list_engines()]
