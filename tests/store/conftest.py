from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.database import Database


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def db(directory: Path) -> Iterator[Database]:
    with Database.open(directory, busy_seconds=10) as database:
        yield database
