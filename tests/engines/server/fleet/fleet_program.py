"""A fleet of two witnessed engines: `python -m tests.engines.server.fleet.fleet_program`."""

from __future__ import annotations

import asyncio
import logging
import sys

from engines.server.fleet.cluster import Fleet
from engines.server.fleet.deploy import serve
from engines.server.server import ServerSettings
from tests.engines.server.fleet.witness import WitnessedEngine


def _announce(address: str) -> None:
    print(f"serving builtin at {address}", flush=True)


def main() -> None:
    logging.basicConfig(format="safelight: %(message)s", stream=sys.stderr)
    settings = ServerSettings(port=0, queue=1)
    asyncio.run(serve(WitnessedEngine, settings, Fleet(size=2), _announce))


if __name__ == "__main__":
    main()
