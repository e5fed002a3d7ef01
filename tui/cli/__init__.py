"""The command line: `safelight` and its commands. See `safelight --help`."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from engines.log_lines import show_crashes

COMPLETION_VARIABLE = "_SAFELIGHT_COMPLETE"
"""What the line that a shell wants to complete comes with; typer makes the name."""


def _open_missing() -> None:
    """See to it that the three standard streams are there.

    Where one was closed, the next file that is opened would have its number, and what is printed
    would go into it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def main() -> None:
    """Run the command that the arguments name; without one, open the darkroom."""
    _open_missing()
    # What a library warns of is not for a person's terminal: it would stand in the picture.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").propagate = False
    show_crashes()
    # A shell that wants to complete a line gives it in the environment, and no arguments.
    if not sys.argv[1:] and COMPLETION_VARIABLE not in os.environ:
        from tui.start import open_darkroom

        sys.exit(open_darkroom())
    if sys.argv[1:] == ["--version"]:
        # It takes less time than to import what reads arguments.
        from tui.cli.version import print_version

        print_version()
        sys.exit()
    from tui.cli.program import run

    run()
