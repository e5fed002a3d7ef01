"""The prompt texts of the past, newest first, read page by page."""

from __future__ import annotations

import msgspec
from sqlmodel import col, select

from store.batches import divide
from store.database import Database
from store.tables import ImageRow, PromptRow


class TextPage(msgspec.Struct, frozen=True, kw_only=True):
    """Prompt texts, each once, those of the newest image first, as `images` images have them.

    `before`: where the next page begins, None after the last one.
    """

    texts: tuple[str, ...]
    images: int
    before: int | None


def list_texts(db: Database, before: int | None = None, images: int = 1000) -> TextPage:
    """The texts of up to `images` images with numbers below `before`, those switched off too.

    One walk by the numbers, however long the history is; images with the same prompts are looked
    up once.
    """
    columns = (col(ImageRow.number), col(ImageRow.request_digest), col(ImageRow.prompt_text))
    statement = select(*columns).order_by(columns[0].desc()).limit(images)
    if before is not None:
        statement = statement.where(columns[0] < before)
    with db.read() as read:
        rows = read.exec(statement).all()
        wanted: dict[str, str] = {}
        for _, digest, text in rows:
            wanted.setdefault(text, digest)
        digests = list(wanted.values())
        found: dict[str, list[str]] = {digest: [] for digest in digests}
        for some in divide(digests):
            theirs = col(PromptRow.request_digest).in_(some)
            prompts = select(PromptRow).where(theirs).order_by(col(PromptRow.position))
            for prompt in read.exec(prompts).all():
                found[prompt.request_digest].append(prompt.text)
    texts = dict.fromkeys(
        text for digest in digests for text in found[digest] if isinstance(text, str)
    )
    is_last = len(rows) < images
    return TextPage(
        texts=tuple(texts), images=len(rows), before=None if is_last else int(rows[-1][0] or 0)
    )
