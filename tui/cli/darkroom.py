"""A darkroom for the length of one command."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from store.errors import SafelightError
from store.folder import find_data_directory
from tui.cli.output import end_with_error
from tui.darkroom import Darkroom

T = TypeVar("T")


@contextlib.asynccontextmanager
async def open_darkroom() -> AsyncIterator[Darkroom]:
    """The darkroom of the data directory that the environment names, open."""
    from engines.settings import load_user_settings

    darkroom = Darkroom(find_data_directory(), load_user_settings())
    await darkroom.open()
    try:
        yield darkroom
    finally:
        await darkroom.close()


def run_command(work: Coroutine[Any, Any, T], *, as_json: bool = False) -> T:
    """Run `work`; an error meant for the person ends the program with status 2."""
    try:
        return asyncio.run(work)
    except SafelightError as error:
        end_with_error(error, as_json=as_json)
