"""The program `safelight`: its commands and what holds for all of them."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

app = typer.Typer(
    name="safelight",
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A terminal darkroom for Stable Diffusion. Without a command it opens the darkroom.",
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"safelight {version('safelight')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def open_darkroom(
    context: typer.Context,
    session: Annotated[
        str | None, typer.Option("--session", help="The session to open; the last one if omitted.")
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Open the darkroom unless a command is given."""
    if context.invoked_subcommand is not None:
        return
    from tui.cli.output import EXIT_ERROR, print_note

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print_note("safelight: the darkroom needs a terminal.")
        print_note("  In a script use a command: safelight --help lists them.")
        raise typer.Exit(EXIT_ERROR)
    _prepare_terminal()
    from tui.app import run_app

    raise typer.Exit(run_app(session))


def _prepare_terminal() -> None:
    """Set what Textual reads when it is imported. A faulty setting is reported later."""
    from engines.settings import SettingsError, load_user_settings
    from tui.detection import choose_image_protocol, prepare_environment

    try:
        images = load_user_settings().interface.images
    except SettingsError:
        images = "auto"
    prepare_environment(os.environ, choose_image_protocol(os.environ, images))


def run() -> None:
    """Parse the arguments and run; errors end with status 2 and a sentence."""
    from tui.cli import care, making, proving, record, serving

    for module in (making, proving, record, care, serving):
        module.register(app)
    app()
