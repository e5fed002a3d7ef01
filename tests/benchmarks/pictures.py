"""How close to an image a terminal comes, in how many bytes: ours, chafa, textual-image.

`python -m tests.benchmarks.pictures`: six images of the embedded model, 50 x 25 cells. What is sent
goes through an emulated terminal, whose cells are 8 x 8 samples; shades of a cell are one colour.
chafa is run where it is installed, as a process of its own; the others are called here.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec
import numpy as np
import pyte
from PIL import Image
from rich.color import ColorSystem
from textual.strip import Strip

from engines.base import Produced, Run
from engines.builtin.engine import BuiltinEngine
from store.request import Prompt, PromptStack
from tests.benchmarks.request import DEFAULT
from tui.terminal.carried import carry_styles
from tui.terminal.cells import draw_cells
from tui.terminal.kitty import make_png, place_image, send_image

COLUMNS, ROWS, SIDE = 50, 25, 8
CELL = (10, 20)
PROMPTS = (
    "beautiful night sky above japanese town, anime style",
    "a red house on a green hill, clear blue sky",
    "a castle by a lake at sunset",
    "a white sheep in a meadow, foggy morning",
    "a ship on a stormy sea",
    "snow on mountains, pink clouds",
)
NAMES = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white")
DARK = ("000000", "cd0000", "00cd00", "cdcd00", "0000ee", "cd00cd", "00cdcd", "e5e5e5")
LIGHT = ("7f7f7f", "ff0000", "00ff00", "ffff00", "5c5cff", "ff00ff", "00ffff", "ffffff")
ANSI = dict(zip([*NAMES, *(f"bright{name}" for name in NAMES)], DARK + LIGHT, strict=True))
"""The sixteen colours of xterm, by pyte's names."""

QUARTERS = {
    "▖": (2,),
    "▗": (3,),
    "▘": (0,),
    "▙": (0, 2, 3),
    "▚": (0, 3),
    "▛": (0, 1, 2),
    "▜": (0, 1, 3),
    "▝": (1,),
    "▞": (1, 2),
    "▟": (1, 2, 3),
}
SYSTEMS = {
    "truecolor": ColorSystem.TRUECOLOR,
    "256": ColorSystem.EIGHT_BIT,
    "16": ColorSystem.STANDARD,
}
CHAFA = {"truecolor": "full", "256": "256", "16": "16"}


class Shown(NamedTuple):
    """What one way gives: likeness in dB in all samples and of whole cells, bytes, milliseconds."""

    samples: float
    cells: float
    size: float
    time: float


def make_images() -> list[Image.Image]:
    engine = BuiltinEngine()

    async def make(text: str) -> Image.Image:
        request = msgspec.structs.replace(DEFAULT, stack=PromptStack(prompts=(Prompt(text=text),)))
        events = [event async for event in engine.generate(request, Run(id="picture"))]
        produced = next(event for event in events if isinstance(event, Produced))
        assert produced.data is not None
        return Image.open(io.BytesIO(produced.data)).convert("RGB")

    async def make_all() -> list[Image.Image]:
        return [await make(text) for text in PROMPTS]

    return asyncio.run(make_all())


