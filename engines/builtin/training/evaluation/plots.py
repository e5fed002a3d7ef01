"""One small line plot, drawn with Pillow."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

INK, GRID, LINE, MARK = (40, 40, 44), (222, 222, 226), (38, 96, 184), (196, 70, 52)


def plot_shares(
    points: Sequence[tuple[float, float]], title: str, across: str, goals: Sequence[float] = ()
) -> Image.Image:
    """Shares (0 to 1) over a number, joined by a line; `goals` are dashed lines."""
    width, height, left, right, top, bottom = 560, 340, 64, 20, 40, 56
    image = Image.new("RGB", (width, height), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    font, big = ImageFont.load_default(13), ImageFont.load_default(15)
    low, high = min(x for x, _ in points), max(x for x, _ in points)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            left + (x - low) / (high - low) * (width - left - right),
            height - bottom - y * (height - top - bottom),
        )

    for k in range(0, 101, 20):
        x, y = place(low, k / 100)
        draw.line((x, y, width - right, y), GRID)
        draw.text((x - 8, y), f"{k} %", INK, font, "rm")
    for value, _ in points:
        x, y = place(value, 0)
        draw.line((x, y, x, y + 4), INK)
        draw.text((x, y + 8), f"{value:g}", INK, font, "mt")
    for goal in goals:
        x, y = place(low, goal)
        while x < width - right:
            draw.line((x, y, min(x + 6, width - right), y), MARK)
            x += 12
    places = [place(x, y) for x, y in points]
    draw.line(places, LINE, 2)
    for x, y in places:
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), LINE)
    draw.text((left, 12), title, INK, big, "lt")
    draw.text(((left + width - right) / 2, height - 10), across, INK, font, "mb")
    return image
