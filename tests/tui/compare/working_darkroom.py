"""A history in memory whose jobs are made at once, or when they are let go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from PIL import Image as Pillow

from engines.capabilities import Capabilities
from store.records import Image, Job, JobState, Mark, Marked, Relation, Turn
from store.request import Request
from tests.factories import encode_image
from tests.tui.memory_darkroom import MemoryDarkroom
from tui.darkroom import USUAL_TURN

SIDE = 32


def paint(request: Request) -> bytes:
    """Red by the seed, green by the steps, blue by the weight of the last prompt."""
    own = request.parameters
    colour = (own.seed % 256, own.steps, round(10 * abs(request.stack.prompts[-1].weight)))
    return encode_image(Pillow.new("RGB", (SIDE, SIDE), colour))


class WorkingDarkroom(MemoryDarkroom):
    """`is_working`: jobs are made as they are queued; `trashed` are the numbers in the trash."""

    def __init__(self) -> None:
        super().__init__()
        self.is_working = True
        self.trashed: set[int] = set()
        self.facts_of_engine: dict[str, Any] = {}
        self.price: float | None = 0.0

    def paint(self, request: Request) -> Image:
        """An image of `request`."""
        return self.add_image(request, data=paint(request), width=SIDE, height=SIDE)

    def get_capabilities(self, engine: str) -> Capabilities:
        return msgspec.structs.replace(super().get_capabilities(engine), **self.facts_of_engine)

    def estimate_cost(self, requests: Sequence[Request]) -> float | None:
        return self.price

    async def mark_images(self, numbers: Sequence[int], mark: Mark) -> Marked:
        if mark.is_trashed:
            self.trashed.update(numbers)
        else:
            self.trashed.difference_update(numbers)
        return Marked(found=len(numbers), changed=len(numbers))

    def _enqueue(
        self,
        requests: list[Request],
        session: str | None,
        parent_id: str | None,
        relation: Relation | None,
        turn: Turn = USUAL_TURN,
    ) -> list[Job]:
        jobs = super()._enqueue(requests, session, parent_id, relation, turn)
        return [self.finish(job) for job in jobs] if self.is_working else jobs

    def finish(self, job: Job) -> Job:
        """Make the image of a job, as a worker does."""
        image = self.paint(job.request)
        return self.replace_job(job.id, state=JobState.DONE, image_id=image.id)

    async def cancel(self, job_id: str) -> Job:
        self.calls.append(("cancel", job_id))
        return self.replace_job(job_id, state=JobState.CANCELLED)
