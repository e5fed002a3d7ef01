"""A value that must never be shown, stored or printed."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import NoReturn, Self

_SHOWN = "Secret(…)"


class Secret:
    """A key that shows itself nowhere but in `reveal()`.

    `repr`, `str`, formatting and a traceback with its variables show a placeholder;
    pickling is refused. Call `reveal()` only inside the expression that needs the text, so
    that it is never in a variable.
    """

    __slots__ = ("__read", "__value")

    def __init__(self, value: str) -> None:
        self.__value: str | None = value
        self.__read: Callable[[], Secret] | None = None

    @classmethod
    def deferred(cls, read: Callable[[], Secret]) -> Self:
        """A secret that is read by `read` when it is first revealed, and then kept.

        A command that unlocks a key is thus not started by programs that need no key.
        """
        secret = cls("")
        secret.__value, secret.__read = None, read
        return secret

    def reveal(self) -> str:
        """The text itself. Raises what the deferred reading raises."""
        if self.__value is None:
            assert self.__read is not None
            self.__value = self.__read().reveal()
        return self.__value

    def __repr__(self) -> str:
        return _SHOWN

    def __str__(self) -> str:
        return _SHOWN

    def __format__(self, spec: str) -> str:
        return format(_SHOWN, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return self is other or hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__ = None  # type: ignore[assignment]  # a set would compare, and so read, the values

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A secret is never pickled.")

    def __getstate__(self) -> NoReturn:
        raise TypeError("A secret is never pickled.")
