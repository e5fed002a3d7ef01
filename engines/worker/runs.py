"""The next image of a run of verifications, when nothing else is to be done."""

from __future__ import annotations

from engines.verify import verify_record
from store import history
from store.database import Database
from store.errors import NotFound, StoreError, Superseded, Unavailable
from store.records import Comparison, Job, Serving, Verdict
from store.verification_runs import add_verdict, claim_next, find_next


def take_next(database: Database, fencing_token: int, serving: Serving | None) -> Job | None:
    """The job of the next image, None when no run goes on or a job of a person waits.

    An image whose record was changed, or cannot be read, gets its verdict at once, without a job:
    what would be made is not what was recorded. Raises `Superseded`, or `Unavailable`.
    """
    while (image := find_next(database, serving)) is not None:
        try:
            comparison = _judge(database, image.image_id)
            if comparison is None:
                return claim_next(database, image, fencing_token, serving)
        except (Superseded, Unavailable):
            raise  # No fault of the image.
        except NotFound:
            return None  # It was removed since; the next look finds another one.
        except StoreError as error:
            comparison = Comparison(
                verdict=Verdict.CANNOT_RUN, first_difference="record", detail=str(error)
            )
        if not add_verdict(database, image, fencing_token, comparison):
            return None
    return None


def _judge(database: Database, image_id: str) -> Comparison | None:
    """The verdict on an image whose record was changed; None for one that is to be made again."""
    checked = history.check_image(database, image_id)
    if checked.is_damaged or checked.changes:
        return verify_record(database, checked)
    return None
