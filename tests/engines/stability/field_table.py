"""The table of the protocol's fields, written to `docs/protocol-fields.md`:

python -m tests.engines.stability.field_table
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engines.builtin.models import CAPABILITIES
from engines.stability.protocol import generation
from tests.engines.stability.field_rows import ROWS, Claim, Row

FILE = Path(__file__).parents[3] / "docs" / "protocol-fields.md"

_STRUCT = "google.protobuf.Struct"
_HEAD = """\
# The fields of the Stability protocol

What becomes of each field of the protocol's `Request`, for requests that make images. This page
is written by `python -m tests.engines.stability.field_table`; the tests check each of its claims
and fail for a field that is not on it.

* **sent**: our client sends it. The exact message is stored with its digest before it is sent.
* **recorded**: it is part of the stored request, and so of the request's digest.
* **restored**: reading the message gives the same request again; so does our server.
* **`builtin`**: the embedded model honours it, from our server too. What it does not honour it
  refuses by name.
* **`diffusers`**: there is no such engine.

"""
_TAIL = """
## Beside the fields

The protocol has no place for these; both ends are Safelight's own, and other clients and servers
pass them over.

* **Previews.** A client that sends the metadata `safelight-previews: 1` gets answers between the
  keepalives, each with one artifact of type `ARTIFACT_LATENT`: `magic` is `safelight-preview`,
  `index` the steps that are done, `id` all steps, `binary` a small PNG or nothing. A slow client
  gets fewer of them; the image waits for none. A client that does not ask gets none.
* **Warnings.** What the engine warns of (words that it does not know, a prompt cut off) is in the
  trailing metadata `safelight-warning-bin`, UTF-8, once for each.
"""
_CELLS = {
    Claim.CARRIED: ("yes", "yes", "yes"),
    Claim.CONSTANT: ("always the same", "in the message", "checked"),
    Claim.IGNORED: ("no", "no", "no: asks for nothing"),
    Claim.REFUSED: ("no", "no", "no: refused by name"),
}


def is_repeated(field: Any) -> bool:
    """Whether a field, given by its descriptor, has any number of values."""
    # The one is new in protobuf 6, the other is gone in 7.
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == field.LABEL_REPEATED)


def list_fields() -> Iterator[str]:
    """The path of each field of a request that holds a value, or of what has a row as a whole."""
    whole = {row.path for row in ROWS}
    yield from _walk(generation.Request.DESCRIPTOR, "", whole, ())


def list_leaves(path: str) -> Iterator[str]:
    """The path of each field that holds a value at or below `path`; what recurs, once."""
    descriptor = generation.Request.DESCRIPTOR
    for name in path.split("."):
        field = descriptor.fields_by_name[name]
        descriptor = field.message_type
    if descriptor is None or descriptor.full_name == _STRUCT:
        yield path
    else:
        yield from _walk(descriptor, f"{path}.", set(), (descriptor.full_name,))


def _walk(descriptor: Any, prefix: str, whole: set[str], outer: tuple[str, ...]) -> Iterator[str]:
    for field in descriptor.fields:
        path, kind = f"{prefix}{field.name}", field.message_type
        if path in whole or kind is None or kind.full_name == _STRUCT:
            yield path
        elif kind.full_name not in outer:
            yield from _walk(kind, f"{path}.", whole, (*outer, kind.full_name))


def is_honoured(row: Row) -> bool:
    """Whether the embedded model claims to honour the field."""
    return row.claim is Claim.CARRIED and (not row.takes or row.takes in CAPABILITIES.takes)


def make_table() -> str:
    """The page, in Markdown."""
    lines = [
        "| field | sent | recorded | restored | `builtin` | `diffusers` | what it is |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in ROWS:
        sent, recorded, restored = _CELLS[row.claim]
        if row.path == "request_id":
            recorded = "with the job"
        builtin = "-"
        if row.claim is Claim.CARRIED and row.takes is not None:
            builtin = "yes" if is_honoured(row) else "no: refused"
        is_whole = list(list_leaves(row.path)) != [row.path]
        name = f"`{row.path}`{' and below' if is_whole else ''}"
        cells = (name, sent, recorded, restored, builtin, "no such engine", row.note)
        lines.append(f"| {' | '.join(cells)} |")
    return _HEAD + "\n".join(lines) + "\n" + _TAIL


def main() -> None:
    """Write the page and print it."""
    text = make_table()
    FILE.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
