"""What the clients of both protocols do around a call: the key before, the spool after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engines.base import EngineError, Failure
from engines.key import SettingsError
from engines.secret import Secret
from engines.stability.outcomes import clean_text, make_missing_key_error
from engines.stability.target import Target
from store.errors import StoreError


async def read_key(key: Secret | None, target: Target) -> bool:
    """Whether there is a key; it is read here, in a thread, as a command may give it.

    Raises `EngineError` (MISSING_KEY) when `target` takes nothing without one.
    """
    if key is None:
        if target.is_hosted:
            raise make_missing_key_error(target.address)
        return False
    try:
        await asyncio.to_thread(lambda: bool(key.reveal()))
    except SettingsError as error:
        raise EngineError(Failure.MISSING_KEY, error.message, error.hint) from None
    return True


def put_aside(spool: Callable[[bytes], None], data: bytes, warnings: list[str]) -> None:
    """Spool an answer before it is read; what goes wrong is added to `warnings`."""
    try:
        spool(data)
    except (OSError, StoreError) as error:
        # The image may be paid for: better to go on with it in memory than to give it up.
        text = f"The answer could not be put aside before reading it: {clean_text(error)}."
        if text not in warnings:
            warnings.append(text)
