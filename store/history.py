"""The images that were made: pages, search, records, verdicts."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence

import msgspec
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from store.damage import mend
from store.database import Database
from store.errors import StoreError
from store.integrity import find_changes, name_changes
from store.mapping import (
    as_text,
    find_row,
    find_seed,
    is_trashed,
    load_requests,
    read_seed,
    store_verification,
    to_images,
    to_verification,
)
from store.records import Comparison, EnvironmentRecord, Image, Imported, Stage, Verification
from store.request import Request
from store.seals import seal_verification
from store.search import NEWEST_FIRST, Name, Search, Sort, Term, parse_search
from store.selection import CHUNK, Chunk, Place, Selection, list_key_names
from store.sqlite import unwrap
from store.stored_json import BROKEN_JSON
from store.tables import (
    EnvironmentRow,
    ImageRow,
    ImportedRow,
    StageRow,
    ThumbnailRow,
    VerificationRow,
)
from store.vault import suffix_of


def list_images(
    db: Database,
    *,
    before: int | None = None,
    limit: int = 50,
    search: str | Search | None = None,
    session: str | None = None,
    sort: Sort = NEWEST_FIRST,
) -> list[Image]:
    """Up to `limit` images that fit `search`, in the order of `sort`: the newest first.

    `before`: those that follow the image of this number in that order. `session`: only those of
    that session. Images in the trash are left out unless the search asks for them. A damaged
    record is listed too, marked `is_damaged`. Raises `SearchError`.
    """
    wanted = _read_search(search, session)
    with db.read() as read:
        selection = Selection(unwrap(read), wanted, sort)
        place = None
        if before is not None and (place := selection.find_place(before)) is None:
            return []
        return _load_images(db, read, selection.read(place, limit).numbers)


def load_images(
    db: Database, numbers: Sequence[int], *, search: str | Search | None = None
) -> list[Image]:
    """The images with these numbers that there are and that fit `search`, in the order given."""
    wanted = _read_search(search, None)
    with db.read() as read:
        selection = Selection(unwrap(read), wanted, numbers=numbers)
        fitting = set(selection.read(None, len(numbers)).numbers) if numbers else set()
        return _load_images(db, read, [number for number in numbers if number in fitting])


def load_parents(db: Database, identities: Collection[str]) -> dict[str, Request]:
    """The requests of the images with these ids, as far as there are such."""
    with db.read() as read:
        statement = select(ImageRow.id, ImageRow.request_digest)
        rows = read.exec(statement.where(col(ImageRow.id).in_(set(identities)))).all()
        requests = load_requests(read, [digest for _, digest in rows])
        return {identity: requests[digest][0] for identity, digest in rows}


def list_image_numbers(
    db: Database,
    *,
    search: str | Search | None = None,
    session: str | None = None,
    sort: Sort = NEWEST_FIRST,
) -> array[int]:
    """The numbers of all images that `list_images` lists, in its order: eight bytes an image."""
    numbers: array[int] = array("q")
    for chunk in iterate_numbers(db, search=search, session=session, sort=sort):
        numbers.extend(chunk)
    return numbers


def iterate_numbers(
    db: Database,
    *,
    search: str | Search | None = None,
    session: str | None = None,
    sort: Sort = NEWEST_FIRST,
    limit: int = CHUNK,
) -> Iterator[array[int]]:
    """The numbers of `list_image_numbers`, at most `limit` at a time, each read for itself.

    What is added or changed meanwhile may be among them or not; none comes twice.
    """
    wanted = _read_search(search, session)
    place: Place | None = None
    while True:
        chunk = read_numbers(db, search=wanted, sort=sort, after=place, limit=limit)
        if chunk.numbers:
            yield chunk.numbers
        if chunk.end is None:
            return
        place = chunk.end


def read_numbers(
    db: Database,
    *,
    search: str | Search | None = None,
    sort: Sort = NEWEST_FIRST,
    after: Place | None = None,
    limit: int = CHUNK,
    from_end: bool = False,
) -> Chunk:
    """The next numbers behind `after`, with `from_end` from the other end of the list."""
    wanted = _read_search(search, None)
    with db.read() as read:
        return Selection(unwrap(read), wanted, sort).read(after, limit, from_end=from_end)


def count_images(db: Database) -> int:
    """How many images there are that are not in the trash. Milliseconds with a million."""
    with db.read() as read:
        row = unwrap(read).execute(
            "SELECT (SELECT count(*) FROM image_search)"
            " - (SELECT count(*) FROM image_search WHERE is_trashed)"
        )
        return int(row.fetchone()[0])


def list_search_names(db: Database, key: str) -> list[str]:
    """The names that a key of the search language can be given here: engines, sessions, tags …"""
    with db.read() as read:
        return list_key_names(unwrap(read), key)


def _read_search(search: str | Search | None, session: str | None) -> Search:
    wanted = search if isinstance(search, Search) else parse_search(search or "")
    if session is None:
        return wanted
    term = Term(Name("session", session, is_exact=True), False, 0, 0)
    return msgspec.structs.replace(wanted, terms=(*wanted.terms, term))


def _load_images(db: Database, read: Session, numbers: Sequence[int]) -> list[Image]:
    statement = select(ImageRow).where(col(ImageRow.number).in_(set(numbers)))
    # Of what may be long, a list shows nothing.
    long = (defer(ImageRow.meta), defer(ImageRow.prompt_text))  # type: ignore[arg-type]
    rows = read.exec(statement.options(*long)).all()
    by_number = {image.number: image for image in to_images(db.vault, read, rows)}
    return [by_number[number] for number in numbers if number in by_number]


def get_image(db: Database, reference: str) -> Image:
    """The whole record of the image whose id begins with `reference` (`@1` is the newest).

    Stages, environment, meta and the text that came with it are filled. Raises `NotFound`.
    """
    with db.read() as read:
        row = find_row(read, ImageRow, reference)
        image = to_images(db.vault, read, [row])[0]
        meta = _read_values(row.meta)
        return msgspec.structs.replace(
            image,
            stages=_load_stages(read, image.number),
            environment=_load_environment(read, image.environment_digest),
            meta=meta or {},
            imported=_load_imported(read, image),
            is_damaged=image.is_damaged or meta is None,
        )


def explain_reference(db: Database, reference: str, image: Image) -> str:
    """What else `reference` may have meant than this image, empty when nothing."""
    seed = read_seed(reference)
    if seed is None:
        return ""
    with db.read() as read:
        count = len(find_seed(read, seed))
    if reference.strip().lower().startswith("seed:"):
        if count < 2:
            return ""
        return f"{count:,} images have the seed {seed}; the newest is {image.id[:8]}."
    if not count or image.seed == seed:
        return ""
    return f"{image.id[:8]} is found by its id; there is an image with that seed too: seed:{seed}."


def has_image(db: Database, image_id: str) -> bool:
    """Whether there is an image of this whole id."""
    with db.read() as read:
        return (
            read.exec(select(ImageRow.number).where(col(ImageRow.id) == image_id)).first()
            is not None
        )


def get_images(db: Database, numbers: Collection[int]) -> list[Image]:
    """The images with these numbers, a few hundred at most, as lists have them, newest first."""
    with db.read() as read:
        return _load_images(db, read, sorted(set(numbers), reverse=True))


def check_image(db: Database, reference: str) -> Image:
    """As `get_image`, with the names of what was changed in the record after it was written."""
    image = get_image(db, reference)
    with db.read() as read:
        findings = find_changes(read, find_row(read, ImageRow, image.id))
    return msgspec.structs.replace(image, changes=tuple(name_changes(findings)))


def find_neighbour(db: Database, number: int, *, is_newer: bool) -> Image | None:
    """The image made next after the one with this number, or last before it; None at an end.

    What lies in the trash is passed by.
    """
    own = col(ImageRow.number)
    statement = (
        select(ImageRow).where(own > number).order_by(own)
        if is_newer
        else select(ImageRow).where(own < number).order_by(own.desc())
    )
    statement = statement.where(~is_trashed(own))
    with db.read() as read:
        rows = read.exec(statement.limit(1)).all()
        return to_images(db.vault, read, rows)[0] if rows else None


def list_made(db: Database, request_digest: str) -> list[Image]:
    """The images of the request with this digest, newest first; those in the trash too."""
    statement = select(ImageRow).where(col(ImageRow.request_digest) == request_digest)
    with db.read() as read:
        rows = read.exec(statement.order_by(col(ImageRow.number).desc())).all()
        return to_images(db.vault, read, rows)


def get_thumbnails(db: Database, numbers: Collection[int]) -> dict[int, bytes]:
    """The thumbnails of these images, by number; those that have none are left out."""
    wanted = col(ThumbnailRow.image_number).in_(set(numbers))
    with db.read() as read:
        rows = read.exec(select(ThumbnailRow).where(wanted)).all()
        return {row.image_number: row.data for row in rows}


def read_image(db: Database, image: Image) -> bytes:
    """The file of an image as the engine gave it, checked. Raises `StoreError` naming it."""
    if image.is_emptied:
        raise StoreError(
            "The pixels of this image were removed with the trash; only its record is left.",
            "Regenerating makes it again.",
        )
    if image.is_thinned and not image.path.is_file():
        raise StoreError(
            f"The pixels of the image {image.id[:8]} were dropped to save space.",
            f"'safelight restore {image.id[:8]}' makes them again.",
        )
    return db.vault.get(image.file_sha256, suffix_of(image.mime))


def get_environment(db: Database, digest: str) -> EnvironmentRecord | None:
    """What images were made or verified with, by its digest; None where it is not kept."""
    with db.read() as read:
        return _load_environment(read, digest)


def list_verifications(db: Database, image_id: str) -> list[Verification]:
    """All comparisons of an image, newest first. Raises `NotFound`."""
    with db.read() as read:
        image = find_row(read, ImageRow, image_id)
        statement = select(VerificationRow).where(col(VerificationRow.image_id) == image.id)
        rows = read.exec(statement.order_by(col(VerificationRow.number).desc())).all()
        return [to_verification(row) for row in rows]


def add_verification(db: Database, image_id: str, comparison: Comparison) -> Verification:
    """Add a comparison that no job made (a check of the record and file alone)."""
    with db.write() as write:
        image = find_row(write, ImageRow, image_id)
        row = store_verification(write, image.id, comparison)
        seal_verification(write, row.number or 0)
        return to_verification(row)


def _load_stages(read: Session, number: int) -> tuple[Stage, ...]:
    statement = select(StageRow).where(col(StageRow.image_number) == number)
    rows = read.exec(statement.order_by(col(StageRow.position))).all()
    return tuple(
        Stage(name=row.name, step=row.step, sha256=row.sha256) for row, _ in map(mend, rows)
    )


def _load_imported(read: Session, image: Image) -> Imported | None:
    """Where it came from, with the text of its metadata."""
    if image.imported is None:
        return None
    row = read.get(ImportedRow, image.number)
    return msgspec.structs.replace(image.imported, text=as_text(row.text) if row else "")


def _load_environment(read: Session, digest: str) -> EnvironmentRecord | None:
    row = read.get(EnvironmentRow, digest)
    values = _read_values(row.json_text) if row else None
    return None if values is None else EnvironmentRecord(values=values)


def _read_values(stored: object) -> dict[str, str] | None:
    try:
        return msgspec.json.decode(as_text(stored), type=dict[str, str])
    except BROKEN_JSON:
        return None
