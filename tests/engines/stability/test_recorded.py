"""What is stored of an image that was made from images: the exact message, digests, warnings."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from engines.registry import EngineRegistry
from engines.settings import Settings
from engines.stability.messages import parse_message, read_request
from engines.stability.models import StabilitySettings
from engines.worker.job import JobExecution
from store import history, queue
from store.database import Database
from store.inputs import read_input, store_input
from store.records import JobState
from tests.engines.hosted import Serve
from tests.engines.painter import EVERYTHING, MODEL, Painter, paint
from tests.engines.stability.files import Shelf, make_file, make_mask_file
from tests.engines.stability.full_requests import make_full_request


async def test_the_exact_message_is_stored_with_its_digest(serve: Serve, tmp_path: Path) -> None:
    server, shelf = await serve(engine=Painter(takes=EVERYTHING)), Shelf()
    jpeg = make_file(kind="JPEG")
    request = make_full_request(
        shelf,
        initial_image=shelf.make_initial(jpeg),
        mask=shelf.make_mask(make_mask_file(), replaces="white"),
    )
    request = msgspec.structs.replace(request, model=MODEL)
    settings = Settings(engines={"stability": StabilitySettings(host=server.host, models=(MODEL,))})
    with Database.open(tmp_path) as database:
        for data in shelf.values():
            store_input(database, data)
        (job,) = queue.enqueue(database, [request])
        token = queue.recover(database, paid_engines={"stability"})
        claimed = queue.claim(database, token)
        assert claimed is not None
        await JobExecution(database, EngineRegistry(settings), claimed, token).run()
        done, wire = queue.get_job(database, job.id), queue.read_wire(database, job.id)
        assert done.state is JobState.DONE
        assert [wire] == server.messages
        assert wire is not None
        assert done.wire_sha256 == hashlib.sha256(wire).hexdigest()
        (listed,) = history.list_images(database)
        image = history.get_image(database, listed.id)
        assert image.request == request
        restored, files = read_request(parse_message(wire), "painter")
        assert history.read_image(database, image) == paint(restored, files.__getitem__)
        assert image.warning is not None
        for name, sha256 in zip(("initial image", "mask"), files, strict=True):
            assert image.meta[f"sent {name}"] == sha256
            assert sha256 in image.warning
        assert "does not repeat" in image.warning
        assert read_input(database, request.parameters.inputs[0]) == jpeg
