"""What the clients of both protocols do around a call: the key, the spool, the image's head."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engines.base import EngineError, Failure
from engines.keys import SettingsError
from engines.remote import Target
from engines.secret import Secret
from engines.stability.outcomes import clean_text, make_missing_key_error
from store.errors import StoreError
from store.pixels import identify_image
from store.request import Request

KEPT = "What it sent is kept as it came."


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


class Spooler:
    """Puts the answers of one call aside in a thread, so that the next is read meanwhile.

    `take` gets each answer once it is on disk; what goes wrong there is added to `warnings`.
    """

    def __init__(
        self,
        spool: Callable[[bytes], None],
        take: Callable[[bytes], None],
        warnings: list[str],
    ) -> None:
        self._spool = spool
        self._take = take
        self._warnings = warnings
        self._data = b""
        self._work: asyncio.Future[None] | None = None

    def begin(self, data: bytes) -> None:
        """Begin to put `data` aside. The one before must be finished."""
        assert self._work is None
        self._data = data
        self._work = asyncio.ensure_future(
            asyncio.to_thread(put_aside, self._spool, data, self._warnings)
        )

    async def finish(self) -> None:
        """Return when what was begun is on disk and taken. Being cancelled does not end it."""
        if self._work is None:
            return
        await asyncio.wait({self._work})
        work, self._work = self._work, None
        work.result()
        self._take(self._data)


def put_aside(spool: Callable[[bytes], None], data: bytes, warnings: list[str]) -> None:
    """Spool an answer before it is read; what goes wrong is added to `warnings`."""
    try:
        spool(data)
    except (OSError, StoreError) as error:
        # The image may be paid for: better to go on with it in memory than to give it up.
        text = f"The answer could not be put aside before reading it: {clean_text(error)}."
        if text not in warnings:
            warnings.append(text)


def identify(request: Request, data: bytes) -> tuple[str, list[str]]:
    """The MIME type of the image in `data`, and what to warn of when its size is another.

    Reads the head only. Raises `StoreError` when it is no image.
    """
    kind, (width, height) = identify_image(data)
    wanted = request.parameters.width, request.parameters.height
    warnings = []
    if (width, height) != wanted:
        warnings.append(f"The server made {width}x{height} instead of {wanted[0]}x{wanted[1]}.")
    return f"image/{kind.lower()}", warnings
