"""The next image of a run of verifications, when nothing else is to be done."""

from __future__ import annotations

from engines.verify import verify_record
from store import history
from store.database import Database
from store.records import Job, Serving
from store.verification_runs import add_verdict, claim_next, find_next


def take_next(database: Database, fencing_token: int, serving: Serving | None) -> Job | None:
    """The job of the next image, None when no run goes on or a job of a person waits.

    An image whose record was changed gets its verdict at once, without a job: what would be made
    is not what was recorded. Raises `Superseded`.
    """
    while (image := find_next(database, serving)) is not None:
        checked = history.check_image(database, image.image_id)
        if checked.is_damaged or checked.changes:
            comparison = verify_record(database, checked)
            if comparison is not None:
                if not add_verdict(database, image, fencing_token, comparison):
                    return None
                continue
        return claim_next(database, image, fencing_token, serving)
    return None
