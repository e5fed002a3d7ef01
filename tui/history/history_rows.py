"""One image of the history as a line, or as four lines beside a thumbnail."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style

from store.records import Image
from tui.terminal.cells import Row
from tui.text import show_first_prompt, show_safely
from tui.widgets.text_lines import fit_text
from tui.words import mark_verdict

THUMBNAIL = (8, 4)
"""Columns and rows of a thumbnail."""

_SEED_FROM = 64
_YEAR_FROM = 76
_ENGINE_FROM = 96
_LEAST_PROMPT = 12


class RowStyles(NamedTuple):
    """The styles of one row: its text, quiet text, pointer and id, verdict mark."""

    base: Style
    quiet: Style
    pointer: Style
    mark: Style


class RowFacts(NamedTuple):
    """What one row shows. `change` is what was changed to come to this image."""

    image: Image
    change: str
    is_chosen: bool
    has_unicode: bool


def draw_flat(facts: RowFacts, styles: RowStyles, width: int) -> list[Segment]:
    """One line; columns are left out from the right of the id where there is little room."""
    image = facts.image
    segments = [*_draw_head(facts, styles)]
    segments.append(Segment(f" {show_time(image.created_at, width >= _YEAR_FROM)} ", styles.quiet))
    if width >= _SEED_FROM:
        segments.append(Segment(f" {image.seed:>10} ", styles.base))
    if width >= _ENGINE_FROM:
        segments.append(Segment(fit_text(f" {image.request.engine}", 11), styles.quiet))
    rest = width - sum(segment.cell_length for segment in segments)
    change = show_safely(facts.change)
    change_width = min(len(change), max(rest // 2, rest - _LEAST_PROMPT * 2)) if change else 0
    if change_width > 0:
        segments.append(Segment(f" {fit_text(change, change_width)} ", styles.quiet))
        rest -= change_width + 2
    segments.append(Segment(fit_text(f" {show_prompt(image)}", rest), styles.base))
    return segments


def draw_tall(
    facts: RowFacts, styles: RowStyles, width: int, part: int, thumbnail: list[Row]
) -> list[Segment]:
    """Line `part` of four: a row of the thumbnail, and id, prompt, seed or change."""
    image = facts.image
    line = thumbnail[part] if part < len(thumbnail) else []
    cells = [Segment(text, own or styles.base) for text, own, _ in line]
    used = sum(len(segment.text) for segment in cells)
    cells.append(Segment(" " * (THUMBNAIL[0] + 1 - used), styles.base))
    if part == 0:
        moment = Segment(show_time(image.created_at), styles.quiet)
        return [*cells, *_draw_head(facts, styles), moment]
    texts = {
        1: show_prompt(image),
        2: f"seed {image.seed}  {image.request.engine}",
        3: show_safely(facts.change),
    }
    text = fit_text(f"  {texts[part]}", width - THUMBNAIL[0] - 1)
    return [*cells, Segment(text, styles.base if part == 1 else styles.quiet)]


def _draw_head(facts: RowFacts, styles: RowStyles) -> list[Segment]:
    pointer = "›" if facts.has_unicode else ">"
    return [
        Segment(pointer if facts.is_chosen else " ", styles.pointer),
        Segment(mark_verdict(facts.image.verdict, has_unicode=facts.has_unicode), styles.mark),
        Segment(f" {facts.image.id[:8]} ", styles.pointer),
    ]


def show_time(seconds: float, has_year: bool = True) -> str:
    """Local date and time to the minute."""
    form = "%Y-%m-%d %H:%M" if has_year else "%m-%d %H:%M"
    return datetime.fromtimestamp(seconds).strftime(form)


def show_prompt(image: Image) -> str:
    """The first prompt in one line."""
    return show_first_prompt(image.request)
