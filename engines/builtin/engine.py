"""The embedded model as an engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from engines.base import EQUAL_BITS, Event, Produced, Run
from engines.builtin.code import digest_code
from engines.builtin.cpu import describe_kernels, find_kernel_problem
from engines.builtin.models import CAPABILITIES, find_bundle
from engines.builtin.weights import check_files, find_weights, load_model, make_capabilities
from engines.capabilities import Capabilities
from store.records import EnvironmentRecord
from store.request import Request

if TYPE_CHECKING:
    from engines.builtin.pipeline import Pipeline


class BuiltinEngine:
    """Makes images with the network in the package, on the CPU, in a thread of its own."""

    def __init__(self, processes: int | None = None) -> None:
        """`processes`: how many share the work, see `Pipeline`."""
        self._processes = processes
        self._pipeline: Pipeline | None = None
        self._thread = ThreadPoolExecutor(1, "builtin")

    @property
    def capabilities(self) -> Capabilities:
        """What it accepts; cheap."""
        return make_capabilities()

    def environment(self) -> EnvironmentRecord:
        """Revision, code, weights, kernels and named methods of the default model.

        Loads it; raises `EngineError`. An image of another revision brings its own with it.
        """
        return describe_model(CAPABILITIES.default_model)

    def wire_message(self, request: Request, run: Run) -> bytes | None:
        """None: nothing leaves the machine."""
        return None

    async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        """Make the image of `request`; each step runs in the engine's thread."""
        loop = asyncio.get_running_loop()
        pipeline = await loop.run_in_executor(self._thread, self._load, request.model)
        own = find_bundle(request.model) == find_bundle(CAPABILITIES.default_model)
        environment = None if own else describe_model(request.model)
        events = pipeline.generate(request, run.read_input)
        try:
            while True:
                work = loop.run_in_executor(self._thread, next, events, None)
                event = await asyncio.shield(work)
                if event is None:
                    return
                if isinstance(event, Produced):
                    event = msgspec.structs.replace(event, environment=environment)
                yield event
        finally:
            # A step that runs cannot be broken off: the thread closes the generator after it.
            with contextlib.suppress(RuntimeError):
                self._thread.submit(events.close)

    def recover(self, request: Request, answers: Sequence[bytes]) -> list[Event]:
        """Nothing: no answer is ever spooled."""
        return []

    async def close(self) -> None:
        """Let go of the thread and the other processes."""
        self._thread.shutdown()
        if self._pipeline is not None:
            self._pipeline.close()
            self._pipeline = None

    def _load(self, model: str) -> Pipeline:
        """The pipeline of `model`. One is kept: that of another revision makes way for it."""
        weights = load_model(model)
        if self._pipeline is not None and self._pipeline.weights is not weights:
            self._pipeline.close()
            self._pipeline = None
        if self._pipeline is None:
            from engines.builtin.pipeline import Pipeline

            self._pipeline = Pipeline(weights, self._processes)
        return self._pipeline


def describe_model(model: str) -> EnvironmentRecord:
    """What decides the pixels that the model `model` makes here. Loads it; raises `EngineError`."""
    import platform

    import numpy
    import PIL

    # The model in memory is the one that was read; the files may have changed since.
    weights = load_model(model)
    check_files(find_weights().folders[weights.manifest.revision])
    manifest, problem = weights.manifest, find_kernel_problem()
    return EnvironmentRecord(
        values={
            "engine": "builtin",
            "engine revision": str(manifest.revision),
            "code": digest_code(),
            "model": manifest.model,
            "weights": manifest.files["model.npz"],
            "vocabulary": manifest.files["vocabulary.txt"],
            **manifest.methods,
            "kernels": describe_kernels(),
            "machine": platform.machine(),
            "numpy": numpy.__version__,
            "Pillow": PIL.__version__,
            EQUAL_BITS: "yes" if problem is None else f"no: {problem}",
        }
    )
