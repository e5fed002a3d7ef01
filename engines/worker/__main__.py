"""`python -m engines.worker --directory DIR`: be the worker of a data directory."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import resource
import signal
import sys
from pathlib import Path

from engines.log_lines import start_log


def main() -> int:
    """Run a worker until it is idle; status 3 when one runs already."""
    parser = argparse.ArgumentParser(prog="python -m engines.worker")
    parser.add_argument("--directory", type=Path, required=True)
    directory = parser.parse_args().directory
    os.umask(0o077)
    # Whoever started it may wait for these signals in a thread, and a child inherits that.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP, signal.SIGTERM, signal.SIGINT})
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    start_log("%(asctime)s %(levelname)s %(message)s", logging.INFO)

    from engines.memory import bound_arenas
    from engines.worker.worker import Worker
    from store.errors import SafelightError

    bound_arenas()
    try:
        return asyncio.run(Worker(directory).run())
    except SafelightError as error:
        logging.getLogger("safelight.worker").error("%s", error)
        return 2


if __name__ == "__main__":
    sys.exit(main())
