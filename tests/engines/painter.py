"""A tiny engine for tests: its pixels are a digest of everything that it was asked for."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncGenerator, Callable, Sequence

import msgspec
from PIL import Image

from engines.base import Event, Produced, Progressed, Run
from engines.capabilities import Capabilities
from engines.stability.models import TAKES, make_capabilities
from store.pixels import digest_pixels, open_image
from store.records import EnvironmentRecord
from store.request import Parameters, Request
from tests.factories import PAINTER_MODEL

MODEL = PAINTER_MODEL


UPSCALER = "painter-x2"
EVERYTHING = ("variation", *TAKES)


class Painter:
    """Paints noise that depends on each active prompt, each parameter and each input's pixels.

    With `is_held` it stops after the first step until `go_on` is set; `was_stopped` is set
    when its work was cancelled. `takes`: the optional parameters that it honours; with
    `upscale` it makes images larger too, by doubling their pixels.
    """

    def __init__(self, *, is_held: bool = False, takes: Sequence[str] = ()) -> None:
        self.go_on = asyncio.Event()
        self.was_stopped = asyncio.Event()
        self.takes = tuple(takes)
        self._is_held = is_held

    @property
    def capabilities(self) -> Capabilities:
        known = make_capabilities([MODEL])
        # Without the rules of the hosted service's models.
        values = {name: getattr(known, name) for name in Capabilities.__struct_fields__}
        return Capabilities(
            **values
            | {
                "engine": "painter",
                "takes": self.takes,
                "upscale_models": (UPSCALER,) if "upscale" in self.takes else (),
                "is_deterministic": True,
                "is_paid": False,
            }
        )

    def environment(self) -> EnvironmentRecord:
        return EnvironmentRecord(values={"engine": "painter"})

    def wire_message(self, request: Request, run: Run) -> bytes | None:
        return None

    async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        try:
            for step in range(1, 4):
                yield Progressed(step, 3)
                if self._is_held:
                    await self.go_on.wait()
                await asyncio.sleep(0)
        except (asyncio.CancelledError, GeneratorExit):
            self.was_stopped.set()
            raise
        data = paint(request, run.read_input)
        yield Produced(data=data, mime="image/png", seed=request.parameters.seed)

    def recover(self, request: Request, answers: Sequence[bytes]) -> list[Event]:
        return []

    async def close(self) -> None:
        """Nothing is open."""


def paint(request: Request, read_input: Callable[[str], bytes] | None = None) -> bytes:
    """A PNG whose pixels are drawn from the active prompts and the parameters alone.

    `read_input` gives the files of inputs, of which only the pixels count.
    """
    parameters = request.parameters
    if parameters.upscale is not None:
        assert read_input is not None
        return encode(enlarge(read_input(parameters.upscale.sha256), parameters))
    facts = msgspec.json.encode([request.stack.active, parameters], order="sorted")
    for sha256 in parameters.inputs:
        assert read_input is not None
        pixels = digest_pixels(open_image(read_input(sha256)))
        facts = facts.replace(sha256.encode(), pixels.encode())
    width, height = parameters.width, parameters.height
    noise = hashlib.shake_256(facts).digest(width * height * 3)
    return encode(Image.frombytes("RGB", (width, height), noise))


def enlarge(data: bytes, parameters: Parameters) -> Image.Image:
    """The image in `data` with the size of `parameters`."""
    size = (parameters.width, parameters.height)
    return open_image(data).convert("RGB").resize(size, Image.Resampling.NEAREST)


def encode(image: Image.Image) -> bytes:
    """The image as a PNG without compression."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=0)
    return file.getvalue()
