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


def test_an_image_is_read_without_the_readers_of_all_formats() -> None:
    loaded = run_python(
        """
        import io, sys
        from PIL import Image
        from store.pixels import open_image
        for kind in ("PNG", "JPEG", "WEBP"):
            Image.new("RGB", (8, 8)).save(file := io.BytesIO(), kind)
            assert open_image(file.getvalue()).size == (8, 8)
        print("PIL.PdfImagePlugin" in sys.modules)
        """
    )
    assert loaded == "False"


def test_the_queue_comes_without_what_reads_images() -> None:
    loaded = run_python(
        """
        import sys
        import engines.worker.keeper, store.history, store.inputs, store.queue
        print("store.decoding" in sys.modules)
        """
    )
    assert loaded == "False"


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
