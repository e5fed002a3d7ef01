"""A Ray cluster with Ray Serve on it, for as long as a fleet is served.

Ray is imported when a fleet is started, and never before.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import secrets
import shutil
import socket
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from engines.base import EngineError, Failure
from engines.server.fleet.proxy import SERVICER, SETUP, VARIABLE, Listening
from engines.stability.protocol import MESSAGE_LIMIT

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


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """`size`: how many engines. `address`: the cluster that runs them; None: one of our own on
    this machine. `key_file`: where the server's key was read.
    """

    size: int
    address: str | None = None
    key_file: Path | None = None


def check_ray() -> None:
    """Raise `EngineError` when Ray Serve is not installed."""
    # `ray.serve` cannot be looked for without importing Ray, which reads the environment then.
    if any(importlib.util.find_spec(name) is None for name in ("ray", "starlette")):
        raise EngineError(
            Failure.UNREACHABLE,
            "A fleet needs Ray Serve, and it is not installed.",
            "Run: pip install 'safelight[fleet]'",
        )


@contextlib.contextmanager
def connect(listening: Listening, fleet: Fleet) -> Iterator[None]:
    """Have a cluster with Ray Serve, and no application on it, until the block ends."""
    variables = {
        **_SETTINGS,
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
        "namespace": "safelight",
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
            logging_config=make_logging(),
        )
    except (RayError, RuntimeError) as error:
        raise EngineError(
            Failure.UNREACHABLE, f"Ray Serve does not listen: {find_last_line(str(error))}"
        ) from None


def make_logging() -> Any:
    """Nothing of Ray Serve's: it calls each refused request an error, and shows where."""
    from ray.serve.schema import LoggingConfig

    return LoggingConfig(log_level="CRITICAL", enable_access_log=False)


def find_last_line(text: str) -> str:
    """The words of the exception at the end of a traceback."""
    last = text.strip().splitlines()[-1].strip() if text.strip() else "It does not say why."
    return last.partition("Error: ")[2] or last
