"""One image of the history in lines: a single one, or four beside its thumbnail."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from store.records import Image
from tui.marks import write_signs, write_tags
from tui.terminal.cells import Row
from tui.text import show_safely, show_words
from tui.widgets.text_lines import fit_text
from tui.words import find_certainty, mark_verdict, show_moment, write_seed

THUMBNAIL = (8, 4)
"""Columns and rows of a thumbnail."""

_SEED_FROM = 64
_YEAR_FROM = 76
_ENGINE_FROM = 96
_LEAST_PROMPT = 12
_SIGNS_FROM = 44
_TAGS_FROM = 36


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
    is_marked: bool
    has_unicode: bool


def draw_flat(facts: RowFacts, styles: RowStyles, width: int) -> list[Segment]:
    """One line; columns are left out from the right of the id where there is little room.

    What changed comes before the words, which are quiet then.
    """
    image = facts.image
    segments = [*_draw_head(facts, styles)]
    segments.append(
        Segment(f" {show_moment(image.created_at, width >= _YEAR_FROM)} ", styles.quiet)
    )
    if width >= _SIGNS_FROM:
        signs = write_signs(image, has_unicode=facts.has_unicode)
        segments.append(Segment(f"{signs} ", styles.base))
    if width >= _SEED_FROM:
        segments.append(Segment(f" {write_seed(image):>10} ", styles.base))
    if width >= _ENGINE_FROM:
        segments.append(Segment(fit_text(f" {image.request.engine}", 11), styles.quiet))
    rest = width - sum(segment.cell_length for segment in segments)
    if image.tags and rest >= _TAGS_FROM:
        tags = show_safely(write_tags(image.tags))
        tags_width = min(cell_len(tags), rest // 3)
        segments.append(Segment(f" {fit_text(tags, tags_width)}", styles.quiet))
        rest -= tags_width + 1
    change = show_safely(facts.change)
    change_width = min(len(change), max(rest // 2, rest - _LEAST_PROMPT * 2)) if change else 0
    if change_width > 0:
        segments.append(Segment(f" {fit_text(change, change_width)} ", styles.base))
        rest -= change_width + 2
    style = styles.quiet if change_width > 0 else styles.base
    segments.append(Segment(fit_text(f" {show_words(image)}", rest), style))
    return segments


def draw_tall(
    facts: RowFacts, styles: RowStyles, width: int, part: int, thumbnail: list[Row]
) -> list[Segment]:
    """Line `part` of four: a row of the thumbnail, and id, what changed, the words, the seed."""
    image = facts.image
    line = thumbnail[part] if part < len(thumbnail) else []
    cells = [Segment(text, own or styles.base) for text, own, _ in line]
    used = sum(len(segment.text) for segment in cells)
    cells.append(Segment(" " * (THUMBNAIL[0] + 1 - used), styles.base))
    if part == 0:
        signs = f"{write_signs(image, has_unicode=facts.has_unicode)} "
        head = [*_draw_head(facts, styles), Segment(signs, styles.base)]
        rest = width - THUMBNAIL[0] - 1 - sum(segment.cell_length for segment in head)
        moment = fit_text(show_moment(image.created_at), rest)
        return [*cells, *head, Segment(moment, styles.quiet)]
    tags = show_safely(write_tags(image.tags))
    seed = f"seed {write_seed(image)}  {tags or image.request.engine}"
    change, words = show_safely(facts.change), show_words(image)
    texts = [change, words, seed] if change else [words, seed, ""]
    text = fit_text(f"  {texts[part - 1]}", width - THUMBNAIL[0] - 1)
    return [*cells, Segment(text, styles.base if part == 1 else styles.quiet)]


def _draw_head(facts: RowFacts, styles: RowStyles) -> list[Segment]:
    pointer, marked = ("›", "●") if facts.has_unicode else (">", "x")
    verdict = find_certainty(facts.image).verdict
    mark = mark_verdict(verdict, has_unicode=facts.has_unicode)
    return [
        Segment(pointer if facts.is_chosen else " ", styles.pointer),
        Segment(mark, styles.mark),
        Segment(marked if facts.is_marked else " ", styles.pointer),
        Segment(f"{facts.image.id[:8]} ", styles.pointer),
    ]
