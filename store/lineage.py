"""Where images came from and what came of them: ancestors, children, trees.

Every question is answered by index and bounded, in depth and in breadth, however many images
there are. A ring, which only a damaged row can make, is walked once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import func
from sqlmodel import Session, col, select

from store.batches import divide
from store.database import Database
from store.mapping import as_text, find_row, to_images
from store.records import Image
from store.tables import ImageRow

ANCESTORS_MAXIMUM = 200
CHILDREN_PAGE = 50
COUNTED_MAXIMUM = 100_000
"""Most children that are counted: from there on it is at least so many."""

BRANCHES_MAXIMUM = 1000
"""Most images of a tree."""


class Ancestry(msgspec.Struct, frozen=True, kw_only=True):
    """The line of an image upwards: `images` are its parent, that one's parent, and so on.

    `has_more`: it goes on after the last of them. `missing`: the id of a parent that is not in
    the history. `is_ring`: the last one came from an image that is in the line already.
    """

    images: tuple[Image, ...] = ()
    has_more: bool = False
    missing: str | None = None
    is_ring: bool = False


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """An image with what came of it, the oldest first; `more` of its children are left out.

    `is_again`: it stands elsewhere in the tree already, with its children.
    """

    image: Image
    children: tuple[Branch, ...] = ()
    more: int = 0
    is_again: bool = False


def find_ancestors(db: Database, image_id: str, limit: int = ANCESTORS_MAXIMUM) -> Ancestry:
    """The line of an image upwards, at most `limit` images. Raises `NotFound`."""
    with db.read() as read:
        row = find_row(read, ImageRow, image_id)
        seen = {row.id}
        found: list[ImageRow] = []
        while row.parent_id:
            if row.parent_id in seen:
                return Ancestry(images=_read(db, read, found), is_ring=True)
            if len(found) == limit:
                return Ancestry(images=_read(db, read, found), has_more=True)
            parent = read.exec(select(ImageRow).where(ImageRow.id == row.parent_id)).first()
            if parent is None:
                return Ancestry(images=_read(db, read, found), missing=row.parent_id)
            seen.add(parent.id)
            found.append(parent)
            row = parent
        return Ancestry(images=_read(db, read, found))


def list_children(
    db: Database, image_id: str, after: int = 0, limit: int = CHILDREN_PAGE
) -> list[Image]:
    """Up to `limit` images that came from this one, the oldest first: with numbers over `after`."""
    with db.read() as read:
        return list(_read(db, read, _find_children(read, image_id, after, limit)))


def count_children(db: Database, image_ids: Collection[str]) -> dict[str, int]:
    """How many images came from each of these, counted up to `COUNTED_MAXIMUM`."""
    with db.read() as read:
        return {image_id: _count(read, image_id) for image_id in image_ids}


def list_by_id(db: Database, image_ids: Collection[str]) -> list[Image]:
    """The images with these ids, those that there are, in no order."""
    with db.read() as read:
        return [
            image
            for some in divide(image_ids)
            for image in _read(
                db, read, read.exec(select(ImageRow).where(col(ImageRow.id).in_(some))).all()
            )
        ]


def read_tree(db: Database, image_id: str, *, depth: int, breadth: int) -> Branch:
    """An image with what came of it, `depth` generations and `breadth` children of each at most.

    All in all no more than `BRANCHES_MAXIMUM` images; the nearest generations come first. Raises
    `NotFound`.
    """
    with db.read() as read:
        root = find_row(read, ImageRow, image_id)
        rows, seen = [root], {root.id}
        children: dict[str, list[tuple[ImageRow, bool]]] = {}
        more: dict[str, int] = {}
        waiting = deque([(root, 0)])
        while waiting:
            row, generation = waiting.popleft()
            room = min(breadth, BRANCHES_MAXIMUM - len(rows)) if generation < depth else 0
            found = _find_children(read, row.id, 0, room) if room > 0 else []
            more[row.id] = _count(read, row.id) - len(found)
            children[row.id] = []
            for child in found:
                is_again = child.id in seen
                children[row.id].append((child, is_again))
                if not is_again:
                    seen.add(child.id)
                    rows.append(child)
                    waiting.append((child, generation + 1))
        images = {image.id: image for image in _read(db, read, rows)}
    branches: dict[str, Branch] = {}
    # The rows stand generation by generation: from the end, children are there before parents.
    for row in reversed(rows):
        branches[row.id] = Branch(
            image=images[as_text(row.id)],
            more=more[row.id],
            children=tuple(
                Branch(image=images[as_text(child.id)], is_again=True)
                if is_again
                else branches[child.id]
                for child, is_again in children[row.id]
            ),
        )
    return branches[root.id]


def _find_children(read: Session, image_id: str, after: int, limit: int) -> Sequence[ImageRow]:
    """In the order of the index on `parent_id`, which is that of the numbers."""
    number = col(ImageRow.number)
    statement = select(ImageRow).where(ImageRow.parent_id == image_id, number > after)
    return read.exec(statement.order_by(number).limit(limit)).all()


def _count(read: Session, image_id: str) -> int:
    some = select(ImageRow.number).where(ImageRow.parent_id == image_id).limit(COUNTED_MAXIMUM)
    return read.exec(select(func.count()).select_from(some.subquery())).one()


def _read(db: Database, read: Session, rows: Sequence[ImageRow]) -> tuple[Image, ...]:
    return tuple(image for some in divide(rows) for image in to_images(db.vault, read, some))
