"""The model, loaded once for all tests of this folder, and files to start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engines.builtin.pipeline import Pipeline
from engines.builtin.weights import load_weights
from tests.engines.builtin.making import Inputs


@pytest.fixture(scope="session")
def pipeline() -> Iterator[Pipeline]:
    """The pipeline of the packaged weights."""
    made = Pipeline(load_weights())
    yield made
    made.close()


@pytest.fixture
def inputs() -> Inputs:
    """No files yet; each that is used is added."""
    return Inputs()
