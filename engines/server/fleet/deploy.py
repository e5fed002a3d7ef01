"""How a fleet is served: from the settings to the end, like the server of one engine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

from engines.base import EngineError, Failure
from engines.remote import Target
from engines.server.fleet.cluster import Fleet, check_ray, connect, find_last_line, make_logging
from engines.server.fleet.ingress import FleetSettings, Ingress
from engines.server.fleet.proxy import Listening, stop
from engines.server.fleet.replica import MakeEngine, Replica
from engines.server.listener import make_folder
from engines.server.server import (
    BUSY,
    END_SECONDS,
    KEY_VARIABLE,
    Ending,
    ServerSettings,
    check_origins,
    find_listening_target,
    free_socket,
    make_listener,
    read_credentials,
)

APPLICATION = "safelight"

_PROXY = "SERVE_PROXY_ACTOR"
_LOOK_SECONDS = 0.1

_log = logging.getLogger("safelight.serve")


async def serve(
    make_engine: MakeEngine,
    settings: ServerSettings,
    fleet: Fleet,
    announce: Callable[[str], None],
) -> None:
    """Serve the engines that `make_engine` makes, each in a process of its own.

    Otherwise like `engines.server.server.serve`: `make_engine` is called here too, as every
    engine of the fleet must have the environment that this one has. Raises `EngineError`.
    """
    has_web = fleet.address is None
    check_origins(settings, has_web=has_web)
    target = _choose_port(find_listening_target(settings))
    read_credentials(settings)
    _check_cluster_key(settings, fleet)
    check_ray()
    free_socket(target)
    engine = make_engine()
    environment = await asyncio.to_thread(engine.environment)
    await engine.close()
    served = FleetSettings(
        capabilities=engine.capabilities,
        environment=environment,
        names=settings.names,
        queue=settings.queue,
        size=fleet.size,
    )
    out = sys.stdout
    with (
        # Ray tells what happens to its processes, and that is no output of this program.
        contextlib.redirect_stdout(sys.stderr),
        make_folder() as folder,
        contextlib.ExitStack() as cluster,
    ):
        if has_web and not target.address.startswith("unix:"):
            inner = f"unix:{folder}/grpc"
            listener = make_listener(target, inner, settings)
            plain = msgspec.structs.replace(
                settings, host=inner, certificate=None, private_key=None, origins=()
            )
            listening = _describe(plain, fleet, find_listening_target(plain))
        else:
            # The processes of a cluster need not be this user's, who alone could use a socket.
            listener = None
            listening = _describe(settings, fleet, target)
        cluster.enter_context(connect(listening, fleet))
        ending = cluster.enter_context(Ending())  # Ray has taken the signals when it has begun
        work = _start_thread(_deploy, make_engine, served)
        asked = asyncio.ensure_future(ending.is_asked.wait())
        await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            return
        ingress = work.result()
        if listener is not None:
            await listener.start()
        with contextlib.redirect_stdout(out):
            announce(target.address)
        await asked
        if listener is not None:
            listener.stop()
        patient = asyncio.ensure_future(_end(ingress))
        await ending.hurry(patient)
        if not patient.cancel():
            patient.result()
        if listener is not None:
            await listener.close()


def _start_thread(work: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
    """What `work` returns. The program may end before: Ray waits for ever when it is cut off."""
    result: Future[Any] = Future()

    def run() -> None:
        try:
            result.set_result(work(*arguments))
        except BaseException as error:  # noqa: BLE001 (it is raised where the result is awaited)
            result.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return asyncio.wrap_future(result)


def _choose_port(target: Target) -> Target:
    """The target with a port that is free now. Raises `EngineError` when it is not."""
    if target.address.startswith("unix:"):
        return target
    name, _, port = target.address.rpartition(":")
    host = name.strip("[]")
    try:
        family, *_, where = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            port = str(probe.getsockname()[1])
    except OSError as error:
        raise EngineError(
            Failure.UNREACHABLE,
            f"The server cannot listen at {target.address}: {error.strerror or error}.",
            "Perhaps another program does, or this machine has no such address.",
        ) from None
    return msgspec.structs.replace(target, address=f"{name}:{port}")


def _check_cluster_key(settings: ServerSettings, fleet: Fleet) -> None:
    if fleet.address is not None and settings.key is not None and fleet.key_file is None:
        raise EngineError(
            Failure.INSECURE,
            f"A cluster that runs already does not see the variable {KEY_VARIABLE}.",
            "Give the key in a file: --key-file FILE.",
        )


def _describe(settings: ServerSettings, fleet: Fleet, target: Target) -> Listening:
    def find(path: Path | None) -> str | None:
        return None if path is None else str(path.absolute())

    is_socket = target.address.startswith("unix:")
    return Listening(
        host=settings.host,
        port=1 if is_socket else int(target.address.rpartition(":")[2]),
        certificate=find(settings.certificate),
        private_key=find(settings.private_key),
        has_key=settings.key is not None,
        key_file=find(fleet.key_file),
    )


def _deploy(make_engine: MakeEngine, settings: FleetSettings) -> Any:
    """The handle of the ingress, when every replica is there."""
    from ray import serve

    replicas = serve.deployment(
        Replica,
        name="engines",
        num_replicas=settings.size,
        max_ongoing_requests=1,
        ray_actor_options={"num_cpus": 1},
        graceful_shutdown_timeout_s=1,
        logging_config=make_logging(),
    )
    ingress = serve.deployment(
        Ingress,
        name="ingress",
        max_ongoing_requests=10_000,
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_timeout_s=1,
        logging_config=make_logging(),
    )
    try:
        return serve.run(
            ingress.bind(settings, replicas.bind(make_engine, settings.environment)),
            name=APPLICATION,
            route_prefix=f"/{APPLICATION}",
            logging_config=make_logging(),
        )
    except RuntimeError as error:
        deployments = serve.status().applications[APPLICATION].deployments.values()
        reasons = [one.message for one in deployments if one.message] or [str(error)]
        raise EngineError(
            Failure.INTERNAL, f"The engines do not start. {find_last_line(reasons[0])}"
        ) from None


async def _end(ingress: Any) -> None:
    """Take no more calls; return when those in work have their answers, or 30 seconds later."""
    import ray

    names = ray.util.list_named_actors(all_namespaces=True)
    proxies = [
        ray.get_actor(actor["name"], namespace=actor["namespace"])
        for actor in names
        if actor["name"].startswith(_PROXY)
    ]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_SECONDS):
            if await ingress.is_busy.remote():
                _log.warning(BUSY)
            for proxy in proxies:
                while not await proxy.__ray_call__.remote(stop, END_SECONDS):  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_SECONDS)
