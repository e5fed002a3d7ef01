"""A history in memory, for tests of screens: the same door, no disk, no worker."""

from __future__ import annotations

import asyncio
import hashlib
import io
import uuid
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image as Pillow

from engines.capabilities import Capabilities
from engines.outlook import Preflight
from engines.settings import Settings
from engines.thinning import Thinning
from store.decoding import DecodedInput, Input, Role, decode_input
from store.errors import NotFound, StoreError
from store.lineage import Ancestry
from store.marks import read_mark
from store.metadata.choices import FileChoices, MadeFile
from store.metadata.intake import Arrival
from store.metadata.signature import SigningKey
from store.outcomes import Ended
from store.pixels import make_thumbnail
from store.records import (
    Emptying,
    EnvironmentRecord,
    Image,
    Imported,
    Job,
    JobState,
    Mark,
    Marked,
    Purpose,
    Relation,
    RunState,
    Series,
    Stage,
    Turn,
    Verdict,
    Verification,
    VerificationRun,
)
from store.request import Request
from store.search import NEWEST_FIRST, Search, Sort, SortKey
from store.selection import Chunk, Place
from store.texts import TextPage
from tests.factories import CAPABILITIES, HOSTED, NOON, make_image, make_job, make_png, make_request
from tui.darkroom import USUAL_TURN, Darkroom, WorkerStatus


