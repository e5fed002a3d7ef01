"""The program's commands, run in this process."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from typing import Any
from unittest import mock

from typer import testing
from typer.main import get_command

from tui.cli.program import app
from tui.darkroom import Darkroom


@functools.cache
def _get_command() -> Any:
    return get_command(app)


def invoke(arguments: Sequence[str], given: bytes = b"") -> Any:
    """What a command does with `given` on standard input; no worker is started for its jobs."""
    command = _get_command()
    with (
        # It would read the types of all options again for each run.
        mock.patch.object(testing, "_get_command", return_value=command),
        mock.patch.object(Darkroom, "_engage_worker", return_value=contextlib.nullcontext()),
    ):
        return testing.CliRunner().invoke(app, list(arguments), input=given)
