"""Programs of the SDK, as processes of their own, make images from images on our server."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engines.base import Engine, Produced, Run
from engines.builtin.engine import BuiltinEngine
from engines.builtin.models import CAPABILITIES
from store.pixels import digest_pixels, open_image
from store.request import InitialImage, Mask, PromptStack, Request, Upscale
from tests.engines.hosted import Serve
from tests.engines.painter import EVERYTHING, Painter
from tests.engines.stability.files import Shelf, make_file, make_mask_file
from tests.engines.stability.server import Server
from tests.factories import make_hosted_request
from tests.sdk import needs_sdk
from tests.waiting import SECONDS

pytestmark = needs_sdk

NAMES = (
    "stable-diffusion-xl-1024-v1-0",
    "stable-inpainting-512-v2-0",
    "esrgan-v1-x2plus",
)
"""What the SDK's programs ask for when they are told nothing."""

PROGRAM = Path(__file__).with_name("sdk_pictures.py")
SIZE = (128, 128)

needs_pictures = pytest.mark.skipif(
    "initial_image" not in CAPABILITIES.takes,
    reason="the embedded model cannot start from an image yet",
)
ENGINES = [
    pytest.param(lambda: Painter(takes=EVERYTHING), id="painter"),
    pytest.param(BuiltinEngine, id="builtin", marks=needs_pictures),
]


async def serve_names(serve: Serve, engine: Any) -> Server:
    """A server for the SDK's engine ids, at a port that its client does not take for one of TLS."""
    while (server := await serve(engine=engine, names=NAMES)).host.endswith("443"):
        pass
    return server


async def run_sdk(server: Server, folder: Path, *command: str) -> tuple[Path, str]:
    """The image that a program of the SDK wrote into `folder`, and what it said."""
    (folder / "init.png").write_bytes(make_file(SIZE))
    (folder / "mask.png").write_bytes(make_mask_file(SIZE))
    environ = {**os.environ, "STABILITY_HOST": server.host, "STABILITY_KEY": "any"}
    environ.pop("PYTHONPATH", None)

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", *command],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stderr
    (made,) = (path for path in folder.glob("*.png") if path.name not in ("init.png", "mask.png"))
    return made, done.stderr


def reopen(shelf: Shelf, data: bytes) -> str:
    """The digest of the file that the SDK makes of `data`."""
    file = io.BytesIO()
    open_image(data).save(file, format="PNG")
    return shelf.put(file.getvalue())


async def draw(engine: Engine, request: Request, shelf: Shelf) -> str:
    """The pixels that `engine` itself makes of `request`."""
    own = msgspec.structs.replace(request, engine=engine.capabilities.engine)
    run = Run(id="run-1", inputs=shelf)
    *_, produced = [event async for event in engine.generate(own, run)]
    assert isinstance(produced, Produced)
    return digest_pixels(open_image(produced.data or b""))


def make_expected(engine: Engine, name: str, shelf: Shelf) -> Request:
    """The request that a program of the SDK makes, by the program's name."""
    init, mask = reopen(shelf, make_file(SIZE)), reopen(shelf, make_mask_file(SIZE))
    own = engine.capabilities
    prompts = [("town", 1.0)]
    changes: dict[str, Any] = {"seed": 7, "steps": 12, "cfg_scale": 6.5, "width": 128}
    changes["initial_image"] = InitialImage(sha256=init, start_schedule=0.75, end_schedule=0.0)
    match name:
        case "generate":
            prompts.append(("clouds", -0.5))
            changes["width"] = 192
        case "inpaint":
            changes["mask"] = Mask(sha256=mask, replaces="black", area_init="zero")
        case "command":
            changes["initial_image"] = InitialImage(
                sha256=init, start_schedule=0.5, end_schedule=0.01
            )
            changes["mask"] = Mask(sha256=mask, replaces="black", area_init="zero")
        case _:
            changes = {"width": 192, "height": 192, "steps": 20, "seed": 1}
            changes["upscale"] = Upscale(sha256=init, upscaler="rgb")
            request = make_hosted_request(own.upscale_models[0], prompts, **changes)
            return msgspec.structs.replace(request, stack=PromptStack(prompts=()))
    return make_hosted_request(own.default_model, prompts, sampler=own.default_sampler, **changes)


@pytest.mark.parametrize("make_engine", ENGINES)
@pytest.mark.parametrize("name", ["generate", "inpaint", "upscale"])
@pytest.mark.samples(2)
async def test_the_context_makes_images_from_images(
    serve: Serve, tmp_path: Path, make_engine: Any, name: str
) -> None:
    engine, shelf = make_engine(), Shelf()
    server = await serve_names(serve, engine)
    made, _ = await run_sdk(server, tmp_path, str(PROGRAM), name)
    expected = await draw(engine, make_expected(engine, name, shelf), shelf)
    assert digest_pixels(open_image(made.read_bytes())) == expected
    await engine.close()


@pytest.mark.parametrize("make_engine", ENGINES)
async def test_the_sdks_command_generates_from_an_image_and_a_mask(
    serve: Serve, tmp_path: Path, make_engine: Any
) -> None:
    engine, shelf = make_engine(), Shelf()
    server = await serve_names(serve, engine)
    words = ("-S", "7", "-s", "12", "-C", "6.5", "-W", "128", "-H", "128", "town")
    pictures = ("--init_image", "init.png", "--mask_image", "mask.png")
    command = ("-m", "stability_sdk", "generate", *pictures, *words)
    made, said = await run_sdk(server, tmp_path, *command)
    expected = await draw(engine, make_expected(engine, "command", shelf), shelf)
    assert digest_pixels(open_image(made.read_bytes())) == expected
    assert "ARTIFACT_LATENT" not in said  # no previews, which it did not ask for
    await engine.close()


@pytest.mark.parametrize("make_engine", ENGINES)
async def test_the_sdks_command_makes_an_image_larger(
    serve: Serve, tmp_path: Path, make_engine: Any
) -> None:
    engine, shelf = make_engine(), Shelf()
    server = await serve_names(serve, engine)
    command = ("-m", "stability_sdk", "upscale", "--init_image", "init.png", "-W", "192")
    made, said = await run_sdk(server, tmp_path, *command)
    expected = await draw(engine, make_expected(engine, "upscale", shelf), shelf)
    assert digest_pixels(open_image(made.read_bytes())) == expected
    assert "ARTIFACT_LATENT" not in said
    await engine.close()
