"""gRPC, kept from writing to the terminal: a trace would show headers with the key.

Import it from here: gRPC reads both variables when its first module is imported (since 1.65), or
when the first channel or server of the process is made.
"""

from __future__ import annotations

import os

os.environ.pop("GRPC_TRACE", None)
os.environ["GRPC_VERBOSITY"] = "NONE"

import grpc
import grpc.aio

__all__ = ["grpc"]
