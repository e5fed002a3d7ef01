"""The model, loaded once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engines.builtin.pipeline import Pipeline
from engines.builtin.weights import load_weights


@pytest.fixture(scope="session")
def pipeline() -> Iterator[Pipeline]:
    """The pipeline of the packaged weights."""
    made = Pipeline(load_weights())
    yield made
    made.close()
