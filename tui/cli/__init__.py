"""The command line: `safelight` and its commands. See `safelight --help`."""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name; without one, open the darkroom."""
    from tui.cli.application import run

    run()
