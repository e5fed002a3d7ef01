"""The program `safelight`: its commands and what holds for all of them."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any, Protocol, TextIO, runtime_checkable

import typer

from store.errors import RequestError, SafelightError
from tui.cli.commands import ProgramGroup
from tui.cli.completing import complete_session

CONTEXT_SETTINGS = {
    "help_option_names": ["-h", "--help"],
    # The API's own program writes `--cfg_scale`: both spellings are taken everywhere.
    "token_normalize_func": lambda name: name.replace("_", "-"),
}

app = typer.Typer(
    name="safelight",
    cls=ProgramGroup,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=CONTEXT_SETTINGS,
    help="A terminal darkroom for Stable Diffusion. Without a command it opens the darkroom.",
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from tui.cli.version import print_version

        print_version()
        raise typer.Exit


@app.callback(invoke_without_command=True)
def open_darkroom(
    context: typer.Context,
    session: Annotated[
        str | None,
        typer.Option(
            "--session",
            autocompletion=complete_session,
            metavar="NAME",
            help="The session to open, made where there is none; the last one if omitted. Before "
            "a command that has --session: that one's.",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="The host of this name in config.toml, for every command."),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            "--images",
            metavar="HOW",
            help="How the darkroom shows images: kitty, sixel, cells, none; auto finds out.",
        ),
    ] = None,
    colours: Annotated[
        str | None,
        typer.Option(
            "--colours",
            metavar="COUNT",
            help="How many colours it sends: truecolor, 256, 16, none; auto finds out.",
        ),
    ] = None,
    theme: Annotated[
        str | None,
        typer.Option(
            "--theme",
            metavar="NAME",
            help="The theme that it begins with: darkroom, daylight, high contrast …",
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Open the darkroom unless a command is given."""
    if profile is not None:
        from engines.settings import PROFILE_VARIABLE

        os.environ[PROFILE_VARIABLE] = profile
    if context.invoked_subcommand is not None:
        for name, value in (("images", images), ("colours", colours), ("theme", theme)):
            if value is not None:
                _refuse(name, value, f"--{name} is of the darkroom, which no command opens.")
        if session is not None:
            _check_session(context, context.invoked_subcommand)
        return
    from tui import start

    raise typer.Exit(start.open_darkroom(session, images=images, colours=colours, theme=theme))


def _check_session(context: typer.Context, name: str) -> None:
    """End the program where the command `name` would ignore a session that was given before it."""
    commands = getattr(context.command, "commands", {})
    if not _takes_session(commands[name]):
        takers = [known for known, command in commands.items() if _takes_session(command)]
        has = f"These have one: {', '.join(takers)}."
        _refuse("session", name, f"The command '{name}' has no --session.", has)


def _takes_session(command: Any) -> bool:
    return any(parameter.name == "session" for parameter in command.params)


def _refuse(field: str, value: str, message: str, hint: str = "") -> None:
    from tui.cli.run import end_with_error

    end_with_error(RequestError(field, value, message, hint), as_json="--json" in sys.argv)


@runtime_checkable
class _Complaint(Protocol):
    """What typer raises for arguments that it does not take."""

    exit_code: int

    def show(self, file: TextIO) -> None:
        """Write the usage, and what is wrong."""
        ...


def run() -> None:
    """Parse the arguments and run; errors end with status 2 and a sentence."""
    try:
        status = typer.main.get_command(app).main(standalone_mode=False)
    except typer.Abort:
        from tui.cli.run import print_note

        print_note("Aborted.")
        status = 1
    except SafelightError as error:
        status = _end_with_error(error)
    except Exception as error:
        if not isinstance(error, _Complaint):
            raise
        from tui.cli.run import print_note

        # It quotes arguments as they came.
        error.show(said := io.StringIO())
        for line in said.getvalue().rstrip("\n").split("\n"):
            print_note(line)
        status = error.exit_code
    sys.exit(status if isinstance(status, int) else 0)


def _end_with_error(error: SafelightError) -> int:
    """The status for what came up outside of what a command runs, once it is told."""
    from tui.cli.run import end_with_error

    try:
        end_with_error(error, as_json="--json" in sys.argv)
    except typer.Exit as end:
        return end.exit_code
