"""The command `serve`: the Stability protocol for other programs, answered by a local engine."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from store.errors import SafelightError
from tui.cli.output import end_with_error, print_line

if TYPE_CHECKING:
    from engines.secret import Secret

KEY_VARIABLE = "SAFELIGHT_SERVE_KEY"


def serve(
    engine: Annotated[str, typer.Option("--engine", help="The engine that answers.")] = "builtin",
    host: Annotated[
        str, typer.Option("--host", help="Where to listen: an address, or unix:/path.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port; 0 for a free one.")
    ] = 50051,
    names: Annotated[
        list[str] | None,
        typer.Option("--as", metavar="ID", help="Answer for this engine id too; repeatable."),
    ] = None,
    queue: Annotated[
        int, typer.Option("--queue", min=0, max=10_000, help="How many requests may wait.")
    ] = 8,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="TLS: the certificate, a PEM file.")
    ] = None,
    private_key: Annotated[
        Path | None, typer.Option("--private-key", help="TLS: its private key, a PEM file.")
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", help="A file (mode 0600) with the key that clients must send."),
    ] = None,
) -> None:
    """Serve an engine to programs of the Stability API.

    Clients of the API work unchanged: set STABILITY_HOST to the printed address. Nothing is
    recorded here; a Safelight that uses the server records its images as always.

    Every user of this machine can reach a port on 127.0.0.1: where that matters, listen on
    unix:/path or set a key. The key is in the variable SAFELIGHT_SERVE_KEY or in --key-file,
    never an argument. Beyond this machine TLS and a key are required.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.basicConfig(format="safelight: %(message)s", stream=sys.stderr)
    try:
        _serve(engine, host, port, tuple(names or ()), queue, certificate, private_key, key_file)
    except SafelightError as error:
        end_with_error(error, as_json=False)


def _serve(
    engine: str,
    host: str,
    port: int,
    names: tuple[str, ...],
    queue: int,
    certificate: Path | None,
    private_key: Path | None,
    key_file: Path | None,
) -> None:
    from engines.base import EngineError, Failure
    from engines.registry import EngineRegistry
    from engines.settings import load_user_settings
    from engines.stability.serving import ServerSettings
    from engines.stability.serving import serve as serve_engine
    from store.fields import check_name

    for name in names:
        check_name("--as", name)
    registry = EngineRegistry(load_user_settings())
    capabilities = registry.get_capabilities(engine)
    if capabilities.is_paid:
        raise EngineError(
            Failure.UNKNOWN_ENGINE,
            f"{engine} is not an engine of this machine; only those are served.",
            "Use --engine builtin.",
        )
    settings = ServerSettings(
        host=host,
        port=port,
        names=names,
        queue=queue,
        certificate=certificate,
        private_key=private_key,
        key=_find_key(key_file),
    )

    def announce(address: str) -> None:
        print_line(f"serving {engine} ({capabilities.default_model}) at {address}")

    asyncio.run(serve_engine(registry.get_engine(engine), settings, announce))


def _find_key(path: Path | None) -> Secret | None:
    from engines.key import check_key, read_key_file
    from engines.secret import Secret

    if path is not None:
        return read_key_file(path)
    if os.environ.get(KEY_VARIABLE):
        return check_key(Secret(os.environ[KEY_VARIABLE].strip()), f"The variable {KEY_VARIABLE}")
    return None


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(serve)
