"""A training of some minutes: its device, its steps, their learning rate, what it prints."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator
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


WARM_STEPS = 200
"""The rate rises for so many steps."""


class Course:
    """Counts steps until the time is over, and sets the rate of an optimizer for each."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        minutes: float,
        rate: float,
        batch: int,
        fall: float = 0.5,
        unit: str = "pictures",
    ) -> None:
        """`rate`: the highest; it falls in the last `fall` (0 to 1) of the time.

        `batch`: how many of `unit` a step sees.
        """
        self._optimizer, self._seconds, self._highest = optimizer, 60 * minutes, rate
        self._batch, self._fall, self._unit = batch, fall, unit
        self._mean = self._rate = 0.0
        self._start = time.time()
        self._step = 0

    def steps(self) -> Iterator[int]:
        """The number of each step, from 0."""
        while (spent := (time.time() - self._start) / self._seconds) < 1:
            warm = min(1.0, (self._step + 1) / WARM_STEPS)
            self._rate = self._highest * warm * min(1.0, (1 - spent) / self._fall + 0.01)
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate
            yield self._step
            self._step += 1

    def note(self, loss: float, every: int = 200) -> None:
        """Take the loss of a step into the mean, which is printed every so many steps."""
        self._mean = 0.98 * self._mean + 0.02 * loss if self._step else loss
        done = self._step + 1
        if done % every == 0:
            speed = done * self._batch / (time.time() - self._start)
            text = f"{done} loss {self._mean:.4f} rate {self._rate:.1e} {speed:.0f} {self._unit}/s"
            print(text, flush=True)
