"""The screens as pictures: `python -m tests.benchmarks.screens --folder docs`.

Starts the program in a terminal of its own (pyte) on a history of a few images, in each theme and
in 16 colours, at four sizes, and draws what stands there. `--font` is a monospaced one of the
system that has box drawing characters, DejaVu Sans Mono where nothing is said. Not a
measurement: for the docs, and to be looked at.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from tests.screens import Terminal, open_terminal
from tui.theme_files import ANSI, BUILT_IN, DARK

SIZES = ((200, 60), (120, 40), (80, 24), (60, 40))
CELL = (8, 16)
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"
PROMPTS = ("a castle by a lake at sunset", "clouds::-0.6")
SEEDS = (7, 11, 23, 42)
GAP = 12

_NAMED = {
    "black": "#000000",
    "red": "#cd3131",
    "green": "#0dbc79",
    "brown": "#e5e510",
    "blue": "#2472c8",
    "magenta": "#bc3fbc",
    "cyan": "#11a8cd",
    "white": "#e5e5e5",
    "brightblack": "#7a7a7a",
    "brightred": "#f14c4c",
    "brightgreen": "#23d18b",
    "brightbrown": "#f5f543",
    "brightblue": "#3b8eea",
    "brightmagenta": "#d670d6",
    "brightcyan": "#29b8db",
    "brightwhite": "#ffffff",
}
_EIGHTHS = {
    **{chr(0x2581 + n): (0, 1 - (n + 1) / 8, 1, 1) for n in range(8)},
    **{chr(0x2589 + n): (0, 0, 1 - (n + 1) / 8, 1) for n in range(7)},
    "▀": (0, 0, 1, 0.5),
    "▐": (0.5, 0, 1, 1),
    "▔": (0, 0, 1, 1 / 8),
    "▕": (7 / 8, 0, 1, 1),
}
_QUADRANTS = dict(zip("▖▗▘▙▚▛▜▝▞▟", (4, 8, 1, 13, 9, 7, 11, 2, 6, 14), strict=True))
_QUARTERS = ((0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5))


def draw_screen(terminal: Terminal, font: ImageFont.FreeTypeFont) -> Image.Image:
    """What stands in the terminal, cell by cell."""
    width, height = CELL
    screen = terminal.screen
    picture = Image.new("RGB", (screen.columns * width, screen.lines * height))
    pen = ImageDraw.Draw(picture)
    for row in range(screen.lines):
        for column in range(screen.columns):
            _draw_cell(pen, column * width, row * height, screen.buffer[row][column], font)
    return picture


def _draw_cell(pen: Any, x: int, y: int, cell: Any, font: Any) -> None:
    front, back = _read_colour(cell.fg, "#d9d9d9"), _read_colour(cell.bg, "#101010")
    if cell.reverse:
        front, back = back, front
    pen.rectangle((x, y, x + CELL[0] - 1, y + CELL[1] - 1), fill=back)
    boxes = [_EIGHTHS[cell.data]] if cell.data in _EIGHTHS else []
    bits = _QUADRANTS.get(cell.data, 0)
    boxes += [(a, b, a + 0.5, b + 0.5) for n, (a, b) in enumerate(_QUARTERS) if bits >> n & 1]
    for left, top, right, bottom in boxes:
        ends = x + round(right * CELL[0]) - 1, y + round(bottom * CELL[1]) - 1
        pen.rectangle((x + round(left * CELL[0]), y + round(top * CELL[1]), *ends), fill=front)
    if not boxes and cell.data.strip():
        pen.text((x, y), cell.data, font=font, fill=front)
        if cell.underscore:
            pen.line((x, y + CELL[1] - 2, x + CELL[0], y + CELL[1] - 2), fill=front)


def _read_colour(name: str, default: str) -> str:
    if name == "default":
        return default
    return _NAMED.get(name) or f"#{name}"


def make_history(home: Path) -> dict[str, str]:
    """A history of a few images in `home`; the environment in which the program finds it."""
    environ = {"SAFELIGHT_HOME": str(home / "data"), "HOME": str(home)}
    for seed in SEEDS:
        command = [sys.executable, "-m", "tui.cli", "generate", *PROMPTS, "-S", str(seed)]
        subprocess.run(
            [sys.executable, "-c", _RUN, *command[3:]],
            env={**os.environ, **environ},
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return environ


_RUN = "from tui.cli import main; main()"


def show(environ: Mapping[str, str], flags: list[str], size: tuple[int, int], font: Any) -> Any:
    """The compose screen, and what the history shows, at one size."""
    argv = [sys.executable, "-c", _RUN, *flags]
    with open_terminal(argv, columns=size[0], rows=size[1], environ=environ) as terminal:
        terminal.wait_for_text("worker")
        terminal.send("\x1b")
        terminal.wait_for_text("moving")
        terminal.wait_for_silence()
        terminal.send("b")
        terminal.wait_for_text("Loaded")
        terminal.send("\x1b")
        terminal.wait_for_silence(1.0)
        compose = draw_screen(terminal, font)
        terminal.send("h")
        terminal.wait_for_text("images")
        terminal.wait_for_silence(1.0)
        history = draw_screen(terminal, font)
        terminal.send("\x11")
        terminal.wait_for_end()
    return compose, history


def join(pictures: list[Image.Image], width: int) -> Image.Image:
    """Rows of pictures, as many as fit into `width` pixels."""
    rows: list[list[Image.Image]] = [[]]
    for picture in pictures:
        if rows[-1] and sum(each.width + GAP for each in rows[-1]) + picture.width > width:
            rows.append([])
        rows[-1].append(picture)
    height = sum(max(each.height for each in row) + GAP for row in rows) - GAP
    sheet = Image.new("RGB", (width, height), "#808080")
    y = 0
    for row in rows:
        x = 0
        for picture in row:
            sheet.paste(picture, (x, y))
            x += picture.width + GAP
        y += max(each.height for each in row) + GAP
    return sheet


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG of at most 192 colours."""
    picture.quantize(192).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size:,} bytes")


def main() -> None:
    """Draw and save a sheet for each theme, and one in 16 colours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--font", default=FONT)
    parser.add_argument("--only", default="", help="the name of one sheet")
    given = parser.parse_args()
    font = ImageFont.truetype(given.font, 13)
    sheets = {theme.replace(" ", "-"): ["--theme", theme] for theme in BUILT_IN}
    sheets["16-colours"] = ["--theme", ANSI, "--colours", "16"]
    with tempfile.TemporaryDirectory() as folder:
        environ = make_history(Path(folder))
        for name, flags in sheets.items():
            if given.only and name != given.only:
                continue
            pictures = []
            for size in SIZES:
                compose, history = show(environ, flags, size, font)
                pictures += [compose, history] if size == SIZES[1] else [compose]
                if name == DARK and size != SIZES[0]:
                    save(compose, given.folder / f"compose-{size[0]}x{size[1]}.png")
            sheet = join(pictures, SIZES[0][0] * CELL[0])
            sheet = sheet.resize(
                (sheet.width * 3 // 4, sheet.height * 3 // 4), Image.Resampling.LANCZOS
            )
            save(sheet, given.folder / f"screens-{name}.png")


if __name__ == "__main__":
    main()
