"""A history in memory, for tests of screens: the same door, no disk, no worker."""

from __future__ import annotations

import asyncio
import hashlib
import io
import uuid
from array import array
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image as Pillow

from engines.capabilities import Capabilities
from engines.settings import Settings
from store.decoding import DecodedInput, Input, Role, decode_input
from store.errors import NotFound, StoreError
from store.lineage import Ancestry, Origin
from store.pixels import make_thumbnail
from store.records import (
    EnvironmentRecord,
    Image,
    Job,
    JobState,
    Purpose,
    Relation,
    Stage,
    Verdict,
    Verification,
)
from store.request import Request
from store.texts import TextPage
from tests.factories import CAPABILITIES, HOSTED, NOON, make_image, make_job, make_png, make_request
from tui.darkroom import Darkroom


class MemoryDarkroom(Darkroom):
    """Keeps images, jobs and verifications in lists; `change` tells those who watch."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), Settings())
        self.trouble = ""
        self.images: list[Image] = []
        self.files: dict[str, bytes] = {}
        self.origins: dict[int, Origin] = {}
        self.inputs: dict[str, bytes] = {}
        self.facts: dict[str, Input] = {}
        self.jobs: list[Job] = []
        self.verifications: list[Verification] = []
        self.calls: list[tuple[str, str]] = []
        self.version = 0

    def _open(self) -> None:
        """There is no file to open."""

    def change(self) -> None:
        """Tell those who watch that something changed."""
        self.version += 1

    def add_image(self, request: Request | None = None, **facts: Any) -> Image:
        """Add an image, the newest; any field of `Image` may be given."""
        request = request or make_request()
        data = facts.pop("data", None) or make_png(request.parameters.seed)
        number = len(self.images) + 1
        values: dict[str, Any] = {
            "id": uuid.uuid5(uuid.NAMESPACE_OID, str(number)).hex,
            "job_id": uuid.uuid5(uuid.NAMESPACE_URL, str(number)).hex,
            "pixels_sha256": hashlib.sha256(data).hexdigest(),
            "file_sha256": hashlib.sha256(data).hexdigest(),
            "file_bytes": len(data),
            "path": Path(f"/nowhere/images/{number}.png"),
            "seconds": 0.6,
            "created_at": NOON + 60 * number,
            "environment_digest": "ab" * 32,
            "environment": EnvironmentRecord(values={"engine revision": "r1", "kernels": "avx2"}),
            "stages": (Stage(name="noise", step=0, sha256="cd" * 32),),
        }
        image = make_image(number, request, **values | facts)
        self.images.append(image)
        self.files[image.id] = data
        self.change()
        return image

    def add_verification(
        self, image: Image, verdict: Verdict, first_difference: str | None = None, detail: str = ""
    ) -> None:
        """Store a verdict, as a worker does, and put it on the image's record."""
        self.verifications.append(
            Verification(
                number=len(self.verifications) + 1,
                image_id=image.id,
                verdict=verdict,
                pixels_sha256_then=image.pixels_sha256,
                pixels_sha256_now=image.pixels_sha256,
                first_difference=first_difference,
                detail=detail,
                psnr_db=None,
                regenerated_id=None,
                environment_digest=None,
                created_at=NOON,
            )
        )
        self.images[image.number - 1] = msgspec.structs.replace(
            self.images[image.number - 1], verdict=verdict, first_difference=first_difference
        )
        self.change()

    def add_job(self, state: JobState = JobState.WAITING, **facts: Any) -> Job:
        """Add a job, the newest."""
        number = len(self.jobs) + 1
        values: dict[str, Any] = {
            "id": uuid.uuid5(uuid.NAMESPACE_DNS, str(number)).hex,
            "state": state,
            "created_at": NOON + number,
            "steps": 0,
        }
        job = make_job(number, **values | facts)
        self.jobs.append(job)
        self.change()
        return job

    def replace_job(self, job_id: str, **facts: Any) -> Job:
        """Change a job, as a worker does."""
        for index, job in enumerate(self.jobs):
            if job.id == job_id:
                self.jobs[index] = msgspec.structs.replace(job, **facts)
                self.change()
                return self.jobs[index]
        raise NotFound(f"No job {job_id}.")

    async def list_images(
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        search: str | None = None,
        session: str | None = None,
    ) -> list[Image]:
        self.calls.append(("list_images", f"{before} {limit} {search}"))
        found = self._find(before, search)
        return [image for image in found if session in (None, image.session)][:limit]

    async def list_image_numbers(self, *, search: str | None = None) -> array[int]:
        return array("q", [image.number for image in self._find(None, search)])

    def _find(self, before: int | None, search: str | None) -> list[Image]:
        return [
            image
            for image in reversed(self.images if before is None else self.images[: before - 1])
            if not search
            or all(
                word in " ".join(prompt.text for prompt in image.request.stack.prompts)
                for word in search.split()
            )
        ]

    async def find_neighbour(self, image: Image, *, is_newer: bool) -> Image | None:
        place = image.number - 1 + (1 if is_newer else -1)
        return self.images[place] if 0 <= place < len(self.images) else None

    async def get_image(self, reference: str) -> Image:
        place = int(reference[1:]) if reference.startswith("@") else 0
        if 0 < place <= len(self.images):
            return self.images[-place]
        for image in self.images:
            if image.id.startswith(reference):
                return image
        raise NotFound(f"No image {reference}.")

    async def list_texts(self, before: int | None, images: int) -> TextPage:
        found = self._find(before, None)[:images]
        texts = [prompt.text for image in found for prompt in image.request.stack.prompts]
        is_last = len(found) < images
        return TextPage(
            texts=tuple(dict.fromkeys(texts)),
            images=len(found),
            before=None if is_last else found[-1].number,
        )

    async def find_ancestors(self, image_id: str) -> Ancestry:
        line = [await self.get_image(image_id)]
        while (parent_id := line[-1].parent_id) and parent_id not in [each.id for each in line]:
            try:
                line.append(await self.get_image(parent_id))
            except NotFound:
                return Ancestry(images=tuple(line[1:]), missing=parent_id)
        return Ancestry(images=tuple(line[1:]), is_ring=bool(line[-1].parent_id))

    async def list_children(self, image_id: str, after: int = 0, limit: int = 50) -> list[Image]:
        found = [image for image in self.images if image.parent_id == image_id]
        return [image for image in found if image.number > after][:limit]

    async def count_children(self, image_ids: Collection[str]) -> dict[str, int]:
        return {
            image_id: sum(image.parent_id == image_id for image in self.images)
            for image_id in image_ids
        }

    async def list_by_id(self, image_ids: Collection[str]) -> list[Image]:
        return [image for image in self.images if image.id in image_ids]

    async def list_origins(self, numbers: Collection[int]) -> dict[int, Origin]:
        return {number: self.origins[number] for number in numbers if number in self.origins}

    async def check_image(self, reference: str) -> Image:
        return await self.get_image(reference)

    async def read_image(self, image: Image) -> bytes:
        if image.id not in self.files:
            raise StoreError(f"The file {image.path} is missing.")
        return self.files[image.id]

    async def get_thumbnails(self, numbers: Sequence[int]) -> dict[int, bytes]:
        def make() -> dict[int, bytes]:
            return {
                number: make_thumbnail(
                    Pillow.open(io.BytesIO(self.files[self.images[number - 1].id]))
                )
                for number in numbers
                if self.images[number - 1].id in self.files
            }

        return await asyncio.to_thread(make)

    async def list_verifications(self, image_id: str) -> list[Verification]:
        return [row for row in reversed(self.verifications) if row.image_id == image_id]

    async def regenerate(self, image_id: str) -> Job:
        self.calls.append(("regenerate", image_id))
        image = await self.get_image(image_id)
        return self.add_job(request=image.request, purpose=Purpose.REGENERATE, parent_id=image_id)

    async def verify(self, image_id: str) -> Job:
        self.calls.append(("verify", image_id))
        image = await self.get_image(image_id)
        return self.add_job(request=image.request, purpose=Purpose.VERIFY, parent_id=image_id)

    def list_engines(self) -> tuple[str, ...]:
        return ("builtin", "stability")

    def get_capabilities(self, engine: str) -> Capabilities:
        return {"builtin": CAPABILITIES, "stability": HOSTED}[engine]

    async def add_input(self, data: bytes, role: Role = "initial image") -> Input:
        return await self.keep_input(decode_input(data, role))

    async def keep_input(self, decoded: DecodedInput) -> Input:
        self.inputs[decoded.sha256] = decoded.data
        self.facts[decoded.sha256] = decoded
        return decoded

    async def get_input(self, sha256: str) -> Input:
        if sha256 not in self.facts:
            raise NotFound(f"There is no input image {sha256[:8]}.", "Give its file again.")
        return self.facts[sha256]

    async def find_input(self, sha256: str) -> Path:
        if sha256 not in self.inputs:
            raise NotFound(f"No input {sha256}.")
        return Path(f"/nowhere/inputs/{sha256}")

    async def read_input(self, sha256: str) -> bytes:
        if sha256 not in self.inputs:
            raise NotFound(f"There is no input image {sha256[:8]}.", "Give its file again.")
        return self.inputs[sha256]

    def _enqueue(
        self,
        requests: list[Request],
        session: str | None,
        parent_id: str | None,
        relation: Relation | None,
    ) -> list[Job]:
        return [
            self.add_job(request=request, session=session, parent_id=parent_id, relation=relation)
            for request in requests
        ]

    async def cancel(self, job_id: str) -> Job:
        self.calls.append(("cancel", job_id))
        return self.replace_job(job_id, cancel_requested=True)

    async def retry(self, job_id: str) -> Job:
        self.calls.append(("retry", job_id))
        return self.replace_job(job_id, state=JobState.WAITING, error=None, error_kind=None)

    async def get_job(self, job_id: str) -> Job:
        return next(job for job in self.jobs if job.id == job_id)

    async def list_jobs(
        self, states: Sequence[JobState] | None = None, limit: int = 100
    ) -> list[Job]:
        found = [job for job in reversed(self.jobs) if states is None or job.state in states]
        return found[:limit]

    async def watch(self, seconds: float = 0.2) -> AsyncIterator[None]:
        seen = -1
        while True:
            if self.version != seen:
                seen = self.version
                yield
            await asyncio.sleep(0.01)
