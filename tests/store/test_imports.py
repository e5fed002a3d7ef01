from __future__ import annotations

import pytest

from tests.store.helpers import run_python


def test_the_values_come_without_the_database() -> None:
    loaded = run_python(
        """
        import sys
        import store.errors, store.folder, store.pixels, store.records, store.request
        heavy = {"sqlmodel", "sqlalchemy", "pydantic", "sqlite3", "numpy"}
        print(sorted(heavy & set(sys.modules)))
        """
    )
    assert loaded == "[]"


@pytest.mark.parametrize("module", ["queue", "history", "sessions", "progress", "vault"])
@pytest.mark.samples(2)
def test_importing_makes_nothing(tmp_path_factory: pytest.TempPathFactory, module: str) -> None:
    home = tmp_path_factory.mktemp("home")
    run_python(
        f"""
        import os, sys
        os.environ["HOME"] = os.environ["SAFELIGHT_HOME"] = sys.argv[1]
        os.chdir(sys.argv[1])
        import store.{module}
        """,
        home,
    )
    assert list(home.iterdir()) == []
