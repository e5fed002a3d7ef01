"""From the command to the first paint: as little as possible is imported on the way."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

EXIT_ERROR = 2


def open_darkroom(session: str | None = None) -> int:
    """Open the darkroom of this user's data directory; the exit status of the program.

    `session` names the session, None for the last one. Without a terminal, or with a
    configuration that cannot be read, it says so on standard error and returns 2.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _explain(
            "the darkroom needs a terminal.",
            "In a script use a command: safelight --help lists them.",
        )
    from engines.settings import load_user_settings
    from store.errors import SafelightError
    from store.folder import find_data_directory
    from tui.terminal.detect import choose_image_protocol, prepare_environment

    try:
        settings = load_user_settings()
        directory = find_data_directory()
    except SafelightError as error:
        return _explain(error.message, error.hint)
    # Textual reads its own settings when it is imported.
    prepare_environment(os.environ, choose_image_protocol(os.environ, settings.interface.images))
    if settings.keys and (faults := _find_key_faults(settings.keys)):
        return _explain("\n  ".join(faults), "`safelight keys` lists what has a key.")
    from tui.app import run_app

    return run_app(directory, settings, session)


def _find_key_faults(keymap: Mapping[str, str]) -> list[str]:
    """What is wrong with [keys] in `config.toml`, a sentence with its line each."""
    from store.folder import find_config_file
    from tui.keymap import describe_faults

    path = find_config_file()
    return describe_faults(keymap, path, path.read_text("utf-8-sig"))


def _explain(message: str, hint: str) -> int:
    from tui.text import show_safely

    print(f"safelight: {show_safely(message)}", file=sys.stderr)
    if hint:
        print(f"  {show_safely(hint)}", file=sys.stderr)
    return EXIT_ERROR
