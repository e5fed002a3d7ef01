"""Histories of any length, written straight into the tables in the schema's own form.

    python -m tests.benchmarks.history_rows FOLDER COUNT [WITH_STAGES]

Random, and the same each time. Each image has its request, prompts, job, thumbnail and seal as the
program writes them, the newest `WITH_STAGES` their stages too; all share one small file.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from engines.builtin.models import MODEL
from store.database import Database
from store.mapping import hash_text, write_columns
from store.pixels import make_thumbnail, open_image
from store.request import Parameters, Prompt, PromptStack, Request
from store.seals import seal_all
from store.search_index import TRIGGERS, rebuild
from tests.factories import make_png, make_request
from tests.store.helpers import make_images

_BATCH = 5000
_MINUTE = 60.0
_STEPS = 30
_STAGES = ["text", "text", "noise", *["latent"] * _STEPS, "final latent", "pixels"]
_WORDS = (
    "night sky town portrait sea mountain forest castle river snow light moon storm city street "
    "garden flower cat dog horse ship boat bridge tower lake desert island cloud rain sunset "
    "winter summer autumn old new small large red blue green golden silver dark bright quiet misty "
    "painting photograph drawing watercolour oil detailed cinematic soft sharp wide close view "
    "above below beside with without under over in on at of the a and"
)
_COMMON = _WORDS.split()
_AGAINST = ("people", "clouds", "blurry, low quality", "text, watermark", "extra limbs")
_SYLLABLES = [a + b for a in "bcdfghjklmnprstvwz" for b in "aeiou"]

RARE = "zyzzogeton"
"""A word of three prompts, however many images there are."""


class Rows(NamedTuple):
    """How long what was made took, in seconds: the rows, their seals, the search index."""

    written: float
    sealed: float
    indexed: float


class _Prompts:
    """Prompts like those that people write: common words often, thousands of rare ones."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._weights = [1 / (place + 3) for place in range(len(_COMMON))]
        self._rare = [
            "".join(chance.choice(_SYLLABLES) for _ in range(chance.randint(2, 4)))
            for _ in range(20_000)
        ]

    def make(self) -> str:
        chance = self._chance
        words = chance.choices(_COMMON, self._weights, k=chance.randint(5, 16))
        for _ in range(chance.randint(0, 3)):
            place = min(int(chance.expovariate(1 / 2500)), len(self._rare) - 1)
            words.insert(chance.randrange(len(words) + 1), self._rare[place])
        return " ".join(words)


def make_history(folder: Path, count: int, with_stages: int = 0) -> Rows:
    """A new history in `folder` with `count` images."""
    with Database.open(folder) as db:
        make_images(db, [make_request("night sky", steps=_STEPS)])
        data = make_png(128, 128)
        db.vault.put(data, ".png")
        path = db.path
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000"):
        connection.execute(f"PRAGMA {pragma}")
    begin = time.perf_counter()
    # The index is made from the rows in the end, as a change of the schema does.
    for trigger in TRIGGERS:
        connection.execute(f"DROP TRIGGER {trigger}")
    for batch in _list_batches(connection, count, data, with_stages):
        connection.execute("BEGIN")
        for statement, rows in batch.items():
            connection.executemany(statement, rows)
        connection.execute("COMMIT")
    written = time.perf_counter()
    connection.execute("BEGIN")
    seal_all(connection)
    connection.execute("COMMIT")
    sealed = time.perf_counter()
    connection.execute("BEGIN")
    rebuild(connection)
    connection.execute("COMMIT")
    connection.close()
    return Rows(written - begin, sealed - written, time.perf_counter() - sealed)


def _insert(table: str, names: Any) -> str:
    names = list(names)
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"


