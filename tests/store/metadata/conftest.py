from __future__ import annotations

from tests.store.conftest import db, directory

__all__ = ["db", "directory"]
