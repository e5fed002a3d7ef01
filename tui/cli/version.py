"""Which version of the program this is."""

from __future__ import annotations

from importlib.metadata import version


def print_version() -> None:
    """Print the name of the program and its version, which its installation knows."""
    print(f"safelight {version('safelight')}")
