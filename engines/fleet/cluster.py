"""How a fleet begins and ends: Ray, Ray Serve, signals.

Ray is imported when a fleet is started, and never before.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from engines.base import EngineError, Failure
from engines.builtin.kernels import pin_environment
from engines.fleet.ingress import FleetSettings, Ingress
from engines.fleet.proxy import SERVICER, SETUP, VARIABLE, Listening, stop
from engines.fleet.replica import MakeEngine, Replica
from engines.stability.connection import MESSAGE_LIMIT, Target, silence_grpc
from engines.stability.serving import (
    BUSY,
    END_SECONDS,
    KEY_VARIABLE,
    Ending,
    ServerSettings,
    find_listening_target,
    free_socket,
    read_credentials,
)

APPLICATION = "safelight"
OBJECT_STORE = 100 * 1024 * 1024
"""Bytes of memory that a cluster of our own shares: images on their way, no more."""

_SETTINGS = {
    # A second server would get half of the requests, without an error.
    "SERVE_SOCKET_REUSE_PORT_ENABLED": "0",
    "RAY_SERVE_GRPC_MAX_MESSAGE_SIZE": str(MESSAGE_LIMIT),
}
_OWN_SETTINGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_PROXY = "SERVE_PROXY_ACTOR"
_LOOK_SECONDS = 0.1

_log = logging.getLogger("safelight.serve")


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """`size`: how many engines. `address`: the cluster that runs them; None: one of our own on
    this machine. `key_file`: where the server's key was read.
    """

    size: int
    address: str | None = None
    key_file: Path | None = None


async def serve(
    make_engine: MakeEngine,
    settings: ServerSettings,
    fleet: Fleet,
    announce: Callable[[str], None],
) -> None:
    """Serve the engines that `make_engine` makes, each in a process of its own.

    Otherwise like `engines.stability.serving.serve`: `make_engine` is called here too, as every
    engine of the fleet must have the environment that this one has. Raises `EngineError`.
    """
    silence_grpc()
    check_ray()
    target = _choose_port(find_listening_target(settings))
    read_credentials(settings)
    free_socket(target)
    _check_cluster_key(settings, fleet)
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
        _connect(_describe(settings, fleet, target), fleet),
        Ending() as ending,
    ):
        work = asyncio.ensure_future(asyncio.to_thread(_deploy, make_engine, served, target))
        asked = asyncio.ensure_future(ending.is_asked.wait())
        await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            return
        ingress = work.result()
        with contextlib.redirect_stdout(out):
            announce(target.address)
        await asked
        patient = asyncio.ensure_future(_end(ingress))
        await ending.hurry(patient)
        if not patient.cancel():
            patient.result()


def check_ray() -> None:
    """Raise `EngineError` when Ray Serve is not installed."""
    # `ray.serve` cannot be looked for without importing Ray, which reads the environment then.
    if any(importlib.util.find_spec(name) is None for name in ("ray", "starlette")):
        raise EngineError(
            Failure.UNREACHABLE,
            "A fleet needs Ray Serve, and it is not installed.",
            "Run: pip install 'safelight[fleet]'",
        )


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


@contextlib.contextmanager
def _connect(listening: Listening, fleet: Fleet) -> Iterator[None]:
    """Have a cluster with Ray Serve, and no application on it, until the block ends."""
    variables = {
        **_SETTINGS,
        **pin_environment({}),
        VARIABLE: msgspec.json.encode(listening).decode(),
    }
    folder = tempfile.mkdtemp(prefix="safelight-")
    try:
        _start_ray(fleet, folder, variables)
        import ray
        from ray import serve

        try:
            logging.getLogger("ray.serve").setLevel(logging.ERROR)
            _start_serve(listening)
            try:
                yield
            finally:
                if fleet.address is not None:
                    serve.shutdown()
        finally:
            ray.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start_ray(fleet: Fleet, folder: str, variables: dict[str, str]) -> None:
    if fleet.address is None:
        # Inherited by all processes of a cluster of our own, and read by Ray when imported.
        token = {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
        os.environ.update(variables | _OWN_SETTINGS | token)
    import ray

    warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
    options: dict[str, Any] = {
        "namespace": APPLICATION,
        "logging_level": logging.ERROR,
        "runtime_env": {"env_vars": variables, "worker_process_setup_hook": SETUP},
    }
    if fleet.address is None:
        options |= {
            "address": "local",
            "num_cpus": fleet.size,
            "num_gpus": 0,
            "object_store_memory": OBJECT_STORE,
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",
            "_temp_dir": folder,
        }
    else:
        options["address"] = fleet.address
    try:
        ray.init(**options)
        if fleet.address is not None:
            _check_cluster(ray, fleet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise EngineError(
            Failure.UNREACHABLE,
            f"Ray does not start: {str(error).strip().splitlines()[0]}"
            if fleet.address is None
            else f"There is no cluster at {fleet.address}: {str(error).strip().splitlines()[0]}",
        ) from None


def _check_cluster(ray: Any, fleet: Fleet) -> None:
    here = ray.get_runtime_context().get_node_id()
    heads = {
        node["NodeID"] for node in ray.nodes() if "node:__internal_head__" in node["Resources"]
    }
    found = int(ray.cluster_resources().get("CPU", 0))
    text = hint = ""
    if here not in heads:
        text = "This machine is not the head node of the cluster."
        hint = "Run it there: Ray's proxy listens on the head node."
    elif found < fleet.size:
        text = f"The cluster has {found} processors; {fleet.size} engines want one each."
        hint = f"Add nodes, or use --fleet {max(found, 1)}."
    else:
        with contextlib.suppress(ValueError):
            ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
            text = "Ray Serve runs on this cluster already, and listens in its own way."
            hint = "Run `serve shutdown` first, or use another cluster."
    if text:
        ray.shutdown()
        raise EngineError(Failure.UNREACHABLE, text, hint)


def _start_serve(listening: Listening) -> None:
    from ray import serve
    from ray.exceptions import RayError
    from ray.serve.config import HTTPOptions, gRPCOptions

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        serve.start(
            proxy_location="HeadOnly",
            # Ray Serve always listens for HTTP as well; nothing answers there.
            http_options=HTTPOptions(host="127.0.0.1", port=port),
            grpc_options=gRPCOptions(
                port=listening.port, grpc_servicer_functions=[SERVICER], enable_reflection=False
            ),
            logging_config=_make_logging(),
        )
    except (RayError, RuntimeError) as error:
        raise EngineError(
            Failure.UNREACHABLE, f"Ray Serve does not listen: {_find_last_line(error)}"
        ) from None


def _deploy(make_engine: MakeEngine, settings: FleetSettings, target: Target) -> Any:
    """The handle of the ingress, when every replica is there."""
    from ray import serve

    replicas = serve.deployment(
        Replica,
        name="engines",
        num_replicas=settings.size,
        max_ongoing_requests=1,
        ray_actor_options={"num_cpus": 1},
        graceful_shutdown_timeout_s=1,
        logging_config=_make_logging(),
    )
    ingress = serve.deployment(
        Ingress,
        name="ingress",
        max_ongoing_requests=10_000,
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_timeout_s=1,
        logging_config=_make_logging(),
    )
    try:
        return serve.run(
            ingress.bind(settings, replicas.bind(make_engine, settings.environment)),
            name=APPLICATION,
            route_prefix=f"/{APPLICATION}",
            logging_config=_make_logging(),
        )
    except RuntimeError as error:
        raise EngineError(
            Failure.INTERNAL, f"The engines do not start. {_find_last_line(error)}"
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


def _make_logging() -> Any:
    """Nothing of Ray Serve's: it calls each refused request an error, and shows where."""
    from ray.serve.schema import LoggingConfig

    return LoggingConfig(log_level="CRITICAL", enable_access_log=False)


def _find_last_line(error: Exception) -> str:
    """The words of what was raised at the other end."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].partition("Error: ")[2] or lines[-1] if lines else type(error).__name__
