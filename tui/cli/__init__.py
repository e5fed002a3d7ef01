"""The command line: `safelight` and its commands. See `safelight --help`."""

from __future__ import annotations

import logging
import sys

from engines.log_lines import show_crashes


def main() -> None:
    """Run the command that the arguments name; without one, open the darkroom."""
    # What a library warns of is not for a person's terminal: it would stand in the picture.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").propagate = False
    show_crashes()
    if not sys.argv[1:]:
        from tui.start import open_darkroom

        sys.exit(open_darkroom())
    from tui.cli.program import run

    run()
