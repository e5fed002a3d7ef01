"""Where data and configuration live. Nothing is made by asking."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs

HOME_VARIABLE = "SAFELIGHT_HOME"


def find_data_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the database and the images.

    `$SAFELIGHT_HOME/data` when that variable is set, else the platform's user data folder.
    """
    if home := environ.get(HOME_VARIABLE):
        return Path(home).expanduser().absolute() / "data"
    return Path(platformdirs.user_data_dir("safelight", appauthor=False))


def find_config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """`config.toml` in `$SAFELIGHT_HOME` or in the platform's user configuration folder."""
    if home := environ.get(HOME_VARIABLE):
        return Path(home).expanduser().absolute() / "config.toml"
    return Path(platformdirs.user_config_dir("safelight", appauthor=False)) / "config.toml"
