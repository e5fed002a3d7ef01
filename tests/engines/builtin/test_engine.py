"""The embedded model behind the engine protocol: events, cancel, damage."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engines.base import Engine, EngineError, Failure, Produced, Progressed, Run, StageReached
from engines.builtin import cpu as kernels
from engines.builtin.code import digest_code
from engines.builtin.cpu import describe_kernels, find_kernel_problem
from engines.builtin.engine import BuiltinEngine
from engines.builtin.weights import FOLDER, check_files, load_weights
from tests.engines.builtin.making import Inputs, draw_mask, draw_picture
from tests.factories import make_quick_request


@pytest.fixture
async def engine() -> AsyncIterator[BuiltinEngine]:
    made = BuiltinEngine()
    yield made
    await made.close()


async def test_it_makes_an_image(engine: BuiltinEngine) -> None:
    held: Engine = engine
    events = [event async for event in held.generate(make_quick_request(), Run(id="1"))]
    produced = events[-1]
    assert isinstance(produced, Produced)
    assert produced.seed == make_quick_request().parameters.seed
    names = {e.name for e in events if isinstance(e, StageReached)}
    assert names == {"text", "noise", "latent", "final latent", "pixels"}
    assert held.wire_message(make_quick_request(), Run(id="1")) is None
    assert held.recover(make_quick_request(), []) == []


async def test_it_reads_the_files_of_the_run(engine: BuiltinEngine) -> None:
    inputs = Inputs()
    request = make_quick_request(
        initial_image=inputs.start(draw_picture(), 0.5), mask=inputs.mask(draw_mask())
    )
    run = Run(id="1", inputs=inputs)
    events = [event async for event in engine.generate(request, run)]
    assert isinstance(events[-1], Produced)
    assert {"initial latent", "mask"} <= {e.name for e in events if isinstance(e, StageReached)}
    with pytest.raises(EngineError, match="not at hand") as caught:
        await anext(engine.generate(request, Run(id="2")))
    assert caught.value.kind is Failure.INVALID_REQUEST


async def test_closing_stops_within_a_step(engine: BuiltinEngine) -> None:
    events = engine.generate(make_quick_request(steps=150), Run(id="1"))
    async for event in events:
        if isinstance(event, Progressed):
            break
    start = time.monotonic()
    await events.aclose()
    again = [e async for e in engine.generate(make_quick_request(steps=1), Run(id="2"))]
    assert isinstance(again[-1], Produced)
    assert time.monotonic() - start < 5


async def test_cancelling_the_task_stops_it(engine: BuiltinEngine) -> None:
    seen: list[int] = []

    async def work() -> None:
        async for event in engine.generate(make_quick_request(steps=150), Run(id="1")):
            if isinstance(event, Progressed):
                seen.append(event.step)

    task = asyncio.create_task(work())
    while not seen:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stopped = seen[-1]
    # While another image is made the first would have gone on.
    again = [e async for e in engine.generate(make_quick_request(steps=5), Run(id="2"))]
    assert isinstance(again[-1], Produced)
    assert seen[-1] == stopped < 150


def test_environment_names_what_decides(engine: BuiltinEngine) -> None:
    values = engine.environment().values
    assert values["equal bits promised"] == "yes"
    assert values["engine revision"] == "3"
    assert values["code"] == digest_code()
    assert values["kernels"] == describe_kernels()
    assert values["noise"] == "philox-1"
    assert values["guidance"] == "composed-3"
    assert values["variation"] == "linear-variance-1"
    assert values["partial schedule"] == "share-1"
    assert values["inpainting"] == "kept-latent-1"


def test_a_machine_that_gives_other_bits_is_recorded(
    engine: BuiltinEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "add_pairwise", lambda x: x[..., :1])
    find_kernel_problem.cache_clear()
    promised = engine.environment().values["equal bits promised"]
    find_kernel_problem.cache_clear()
    assert promised.startswith("no: numpy")


@pytest.mark.parametrize("name", ["model.npz", "vocabulary.txt"])
def test_a_changed_file_is_named(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(FOLDER, folder)
    assert "intact" in check_files(folder)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    for look in (check_files, load_weights):
        with pytest.raises(EngineError, match=name) as caught:
            look(folder)
        assert caught.value.kind is Failure.DAMAGED_MODEL


@pytest.mark.parametrize("text", [b"{", b"{}", b'{"format": 99}'])
def test_a_broken_manifest_is_damage(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(text)
    with pytest.raises(EngineError) as caught:
        load_weights(tmp_path)
    assert caught.value.kind is Failure.DAMAGED_MODEL
    with pytest.raises(EngineError):
        load_weights(tmp_path / "nowhere")


def test_capabilities_load_no_numpy() -> None:
    code = "import sys, engines.builtin.models, engines.builtin.cpu; "
    code += "import engines.builtin.engine; print('numpy' in sys.modules, 'PIL' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout.split() == ["False", "False"]
