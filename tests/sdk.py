"""Whether the Stability API's own package, the real client of these tests, can be had."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest

needs_sdk = pytest.mark.skipif(
    sys.version_info >= (3, 13) and find_spec("stability_sdk") is None,
    reason="stability-sdk cannot be installed beyond Python 3.12",
)
"""Below 3.13 it is there, or the test fails."""
