"""The command `keys`: what has a key, by the ids that [keys] in config.toml takes."""

from __future__ import annotations

import typer

from tui.cli.options import JsonOption
from tui.cli.run import print_json, print_line


def keys(as_json: JsonOption = False) -> None:
    """List what has a key in the darkroom: id, keys, what it does.

    [keys] in config.toml gives it other keys: prompt.add = "b" or "b,ctrl+n".
    """
    from tui.keymap import list_all

    rows = list_all()
    if as_json:
        print_json({"keys": [{"id": row.id, "keys": row.key, "does": row.tooltip} for row in rows]})
        return
    width = max(len(row.id or "") for row in rows)
    for row in rows:
        print_line(f"{row.id:<{width}}  {row.key_display or row.key:<14}  {row.tooltip}")


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(keys)
