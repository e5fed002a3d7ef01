"""gRPC, kept from writing to the terminal and to logs: it would show headers with the key.

What its own logger tells are headers and bytes that the other side sent, as they came; each failure
is told to us, too, and in our words.

Import it from here: gRPC reads both variables when its first module is imported (since 1.65), or
when the first channel or server of the process is made.
"""

from __future__ import annotations

import logging
import os

os.environ.pop("GRPC_TRACE", None)
os.environ["GRPC_VERBOSITY"] = "NONE"

import grpc
import grpc.aio

logging.getLogger("grpc").setLevel(logging.CRITICAL + 1)

__all__ = ["grpc"]