def cover(sign: str) -> np.ndarray:
    """How much of each sample of a cell the ink of `sign` covers."""
    mask = np.zeros((SIDE, SIDE))
    code = ord(sign)
    if 0x2581 <= code <= 0x2588:
        mask[SIDE - (code - 0x2580) :] = 1
    elif 0x2589 <= code <= 0x258F:
        mask[:, : 0x2590 - code] = 1
    elif sign in "▀▔":
        mask[: 4 if sign == "▀" else 1] = 1
    elif sign in "▐▕":
        mask[:, -(4 if sign == "▐" else 1) :] = 1
    elif sign in "░▒▓":
        mask[:] = {"░": 0.25, "▒": 0.5, "▓": 0.75}[sign]
    elif sign in QUARTERS:
        for place in QUARTERS[sign]:
            down, right = 4 * (place // 2), 4 * (place % 2)
            mask[down : down + 4, right : right + 4] = 1
    elif sign.strip():
        raise ValueError(f"what {sign!r} covers is not known")
    return mask[..., None]


def replay(text: str) -> np.ndarray:
    """The samples of the terminal that was sent `text`."""
    screen = pyte.Screen(COLUMNS, ROWS)
    pyte.Stream(screen).feed(text)

    def read(name: str, usual: str) -> np.ndarray:
        # pyte spells one of them in its own way.
        name = ANSI.get(name.replace("bfightmagenta", "brightmagenta"), name)
        return np.array(list(bytes.fromhex(usual if name == "default" else name)), float)

    canvas = np.zeros((ROWS * SIDE, COLUMNS * SIDE, 3))
    for y in range(ROWS):
        for x in range(COLUMNS):
            cell = screen.buffer[y][x]
            ink, paper = read(cell.fg, "e5e5e5"), read(cell.bg, "000000")
            ink, paper = (paper, ink) if cell.reverse else (ink, paper)
            part = cover(cell.data)
            canvas[y * SIDE : (y + 1) * SIDE, x * SIDE : (x + 1) * SIDE] = (
                part * ink + (1 - part) * paper
            )
    return canvas


def compare(image: Image.Image, shown: np.ndarray) -> tuple[float, float]:
    size = (COLUMNS * SIDE, ROWS * SIDE)
    wanted = np.asarray(image.resize(size, Image.Resampling.LANCZOS), float)

    def measure(one: np.ndarray, other: np.ndarray) -> float:
        return float(10 * np.log10(255**2 / max(1e-9, ((one - other) ** 2).mean())))

    def pool(samples: np.ndarray) -> np.ndarray:
        pooled: np.ndarray = samples.reshape(ROWS, SIDE, COLUMNS, SIDE, 3).mean((1, 3))
        return pooled

    return measure(wanted, shown), measure(pool(wanted), pool(shown))


def write_ours(image: Image.Image, colours: str) -> str:
    rows = draw_cells(image, COLUMNS, ROWS, colours)  # type: ignore[arg-type]
    lines = [
        "".join(
            Strip.render_style(segment.style, segment.text, SYSTEMS[colours])
            for segment in row
            if segment.style is not None
        )
        for row in rows
    ]
    return carry_styles("\r\n".join(lines))


def write_halves(image: Image.Image, _: str) -> str:
    """What textual-image's half cells are: two pixels a cell."""
    from rich.console import Console
    from textual_image.renderable.halfcell import Image as HalfCells

    console = Console(
        color_system="truecolor", force_terminal=True, width=COLUMNS, file=io.StringIO()
    )
    with console.capture() as captured:
        console.print(HalfCells(image, width=COLUMNS, height=ROWS), end="")
    return captured.get().replace("\n", "\r\n").rstrip("\r\n")


def write_chafa(image: Image.Image, colours: str) -> str:
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        image.save(file.name)
        done = subprocess.run(
            [
                *("chafa", "--format", "symbols", "--colors", CHAFA[colours], "--stretch"),
                *("--size", f"{COLUMNS}x{ROWS}", "--symbols", "block", "--animate", "off"),
                *("--polite", "on", file.name),
            ],
            capture_output=True,
            check=True,
        )
    return done.stdout.decode().rstrip("\n").replace("\n", "\r\n")


def measure_text(
    images: Iterable[Image.Image], write: Callable[[Image.Image, str], str], colours: str
) -> Shown:
    found = []
    for image in images:
        write(image, colours)
        begin = time.perf_counter()
        text = write(image, colours)
        took = time.perf_counter() - begin
        found.append(Shown(*compare(image, replay(text)), len(text.encode()), took * 1000))
    return Shown(*map(statistics.median, zip(*found, strict=True)))


def measure_kitty(images: Iterable[Image.Image]) -> Shown:
    found = []
    for image in images:
        begin = time.perf_counter()
        png = make_png(image, COLUMNS, ROWS, CELL, 1 << 20)
        text = send_image(png, 20, COLUMNS, ROWS)
        places = "".join(row[0].text for row in place_image(20, COLUMNS, ROWS))
        took = time.perf_counter() - begin
        size = (COLUMNS * SIDE, ROWS * SIDE)
        with Image.open(io.BytesIO(png)) as sent:
            shown = np.asarray(sent.resize(size, Image.Resampling.BILINEAR), float)
        found.append(Shown(*compare(image, shown), len((text + places).encode()), took * 1000))
    return Shown(*map(statistics.median, zip(*found, strict=True)))


def measure_sixel(images: Iterable[Image.Image]) -> Shown:
    from textual_image._sixel import image_to_sixels

    found = []
    for image in images:
        large = image.resize((COLUMNS * CELL[0], ROWS * CELL[1]), Image.Resampling.LANCZOS)
        begin = time.perf_counter()
        text = image_to_sixels(large)
        took = time.perf_counter() - begin
        shown = large.quantize(256, Image.Quantize.MEDIANCUT).convert("RGB")
        shown = shown.resize((COLUMNS * SIDE, ROWS * SIDE), Image.Resampling.BOX)
        found.append(Shown(*compare(image, np.asarray(shown, float)), len(text), took * 1000))
    return Shown(*map(statistics.median, zip(*found, strict=True)))


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    images = make_images()
    print("| | dB | dB of cells | bytes | ms |\n|---|---:|---:|---:|---:|")

    def tell(name: str, found: Shown) -> None:
        print(
            f"| {name} | {found.samples:.1f} | {found.cells:.1f} | {found.size:,.0f} |"
            f" {found.time:.0f} |",
            flush=True,
        )

    for colours in SYSTEMS:
        tell(f"cells, {colours}", measure_text(images, write_ours, colours))
        if shutil.which("chafa"):
            tell(f"chafa, {colours}", measure_text(images, write_chafa, colours))
    tell("half cells of textual-image", measure_text(images, write_halves, "truecolor"))
    tell("kitty, a PNG of 128 x 128", measure_kitty(images))
    tell("sixels of textual-image", measure_sixel(images))


if __name__ == "__main__":
    main()