class MemoryDarkroom(Darkroom):
    """Keeps images, jobs and verifications in lists; `change` tells those who watch."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), Settings())
        self.trouble = ""
        self.images: list[Image] = []
        self.files: dict[str, bytes] = {}
        self.inputs: dict[str, bytes] = {}
        self.facts: dict[str, Input] = {}
        self.jobs: list[Job] = []
        self.verifications: list[Verification] = []
        self.runs: list[VerificationRun] = []
        self.verdicts: dict[str, int] = {}
        self.outlooks: dict[str, Preflight] = {}
        self.calls: list[tuple[str, str]] = []
        self.version = 0
        self.export_folder: str | None = None
        self.is_paused = False
        self.turns: list[str] = []
        self.series: list[Series] = []

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

    def add_run(self, state: RunState = RunState.RUNNING, **facts: Any) -> VerificationRun:
        """Add a run of verifications, the newest."""
        number = len(self.runs) + 1
        values: dict[str, Any] = {
            "id": uuid.uuid5(uuid.NAMESPACE_X500, str(number)).hex,
            "search": "all",
            "created_at": NOON,
            "finished_at": None,
            "total": 200,
            "done": 120,
        }
        run = VerificationRun(number=number, state=state, **values | facts)
        self.runs.append(run)
        self.change()
        return run

    def _set_run(self, run_id: str, state: RunState) -> VerificationRun:
        for index, run in enumerate(self.runs):
            if run.id == run_id:
                self.runs[index] = msgspec.structs.replace(run, state=state)
                self.change()
                return self.runs[index]
        raise NotFound(f"No run {run_id}.")

    async def begin_run(self, search: str, numbers: Sequence[int]) -> VerificationRun:
        self.calls.append(("begin_run", f"{search}: {len(numbers)}"))
        return self.add_run(search=search, total=len(numbers), done=0)

    async def list_runs(self, limit: int = 50) -> list[VerificationRun]:
        return self.runs[::-1][:limit]

    async def count_verdicts(self, run: VerificationRun) -> dict[str, int]:
        return self.verdicts

    async def pause_run(self, run_id: str) -> VerificationRun:
        return self._set_run(run_id, RunState.PAUSED)

    async def resume_run(self, run_id: str) -> VerificationRun:
        return self._set_run(run_id, RunState.RUNNING)

    async def cancel_run(self, run_id: str) -> VerificationRun:
        return self._set_run(run_id, RunState.CANCELLED)

    async def list_series(self, limit: int = 50) -> list[Series]:
        return self.series[::-1][:limit]

    def add_series(self, state: RunState = RunState.RUNNING, **facts: Any) -> Series:
        """Add a series, the newest."""
        number = len(self.series) + 1
        values: dict[str, Any] = {
            "id": uuid.uuid5(uuid.NAMESPACE_OID, str(number)).hex,
            "until": NOON,
            "created_at": NOON,
            "finished_at": None,
            "requests": 1,
            "first": make_request(),
            "taken": 0,
        }
        self.series.append(Series(number=number, state=state, **values | facts))
        self.change()
        return self.series[-1]

    async def has_series(self) -> bool:
        running = RunState.RUNNING
        return not self.is_paused and any(each.state is running for each in self.series)

    async def pause_series(self, series_id: str) -> Series:
        return self._set_series(series_id, RunState.PAUSED)

    async def resume_series(self, series_id: str) -> Series:
        return self._set_series(series_id, RunState.RUNNING)

    async def cancel_series(self, series_id: str) -> Series:
        return self._set_series(series_id, RunState.CANCELLED)

    def _set_series(self, series_id: str, state: RunState) -> Series:
        for index, each in enumerate(self.series):
            if each.id == series_id:
                self.series[index] = msgspec.structs.replace(each, state=state)
                self.change()
                return self.series[index]
        raise NotFound(f"No series {series_id}.")

    async def check_before(self, reference: str) -> Preflight:
        if reference not in self.outlooks:
            raise StoreError("Nothing is known.")
        return self.outlooks[reference]

    async def get_images(self, numbers: Sequence[int]) -> list[Image]:
        return [image for image in self.images[::-1] if image.number in numbers]

    async def thin(
        self,
        numbers: Sequence[int],
        *,
        made_before: float | None = None,
        is_rehearsal: bool = False,
    ) -> Thinning:
        self.calls.append(("thin", f"{len(numbers)} {is_rehearsal}"))
        proven = [
            image
            for image in self.images
            if image.number in numbers and image.verdict is Verdict.IDENTICAL
        ]
        for image in () if is_rehearsal else proven:
            self.images[image.number - 1] = msgspec.structs.replace(image, is_thinned=True)
            self.change()
        others = len(numbers) - len(proven)
        return Thinning(
            images=len(proven),
            files=len(proven),
            freed=2_000_000,
            kept={"never verified": others} if others else {},
        )

    async def restore(self, image_id: str) -> Job:
        self.calls.append(("restore", image_id))
        image = await self.get_image(image_id)
        return self.add_job(request=image.request, purpose=Purpose.RESTORE, parent_id=image_id)

    async def list_images(
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        search: str | Search | None = None,
        session: str | None = None,
        sort: Sort = NEWEST_FIRST,
    ) -> list[Image]:
        self.calls.append(("list_images", f"{before} {limit} {search}"))
        found = self._find(before, search)
        return [image for image in found if session in (None, image.session)][:limit]

    async def list_image_numbers(self, *, search: str | None = None) -> array[int]:
        return array("q", [image.number for image in self._find(None, search)])

    async def read_numbers(
        self,
        *,
        search: str | Search | None = None,
        sort: Sort = NEWEST_FIRST,
        after: Place | None = None,
        limit: int,
        from_end: bool = False,
    ) -> Chunk:
        keys: dict[SortKey, Callable[[Image], Any]] = {
            SortKey.DATE: lambda image: -image.number,
            SortKey.RATING: lambda image: -(-1 if image.rating is None else image.rating),
            SortKey.SEED: lambda image: image.seed,
            SortKey.PROMPT: lambda image: image.request.stack.prompts[0].text.lower(),
        }
        found = sorted(self._find(None, search), key=keys[sort.key])
        numbers = [image.number for image in found]
        if sort.is_reversed != from_end:
            numbers.reverse()
        begin = numbers.index(after.number) + 1 if after else 0
        chunk = array("q", numbers[begin : begin + limit])
        return Chunk(chunk, Place(chunk[-1]) if len(chunk) == limit else None)

    async def load_images(
        self, numbers: Sequence[int], search: str | Search | None = None
    ) -> list[Image]:
        fitting = {image.number: image for image in self._find(None, search)}
        return [fitting[number] for number in numbers if number in fitting]

    async def load_parents(self, identities: Collection[str]) -> dict[str, Request]:
        return {image.id: image.request for image in self.images if image.id in identities}

    async def count_images(self) -> int:
        return len(self.images)

    async def list_search_names(self, key: str) -> list[str]:
        return sorted({image.session or "" for image in self.images}) if key == "session" else []

    def _find(self, before: int | None, search: str | Search | None) -> list[Image]:
        words = (search.text if isinstance(search, Search) else search or "").split()
        is_trash = "is:trashed" in words
        return [
            image
            for image in reversed(self.images if before is None else self.images[: before - 1])
            if image.is_trashed == is_trash
            and not image.is_emptied
            and all(
                word in " ".join(prompt.text for prompt in image.request.stack.prompts)
                for word in words
                if ":" not in word
            )
        ]

    async def list_made(self, request: Request) -> list[Image]:
        return [each for each in reversed(self.images) if each.request == request]

    async def find_neighbour(self, image: Image, *, is_newer: bool) -> Image | None:
        place = image.number - 1 + (1 if is_newer else -1)
        return self.images[place] if 0 <= place < len(self.images) else None

    async def mark_images(self, numbers: Sequence[int], mark: Mark) -> Marked:
        mark = read_mark(mark)
        before = []
        for number in numbers:
            old = self.images[number - 1]
            said: dict[str, Any] = {
                name: getattr(mark, name)
                for name in ("rating", "is_favourite", "note", "is_trashed")
                if getattr(mark, name) is not msgspec.UNSET
            }
            tags = {*old.tags, *mark.add} - {*mark.remove}
            new = msgspec.structs.replace(old, tags=tuple(sorted(tags)), **said)
            if new == old:
                continue
            self.images[number - 1] = new
            undo = Mark(
                add=tuple(tag for tag in old.tags if tag not in tags),
                remove=tuple(tag for tag in new.tags if tag not in old.tags),
                **{name: getattr(old, name) for name in said},
            )
            before.append((undo, array("q", [number])))
        if before:
            self.change()
        return Marked(found=len(numbers), changed=len(before), before=tuple(before))

    async def undo_marks(self, marked: Marked) -> int:
        for mark, numbers in reversed(marked.before):
            await self.mark_images(numbers, mark)
        return len(marked.before)

    async def list_tags(self, begin: str = "", limit: int = 1000) -> list[tuple[str, int]]:
        counts = Counter(tag for image in self.images for tag in image.tags)
        return [each for each in counts.most_common(limit) if each[0].startswith(begin.lower())]

    async def plan_emptying(self) -> Emptying:
        trash = [image for image in self.images if image.is_trashed]
        return Emptying(
            images=len(trash),
            files=len(trash),
            file_bytes=sum(image.file_bytes for image in trash),
        )

    async def empty_trash(self, tell: Callable[[int], object] | None = None) -> Emptying:
        done = await self.plan_emptying()
        for image in self.images:
            if image.is_trashed:
                self.images[image.number - 1] = msgspec.structs.replace(
                    image, is_trashed=False, is_emptied=True
                )
        if tell is not None:
            tell(done.images)
        self.change()
        return done

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

    async def check_image(self, reference: str) -> Image:
        return await self.get_image(reference)

    async def read_image(self, image: Image) -> bytes:
        if image.is_thinned:
            raise StoreError("The pixels of this image were dropped.", "Restore it.")
        if image.id not in self.files:
            raise StoreError(f"The file {image.path} is missing.")
        return self.files[image.id]

    async def make_file(
        self, image_id: str, choices: FileChoices, key: SigningKey | None = None
    ) -> MadeFile:
        return MadeFile(data=self.files[image_id], suffix=".png", parameters="", record=b"{}")

    async def get_export_folder(self) -> str | None:
        return self.export_folder

    async def remember_export_folder(self, folder: Path) -> None:
        self.export_folder = str(folder)

    async def import_image(
        self, data: bytes, file_name: str, session: str | None = None
    ) -> Arrival:
        adopted = await self.read_metadata(data)
        sha256 = hashlib.sha256(data).hexdigest()
        for image in self.images:
            if image.file_sha256 == sha256:
                return Arrival(image=image, is_new=False)
        imported = Imported(
            dialect=adopted.dialect,
            grade=adopted.grade.value,
            unread=adopted.unread,
            file_name=file_name,
        )
        image = self.add_image(
            adopted.request,
            data=data,
            imported=imported,
            purpose=Purpose.IMPORT,
            session=session,
            verdict=Verdict.CANNOT_RUN,
        )
        return Arrival(image=image, is_new=True)

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
        turn: Turn = USUAL_TURN,
    ) -> list[Job]:
        return [
            self.add_job(request=request, session=session, parent_id=parent_id, relation=relation)
            for request in requests
        ]

    async def cancel(self, job_id: str) -> Job:
        self.calls.append(("cancel", job_id))
        return self.replace_job(job_id, cancel_requested=True)

    async def cancel_all(self) -> tuple[int, int]:
        jobs = [job for job in self.jobs if not job.state.is_final]
        runs = [run for run in self.runs if not run.state.is_final]
        for job in jobs:
            self.replace_job(job.id, cancel_requested=True)
        for run in runs:
            self._set_run(run.id, RunState.CANCELLED)
        self.calls.append(("cancel_all", ""))
        return len(jobs), len(runs)

    async def count_ended(self, since: float) -> Ended:
        states = Counter(job.state for job in self.jobs if (job.finished_at or 0.0) >= since)
        return Ended(made=states[JobState.DONE], failed=states[JobState.FAILED])

    async def get_worker_status(self) -> WorkerStatus:
        jobs = [job for job in self.jobs if not job.state.is_final]
        return WorkerStatus(is_running=True, process_id=1, jobs=len(jobs))

    async def is_queue_paused(self) -> bool:
        return self.is_paused

    async def pause_queue(self) -> bool:
        return self._set_paused(True)

    async def resume_queue(self) -> bool:
        return self._set_paused(False)

    def _set_paused(self, is_paused: bool) -> bool:
        is_changed = self.is_paused is not is_paused
        self.is_paused = is_paused
        for job in self.jobs:
            self.replace_job(job.id, is_paused=is_paused and job.state is JobState.WAITING)
        self.change()
        return is_changed

    async def move_first(self, job_ids: Sequence[str]) -> list[str]:
        self.turns = [*job_ids, *(each for each in self._list_waiting() if each not in job_ids)]
        self.change()
        return list(job_ids)

    async def shift(self, job_id: str, places: int) -> bool:
        order = self._list_waiting()
        before = order.index(job_id)
        after = min(max(before + places, 0), len(order) - 1)
        order.insert(after, order.pop(before))
        self.turns = order
        self.change()
        return after != before

    def _list_waiting(self) -> list[str]:
        """The ids of what waits, the next one first."""
        waiting = [job.id for job in self.jobs if job.state is JobState.WAITING]
        known = [job_id for job_id in self.turns if job_id in waiting]
        return known + [job_id for job_id in waiting if job_id not in known]

    async def list_queue(self, limit: int = 100) -> list[Job]:
        running = [job for job in self.jobs if job.state is JobState.RUNNING]
        by_id = {job.id: job for job in self.jobs}
        waiting = [
            msgspec.structs.replace(by_id[job_id], place=place)
            for place, job_id in enumerate(self._list_waiting(), start=1)
        ]
        return (running + waiting)[:limit]

    async def retry(self, job_id: str) -> Job:
        self.calls.append(("retry", job_id))
        return self.replace_job(job_id, state=JobState.WAITING, error=None, error_kind=None)

    async def get_job(self, job_id: str) -> Job:
        return next(job for job in self.jobs if job.id == job_id)

    async def list_jobs(
        self,
        states: Sequence[JobState] | None = None,
        limit: int = 100,
        *,
        has_runs: bool = True,
    ) -> list[Job]:
        found = [
            job
            for job in reversed(self.jobs)
            if (states is None or job.state in states)
            and (has_runs or not job.is_background or not job.state.is_final)
        ]
        return found[:limit]

    async def watch(self, seconds: float = 0.2, quickly: float = 0.0) -> AsyncIterator[None]:
        seen = -1
        while True:
            if self.version != seen:
                seen = self.version
                yield
            await asyncio.sleep(0.01)
