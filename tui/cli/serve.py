"""The command `serve`: the Stability protocol for other programs, answered by a local engine."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engines.log_lines import start_log
from store.errors import SafelightError
from tui.cli.run import end_with_error, print_line

if TYPE_CHECKING:
    from engines.server.fleet.cluster import Fleet
    from engines.server.server import ServerSettings

QUEUE_MAXIMUM = 10_000
FLEET_MAXIMUM = 1000


_log = logging.getLogger("safelight.serve")


def serve(
    engine: Annotated[
        str | None,
        typer.Option("--engine", help="The engine that answers; the default one if omitted."),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen: an address, or unix:/path.")
    ] = "127.0.0.1",
    port: Annotated[
        str | None,
        typer.Option(
            "--port",
            metavar="INTEGER",
            help="The port; 0 for a free one. 50051 if omitted, with TLS 50443.",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--as", metavar="ID", help="Answer for this engine id too; repeatable."),
    ] = None,
    queue: Annotated[
        str, typer.Option("--queue", metavar="INTEGER", help="How many requests may wait.")
    ] = "8",
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
    web_origins: Annotated[
        list[str] | None,
        typer.Option(
            "--web-origin",
            metavar="ORIGIN",
            help="Pages of this origin (https://example.org; * for all) may call over gRPC-Web; "
            "repeatable.",
        ),
    ] = None,
    fleet: Annotated[
        str | None,
        typer.Option(
            "--fleet",
            metavar="INTEGER",
            help="Use so many engines at once, with Ray Serve: pip install 'safelight[fleet]'.",
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option("--address", help="The Ray cluster of the fleet; else one of its own."),
    ] = None,
) -> None:
    """Serve an engine to programs of the Stability API.

    Clients of the API work when they are told the printed address. Programs that use stability-sdk
    give it as host=: StabilityInference(host="127.0.0.1:50051", key="any", engine=ID). The class
    does not read STABILITY_HOST; python -m stability_sdk and Safelight do. gRPC-Web, reflection and
    health are answered at the same port. Nothing is recorded here; a Safelight that uses the server
    records its images as always.

    stability-sdk uses TLS, and sends its key, only where the host ends in 443: with TLS the port is
    50443 if none is given. Clients that are no browser may use gRPC-Web at once; pages in a browser
    only from each --web-origin.

    Every user of this machine can reach a port on 127.0.0.1: where that matters, listen on
    unix:/path or set a key. The key is in the variable SAFELIGHT_SERVE_KEY or in --key-file,
    never an argument. Beyond this machine TLS and a key are required.

    With --fleet the images are made by N processes, one at a time each. They are on this machine,
    or with --address on the nodes of a Ray cluster, each with the same Safelight installed; the
    server itself then runs on its head node.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    start_log("safelight: %(message)s")
    try:
        from engines.server.server import ServerSettings, find_key
        from store.limits import check_name
        from tui.cli.inputs import read_count

        for name in names or ():
            check_name("--as", name)
        settings = ServerSettings(
            host=host,
            port=None if port is None else read_count("--port", port, 0, 65535),
            names=tuple(names or ()),
            queue=read_count("--queue", queue, 0, QUEUE_MAXIMUM),
            certificate=certificate,
            private_key=private_key,
            key=find_key(key_file),
            origins=tuple(web_origins or ()),
        )
        size = None if fleet is None else read_count("--fleet", fleet, 1, FLEET_MAXIMUM)
        _serve(engine, settings, _find_fleet(size, address, key_file))
    except SafelightError as error:
        end_with_error(error, as_json=False)


def _find_fleet(size: int | None, address: str | None, key_file: Path | None) -> Fleet | None:
    from engines.base import EngineError, Failure

    if size is not None:
        from engines.server.fleet.cluster import Fleet

        return Fleet(size=size, address=address, key_file=key_file)
    if address is not None:
        raise EngineError(
            Failure.UNREACHABLE,
            "--address names the cluster of a fleet, and there is no fleet.",
            "Give --fleet N too. Where to listen is --host and --port.",
        )
    return None


def _serve(name: str | None, settings: ServerSettings, fleet: Fleet | None) -> None:
    from engines.base import EngineError, Failure
    from engines.registry import EngineRegistry, make_engine
    from engines.server.clients import list_hindrances, list_uses
    from engines.server.server import serve as serve_engine
    from engines.settings import load_user_settings

    registry = EngineRegistry(load_user_settings())
    engine = name or registry.default_engine
    capabilities = registry.get_capabilities(engine)
    if capabilities.is_paid:
        raise EngineError(
            Failure.UNKNOWN_ENGINE,
            f"{engine} is not an engine of this machine; only those are served.",
            f"Use --engine {registry.default_engine}.",
        )

    def announce(address: str) -> None:
        print_line(f"serving {engine} ({capabilities.default_model}) at {address}")
        name = settings.names[0] if settings.names else capabilities.default_model
        has_web = fleet is None or fleet.address is None
        for line in list_uses(address, settings, name, has_web=has_web):
            print_line(line)
        for line in list_hindrances(address, settings):
            _log.warning(line)

    if fleet is None:
        asyncio.run(serve_engine(registry.get_engine(engine), settings, announce))
    else:
        from engines.server.fleet.deploy import serve as serve_fleet

        make = functools.partial(make_engine, engine)
        asyncio.run(serve_fleet(make, settings, fleet, announce))


def register(app: typer.Typer) -> None:
    """Add this command to the program."""
    app.command()(serve)
