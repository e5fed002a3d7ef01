"""What is logged may be read in a terminal, whatever a service, a library or a crash said."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from pathlib import Path

from engines.keys import Secret
from engines.log_lines import LineFormatter

ROOT = Path(__file__).parents[2]
KEY = "sk-CANARYc4n4ry0123456789abcdef"
ACTING = "\x1b]52;c;QUFB\x07\x1b[2J\u009b5n\u202e\u2028\U000e0041\r\nERROR forged"
ESCAPED = "\\x1b]52;c;QUFB\\x07\\x1b[2J\\x9b5n\\u202e\\u2028\\U000e0041\\r\\nERROR forged"


def write(said: str, *values: object, error: Exception | None = None) -> str:
    """One entry as it is logged."""
    handler = logging.StreamHandler(stream := io.StringIO())
    handler.setFormatter(LineFormatter("%(levelname)s %(message)s"))
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    handler.handle(logging.LogRecord("httpx", logging.INFO, __file__, 1, said, values, exc_info))
    return stream.getvalue()


def test_an_entry_is_one_line_of_visible_characters() -> None:
    assert write("HTTP Request: %s", ACTING) == f"INFO HTTP Request: {ESCAPED}\n"


def test_no_line_of_a_traceback_passes_for_an_entry_or_acts_on_a_terminal() -> None:
    try:
        raise ValueError(f"it said {ACTING}")
    except ValueError as error:
        told = write("failed", error=error)
    first, *rest = told.rstrip("\n").split("\n")
    assert first == "INFO failed"
    assert all(line.startswith("    ") and line.isprintable() for line in rest)
    assert rest[-1] == "    ERROR forged"


def test_a_key_is_in_no_entry_and_no_traceback() -> None:
    key = Secret(KEY)
    assert key.reveal() == KEY
    try:
        raise ValueError(f"Invalid encoding on {f'Bearer {KEY}'.encode()!r}")
    except ValueError as error:
        told = write("refused %s and %r", f"Bearer {KEY}", [KEY.encode()], error=error)
    assert told.count("[key]") >= 3
    assert KEY not in told


PROGRAM = """
import logging, threading, warnings, httpx
from engines.log_lines import start_log
start_log("%(levelname)s %(name)s %(message)s", logging.INFO)
logging.getLogger("safelight.worker").info("ours")
logging.getLogger("httpx").info("theirs")
logging.getLogger("PIL").warning("\\x1b[2J of a library")
warnings.warn("\\x1b[2J of Python")
thread = threading.Thread(target=lambda: {}["\\x1b[2J of a thread"])
thread.start(); thread.join()
class Odd:
    def __del__(self): raise ValueError("\\x1b[2J of an end")
Odd()
raise RuntimeError("\\x1b[2J of a crash\\nsecond line")
"""


def test_libraries_threads_and_a_crash_are_told_in_the_same_lines() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.rstrip("\n").split("\n")
    assert lines[0] == "INFO safelight.worker ours"
    assert "theirs" not in done.stderr
    assert lines[1] == "WARNING PIL \\x1b[2J of a library"
    for source in ("Python", "a thread", "an end", "a crash"):
        assert f"\\x1b[2J of {source}" in done.stderr
    assert all(line.isprintable() for line in lines)
    entries = [line for line in lines if not line.startswith("    ")]
    levels = ["INFO", "WARNING", "WARNING", "ERROR", "ERROR", "CRITICAL"]
    assert [entry.split()[0] for entry in entries] == levels


def test_nothing_of_grpcs_own_log_is_written() -> None:
    program = (
        "import logging; from engines.log_lines import start_log;"
        "from engines.quiet_grpc import grpc;"
        "start_log('%(message)s');"
        "logging.getLogger('grpc._cython.cygrpc').error('Invalid encoding on Bearer sk-1');"
        "logging.getLogger('grpc._server').exception('theirs')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
