"""Output to a terminal whose encoding has not all characters."""

from __future__ import annotations

import codecs
import io

from rich.cells import cell_len

from tui.terminal.glyphs import ASCII_SHAPES

_ERRORS = "safelight.terminal"


def open_output(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """`stream`, so that what its encoding lacks is written as wide as it is shown.

    Python's own standard error spells such a character in six or more, which pushes the rest
    of its line aside. In UTF-8 it is `stream` itself.
    """
    if codecs.lookup(stream.encoding or "ascii").name == "utf-8":
        return stream
    codecs.register_error(_ERRORS, _replace)
    return io.TextIOWrapper(
        # Its file stays open when the wrapper goes.
        open(stream.fileno(), "wb", closefd=False),
        encoding=stream.encoding,
        errors=_ERRORS,
        newline="",
        write_through=False,
    )


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    found = (ASCII_SHAPES.get(ord(each), "?" * cell_len(each)) for each in missing)
    return "".join(found), error.end
