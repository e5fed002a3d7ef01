"""Sequences for the terminal that tmux or screen is in: what passes through them.

Facts: tmux passes on what stands in a DCS string that begins with `tmux;`, where
`allow-passthrough` lets it; screen what stands in any, of at most 768 bytes.
"""

from __future__ import annotations

_SCREEN_BYTES = 512


def wrap_for(multiplexer: str, data: bytes) -> bytes:
    """`data` for the terminal that `multiplexer` is in: `tmux`, `screen`, or "" for none."""
    if multiplexer == "tmux":
        return wrap_for_tmux(data)
    if multiplexer == "screen":
        pieces = [data[at : at + _SCREEN_BYTES] for at in range(0, len(data), _SCREEN_BYTES)]
        return b"".join(b"\x1bP" + piece + b"\x1b\\" for piece in pieces)
    return data


def wrap_for_tmux(data: bytes) -> bytes:
    """`data` for the terminal that tmux is in; it needs `allow-passthrough`."""
    return b"\x1bPtmux;" + data.replace(b"\x1b", b"\x1b\x1b") + b"\x1b\\"
