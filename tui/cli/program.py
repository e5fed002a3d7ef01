"""The program `safelight`: its commands and what holds for all of them."""

from __future__ import annotations

import os
from typing import Annotated

import typer

CONTEXT_SETTINGS = {
    "help_option_names": ["-h", "--help"],
    # The API's own program writes `--cfg_scale`: both spellings are taken everywhere.
    "token_normalize_func": lambda name: name.replace("_", "-"),
}

app = typer.Typer(
    name="safelight",
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=CONTEXT_SETTINGS,
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
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="The host of this name in config.toml, for every command."),
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
        return
    from tui import start

    raise typer.Exit(start.open_darkroom(session))


def run() -> None:
    """Parse the arguments and run; errors end with status 2 and a sentence."""
    from tui.cli import account, bindings, doctor, engines, generate, history, queue, serve, verify

    for family in (generate, verify, history, queue, engines, account, doctor, bindings, serve):
        family.register(app)
    app()
