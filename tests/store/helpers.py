"""Requests, results and other processes for the tests of the store."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from store import queue
from store.database import Database
from store.records import Image, Job
from store.request import Request
from tests.factories import make_result

ROOT = Path(__file__).parents[2]


def make_images(
    db: Database, requests: Sequence[Request], session: str | None = None
) -> list[Image]:
    """One image a request, by way of the queue."""
    jobs = queue.enqueue(db, requests, session=session)
    token = queue.recover(db, paid_engines=())
    images = []
    for _ in jobs:
        job = queue.claim(db, token)
        assert job is not None
        result = make_result(seed=job.request.parameters.seed)
        images.append(queue.finish(db, job, token, result))
    return images


def execute(directory: Path, statement: str, *values: object) -> list[Any]:
    """Run one statement from outside, as somebody with another program would."""
    with closing(sqlite3.connect(directory / "history.sqlite3", timeout=5)) as connection:
        rows = connection.execute(statement, values).fetchall()
        connection.commit()
        return rows


def start_python(
    code: str, *arguments: object, before: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """Another Python process running `code`, with pipes for standard input and output."""
    inherited = os.environ.get("PYTHONPATH")
    return subprocess.Popen(
        [*before, sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [inherited])])},
    )


def run_python(code: str, *arguments: object, before: Sequence[str] = ()) -> str:
    """What another Python process prints; fails with its error output."""
    process = start_python(code, *arguments, before=before)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output.strip()


def start(db: Database) -> int:
    return queue.recover(db, paid_engines=["stability"])


def claim(db: Database, token: int) -> Job:
    job = queue.claim(db, token)
    assert job is not None
    return job
