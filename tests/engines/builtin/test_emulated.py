"""The same bits on older processors: runs under an emulator against a native one.

Takes minutes, so it runs only when asked: `SAFELIGHT_EMULATE=1 pytest -k emulated`, with
`qemu-x86_64` (Debian package qemu-user) on the path.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engines.builtin.pipeline import Pipeline
from tests.engines.builtin.making import run, stages
from tests.factories import make_quick_request

ROOT = Path(__file__).parents[3]
QEMU = shutil.which("qemu-x86_64")
SCRIPT = """
import json
from engines.builtin.pipeline import Pipeline
from engines.builtin.weights import load_weights
from tests.engines.builtin.making import run, stages
from tests.factories import make_quick_request
print(json.dumps(stages(run(Pipeline(load_weights(), 1), make_quick_request(steps=2)))))
"""


@pytest.mark.skipif(
    QEMU is None or not os.environ.get("SAFELIGHT_EMULATE"),
    reason="needs qemu-x86_64 and SAFELIGHT_EMULATE=1",
)
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("processor", ["Haswell-noTSX", "Nehalem"])
def test_an_emulated_processor_gives_the_same_bits(pipeline: Pipeline, processor: str) -> None:
    assert QEMU is not None
    done = subprocess.run(
        [QEMU, "-cpu", processor, sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert json.loads(done.stdout) == stages(run(pipeline, make_quick_request(steps=2)))
