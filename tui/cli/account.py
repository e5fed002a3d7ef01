"""Commands about the account at a service: balance, key."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engines.keys import Secret
from store.folder import find_config_file
from tui.cli.options import JsonOption, ProfileOption
from tui.cli.run import open_darkroom, print_json, print_line, print_note, run_command
from tui.text import show_safely

if TYPE_CHECKING:
    from engines.settings import Settings

key = typer.Typer(
    name="key",
    help="Keep the key of a service: in the system's keyring, or in a file of your own.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

FileOption = Annotated[
    bool,
    typer.Option("--file", help="In a file that only you can read, instead of the keyring."),
]


def balance(profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Say what is left on the account, and what was spent today."""

    async def work() -> None:
        from engines.stability import SPEC
        from engines.stability.account import read_account

        async with open_darkroom() as darkroom:
            account = await read_account(darkroom.settings.of(SPEC))
            spent = await darkroom.get_spent_today()
            limit = darkroom.settings.budget.credits_per_day
        if as_json:
            print_json(
                {
                    "host": account.host,
                    "account": account.id,
                    "organization": account.organization,
                    "credits": account.credits,
                    "spent_today": spent,
                    "credits_per_day": limit,
                }
            )
            return
        print_line(f"{account.host}: {account.credits:.2f} credits")
        of = "" if limit is None else f" of {limit:g}"
        print_line(f"spent today, as estimated here: {spent:.2f}{of}")

    run_command(work(), as_json=as_json)


@key.command("set", context_settings={"allow_extra_args": True})
def set_key(
    context: typer.Context, profile: ProfileOption = None, in_file: FileOption = False
) -> None:
    """Ask for the key and keep it.

    What is typed is not shown. Without a terminal it is read from standard input.
    """

    async def work() -> None:
        from engines.keys import (
            SettingsError,
            check_keyring,
            note_change,
            write_key_file,
            write_keyring,
        )
        from engines.stability import SPEC, name_account

        if context.args:
            # It is not repeated here either.
            raise SettingsError(
                "A key is no argument: other programs can read it, and your shell keeps it.",
                "Leave it out; you are asked for it. Take it out of your shell's history.",
            )
        settings, own = _find_place()
        name = name_account(settings.profile)
        if not in_file:
            check_keyring()
        secret = _ask_key(settings.of(SPEC).host)
        if in_file:
            write_key_file(own, secret)
            print_line(f"The key is in {own}, which only you can read.")
            return
        write_keyring(name, secret)
        note_change(own.parent)
        print_line(f"The key is in the keyring, as {name} of safelight.")
        print_note(f"note: it is used with `keyring = true` in the section [{name}] of config.toml")

    run_command(work())


@key.command("test")
def check_kept_key(profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Ask the service whether it accepts the key. Costs nothing."""

    async def work() -> None:
        from engines.settings import load_user_settings
        from engines.stability import SPEC
        from engines.stability.account import read_account

        account = await read_account(load_user_settings().of(SPEC))
        if as_json:
            print_json({"host": account.host, "accepted": True, "credits": account.credits})
        else:
            print_line(f"{account.host} accepts the key; {account.credits:.2f} credits are left")

    run_command(work(), as_json=as_json)


@key.command("forget")
def forget_key(profile: ProfileOption = None, in_file: FileOption = False) -> None:
    """Remove the key from the keyring, or its file."""

    async def work() -> None:
        from engines.keys import SettingsError, note_change, remove_from_keyring
        from engines.stability import name_account

        settings, own = _find_place()
        if in_file:
            try:
                own.unlink()
            except FileNotFoundError:
                print_note(f"There is no file {own}.")
            except OSError as error:
                raise SettingsError(f"{own} cannot be removed: {error.strerror}.") from None
            else:
                print_line(f"{own} is removed.")
        elif remove_from_keyring(name_account(settings.profile)):
            note_change(own.parent)
            print_line("The key is no longer in the keyring.")
        else:
            print_note("The keyring held no such key.")

    run_command(work())


def _find_place() -> tuple[Settings, Path]:
    """The settings, and the file that a key of their profile is kept in."""
    from engines.settings import load_user_settings
    from engines.stability import find_own_key_file

    settings = load_user_settings()
    return settings, find_own_key_file(settings.profile, find_config_file())


def _ask_key(host: str) -> Secret:
    if sys.stdin.isatty():
        return Secret(getpass.getpass(f"Key for {show_safely(host)} (not shown): ").strip())
    return Secret(sys.stdin.readline().strip())


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(balance)
    app.add_typer(key)
