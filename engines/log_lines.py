"""What is logged: visible lines without secrets, of libraries only from WARNING on."""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType
from typing import Any

from store.invisible import escape_line
from store.known_secrets import conceal

_INDENT = "    "
"""Before the lines of a traceback: nothing that it quotes can pass for an entry of its own."""

_OURS = "safelight"


class LineFormatter(logging.Formatter):
    """Writes entries that may be read in a terminal, whatever was logged.

    A message is one line: what acts on a terminal, new lines too, is escaped as in code. So is each
    line of a traceback. Secrets are taken out of the whole before it is cut into lines.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The entry without its traceback."""
        return escape_line(conceal(super().formatMessage(record)))

    def formatException(self, ei: Any) -> str:
        """The traceback of an entry."""
        return _indent(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        """The stack of an entry that asked for it."""
        return _indent(super().formatStack(stack_info))


def _indent(text: str) -> str:
    lines = conceal(text).split("\n")
    return "\n".join(f"{_INDENT}{escape_line(line)}" for line in lines)


def start_log(form: str, level: int = logging.WARNING) -> None:
    """Log to standard error: what is ours from `level` on, libraries from WARNING on.

    What ends the process or a thread is logged too, and what Python warns of. `form` is that of
    `logging.Formatter`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(form))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger(_OURS).setLevel(level)
    logging.captureWarnings(True)
    # A log on a full disk is no reason to end, or to print a traceback.
    logging.raiseExceptions = False
    _catch_crashes()


def show_crashes() -> None:
    """Show what nobody logs to the person at the terminal, in the same visible lines.

    That is what is logged without `start_log`, and what ends the process or a thread.
    """
    # Else an entry that cannot be written is told with a traceback, raw.
    logging.raiseExceptions = False
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LineFormatter("safelight: %(message)s"))
    _catch_crashes()


def _catch_crashes() -> None:
    sys.excepthook = _log_crash
    threading.excepthook = _log_crash_of_thread
    sys.unraisablehook = _log_unraisable


def _log_crash(
    kind: type[BaseException], error: BaseException, where: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        logging.getLogger(_OURS).critical("ended by a fault", exc_info=(kind, error, where))


def _log_crash_of_thread(given: threading.ExceptHookArgs) -> None:
    if given.exc_value is not None and not issubclass(given.exc_type, SystemExit):
        found = (given.exc_type, given.exc_value, given.exc_traceback)
        logging.getLogger(_OURS).error("a thread ended by a fault", exc_info=found)


def _log_unraisable(given: Any) -> None:
    if given.exc_value is not None:
        found = (given.exc_type, given.exc_value, given.exc_traceback)
        said = given.err_msg or "an error was passed over"
        logging.getLogger(_OURS).error("%s", said, exc_info=found)