def _list_batches(
    connection: sqlite3.Connection, count: int, data: bytes, with_stages: int
) -> Iterator[dict[str, list[Any]]]:
    chance = random.Random(1)
    prompts = _Prompts(chance)
    environment = connection.execute("SELECT digest FROM environment").fetchone()[0]
    first = connection.execute("SELECT max(number) FROM image").fetchone()[0] + 1
    picture = open_image(data)
    facts = {
        "environment_digest": environment,
        "purpose": "generate",
        "width": picture.width,
        "height": picture.height,
        "mime": "image/png",
        "pixels_sha256": hashlib.sha256(picture.tobytes()).hexdigest(),
        "file_sha256": hashlib.sha256(data).hexdigest(),
        "file_bytes": len(data),
        "finish_reason": "success",
        "seconds": 2.0,
        "meta": '{"guidance":"composed-3","noise":"philox-1","schedule":"karras-3"}',
    }
    thumbnail = make_thumbnail(picture)
    start = time.time() - count * _MINUTE
    rare = {count // 7, count // 2, count - count // 5}
    parents: list[str] = []

    def hexadecimal(bits: int) -> str:
        return f"{chance.getrandbits(bits):0{bits // 4}x}"

    for numbers in _split(count):
        batch: dict[str, list[Any]] = {}

        def add(table: str, values: dict[str, Any], batch: dict[str, list[Any]] = batch) -> None:
            batch.setdefault(_insert(table, values), []).append(tuple(values.values()))

        for place in numbers:
            number, moment = first + place, start + place * _MINUTE
            text = prompts.make() + (f" {RARE}" if place in rare else "")
            stack = [Prompt(text=text)]
            if chance.random() < 0.6:
                stack.append(Prompt(text=chance.choice(_AGAINST), weight=-0.5))
            request = Request(
                engine="builtin",
                model=MODEL,
                stack=PromptStack(prompts=tuple(stack)),
                parameters=Parameters(
                    seed=chance.randint(1, 2**32 - 2),
                    steps=_STEPS,
                    cfg_scale=7.0,
                    sampler="k_dpmpp_2m",
                    width=128,
                    height=128,
                    style_preset=None,
                ),
            )
            document = request.to_json().decode()
            digest = hash_text(document)
            add(
                "request",
                {
                    "digest": digest,
                    "json": document,
                    "engine": request.engine,
                    "model": request.model,
                    "format": request.format,
                    **write_columns(request.parameters),
                },
            )
            for position, prompt in enumerate(stack, 1):
                said = msgspec.structs.asdict(prompt)
                add("prompt", {"request_digest": digest, "position": position, **said})
            image, job = hexadecimal(128), hexadecimal(128)
            session = chance.choice(["main", "main", "towns", "portraits", None])
            parent = chance.choice(parents) if parents and chance.random() < 0.1 else None
            shared = {
                "request_digest": digest,
                "session": session,
                "parent_id": parent,
                "relation": "edit" if parent else None,
            }
            add(
                "job",
                {
                    "id": job,
                    "purpose": "generate",
                    "state": "done",
                    "created_at": moment,
                    "started_at": moment + 1,
                    "finished_at": moment + 3,
                    "epoch": 1,
                    "attempts": 1,
                    "cancel_requested": 0,
                    "image_id": image,
                    **shared,
                },
            )
            add(
                "image",
                {
                    "number": number,
                    "id": image,
                    "job_id": job,
                    "seed": request.parameters.seed,
                    "created_at": moment + 3,
                    "prompt_text": "\n".join(prompt.text for prompt in stack),
                    **shared,
                    **facts,
                },
            )
            add("thumbnail", {"image_number": number, "data": thumbnail})
            if place >= count - with_stages:
                for position, name in enumerate(_STAGES, 1):
                    step = position - 3 if name == "latent" else 0
                    values = {"image_number": number, "position": position, "name": name}
                    add("stage", {**values, "step": step, "sha256": hexadecimal(256)})
            if chance.random() < 0.05:
                values = {"image_id": image, "verdict": "identical", "detail": ""}
                both = facts["pixels_sha256"]
                values |= {"pixels_sha256_then": both, "pixels_sha256_now": both}
                add("verification", {**values, "created_at": moment + 30})
            if chance.random() < 0.02:
                marks = {"rating": chance.randint(0, 5), "is_favourite": chance.random() < 0.3}
                add("annotation", {"image_number": number, **marks})
                add("tag", {"image_number": number, "name": chance.choice(_COMMON)})
            if len(parents) < 5000 or chance.random() < 0.2:
                parents.append(image)
                del parents[:-5000]
        yield batch


def _split(count: int) -> Iterator[range]:
    for begin in range(0, count, _BATCH):
        yield range(begin, min(begin + _BATCH, count))


def main() -> None:
    """Make one history."""
    folder, count, *rest = sys.argv[1:]
    print(make_history(Path(folder), int(count), int(rest[0]) if rest else int(count)))


if __name__ == "__main__":
    main()
