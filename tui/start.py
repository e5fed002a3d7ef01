"""From the command to the first paint: as little as possible is imported on the way."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

EXIT_ERROR = 2


def open_darkroom(
    session: str | None = None,
    *,
    images: str | None = None,
    colours: str | None = None,
    theme: str | None = None,
) -> int:
    """Open the darkroom of this user's data directory; the exit status of the program.

    `session` names the session, None for the last one. `images`, `colours` and `theme` go before
    the settings of these names. Without a terminal, or with a configuration that cannot be read,
    it says so on standard error and returns 2.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _explain(
            "the darkroom needs a terminal.",
            "In a script use a command: safelight --help lists them.",
        )
    from engines.settings import load_user_settings
    from store.errors import SafelightError
    from store.folder import find_config_file, find_data_directory
    from tui.terminal.detect import (
        COLOUR_SETTINGS,
        IMAGE_SETTINGS,
        Surroundings,
        prepare_environment,
    )
    from tui.terminal.probe import Probe
    from tui.theme_files import ThemeChoice, check_theme, read_theme_files

    try:
        settings = load_user_settings()
        directory = find_data_directory()
        themes = read_theme_files(find_config_file().parent / "themes")
        wanted = theme or settings.interface.theme
        check_theme(wanted, themes)
    except SafelightError as error:
        return _explain(error.message, error.hint)
    interface = settings.interface
    for name, given, known in (
        ("images", images, IMAGE_SETTINGS),
        ("colours", colours, COLOUR_SETTINGS),
    ):
        if given is not None and given not in known:
            return _explain(f"--{name} {given} is not known.", f"Known: {', '.join(known)}.")
    # As it is now: Textual and others change it.
    around = Surroundings(
        environ=dict(os.environ),
        images=images or interface.images,
        colours=colours or interface.colours,
    )
    # Textual reads its own settings when it is imported.
    prepare_environment(os.environ, around)
    if settings.keys and (faults := _find_key_faults(settings.keys)):
        return _explain("\n  ".join(faults), "`safelight keys` lists what has a key.")
    # Asked now, answered while the rest is imported.
    with Probe(sys.stdin.fileno(), os.environ, is_wanted=interface.ask_terminal) as probe:
        from tui.app import run_app

        chosen = ThemeChoice(name=wanted, own=themes, is_given=theme is not None)
        return run_app(directory, settings, session, probe, around, chosen)


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
