"""Where training runs: the same code on a processor and on a GPU."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

import torch


def add_device(parser: argparse.ArgumentParser) -> None:
    """The option of a command that says where it computes."""
    parser.add_argument(
        "--device", type=torch.device, default=choose_device(), help="cpu, cuda, cuda:1 …"
    )


def choose_device() -> torch.device:
    """A GPU where PyTorch finds one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mix_precision(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Products in bfloat16 inside it, where the device has them."""
    if device.type in ("cpu", "cuda"):
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def load(path: Path, device: torch.device | str = "cpu") -> Any:
    """A checkpoint, wherever it was made."""
    return torch.load(path, map_location=device)
