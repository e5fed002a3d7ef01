"""A REST service for tests, well or badly behaved, on a plain socket.

In a test: `async with RestServer() as server:` and `server.host`. As a process:

    python -m tests.engines.stability_rest.rest_server --port 0

prints the port on one line and serves until it is ended.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import io
import json
import os
import ssl
import zlib
from enum import StrEnum
from typing import Any, Self

from PIL import Image

from tests.engines.stability_rest.rest_form import parse_form

TOKEN_VARIABLE = "SERVER_TOKEN"
SIZES = {
    "1:1": (1024, 1024),
    "5:4": (1088, 896),
    "4:5": (896, 1088),
    "3:2": (1216, 832),
    "2:3": (832, 1216),
    "16:9": (1344, 768),
    "9:16": (768, 1344),
    "21:9": (1536, 640),
    "9:21": (640, 1536),
}
CORE_SIZES = {ratio: (width * 3 // 2, height * 3 // 2) for ratio, (width, height) in SIZES.items()}
LARGE = 21 * 1024 * 1024


class Behaviour(StrEnum):
    """How the service behaves; everything but `GOOD` is a way to go wrong."""

    GOOD = "good"
    FILTERED = "filtered"
    FILTERED_EMPTY = "filtered_empty"
    ENDED_OTHERWISE = "ended_otherwise"
    NO_REASON = "no_reason"
    WRONG_SEED = "wrong_seed"
    TEXT_SEED = "text_seed"
    NO_SEED = "no_seed"
    WRONG_SIZE = "wrong_size"
    BARE_IMAGE = "bare_image"
    LARGE = "large"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    NO_IMAGE = "no_image"
    NOT_BASE64 = "not_base64"
    NOT_AN_IMAGE = "not_an_image"
    SILENCE = "silence"
    HANG_UP = "hang_up"
    HALF_AN_ANSWER = "half_an_answer"
    HALF_A_REFUSAL = "half_a_refusal"
    SLOW = "slow"


class RestServer:
    """Answers one POST a connection. `requests` are the bytes that came, as they came.

    `refusal`: answer every request with this status and body instead of an image.
    """

    def __init__(
        self,
        behaviour: Behaviour = Behaviour.GOOD,
        *,
        token: str | None = None,
        refusal: tuple[int, bytes] | None = None,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self.requests: list[bytes] = []
        self.started = asyncio.Event()
        self.ended = asyncio.Event()
        self.refusal = refusal
        self._behaviour = behaviour
        self._token = token
        self._tls = tls
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self._port, ssl=self._tls
        )
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        return self._port

    @property
    def host(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def headers(self) -> list[dict[str, str]]:
        """The headers of each request, names in lower case."""
        return [_parse_headers(data)[1] for data in self.requests]

    @property
    def fields(self) -> dict[str, str]:
        """The form of the only request."""
        (data,) = self.requests
        return parse_form(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            _, headers = _parse_headers(head)
            body = await reader.readexactly(int(headers["content-length"]))
            self.requests.append(head + body)
            self.started.set()
            if self._behaviour is not Behaviour.HANG_UP:
                await self._answer(head + body, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.ended.set()
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def _answer(
        self, data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        behaviour = self._behaviour
        if behaviour is Behaviour.SILENCE:
            await reader.read()  # until the client gives up
            return
        status, body = self._make_answer(data)
        length = len(body)
        if behaviour in (Behaviour.HALF_AN_ANSWER, Behaviour.HALF_A_REFUSAL):
            body = body[: length // 2]
        head = f"HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: {length}\r\n\r\n".encode())
        if behaviour is Behaviour.SLOW:
            writer.write(body[:100])
            await reader.read()
            return
        writer.write(body)
        await writer.drain()

    def _make_answer(self, data: bytes) -> tuple[int, bytes]:
        line, headers = _parse_headers(data)
        if self._token is not None and headers.get("authorization") != f"Bearer {self._token}":
            return 401, refuse("unauthorized", "missing or invalid API key")
        if self.refusal is not None:
            return self.refusal
        if self._behaviour is Behaviour.HALF_A_REFUSAL:
            return 422, refuse("rejected", "x" * 1000)
        path = line.split()[1].rpartition("/")[2]
        form = parse_form(data)
        if problem := find_problem(path, form):
            return 400, refuse("bad_request", problem)
        return 200, make_body(path, form, self._behaviour)


def refuse(name: str, *errors: str) -> bytes:
    """A refusal's body as the service writes it."""
    return json.dumps({"id": "ab" * 16, "name": name, "errors": list(errors)}).encode()


def find_problem(path: str, form: dict[str, str]) -> str:
    """What the service would say against this form; empty when it takes it."""
    if path == "core":
        return "image: unknown field" if {"image", "strength"} & form.keys() else ""
    if ("image" in form) != ("strength" in form):
        return "image and strength: both or neither"
    if path == "sd3":
        starts = form["mode"] == "image-to-image"
        if starts != ("image" in form) or starts == ("aspect_ratio" in form):
            return "mode: image, strength and aspect_ratio do not fit it"
    return ""


def make_body(path: str, form: dict[str, str], behaviour: Behaviour) -> bytes:
    """The body of an answer that is no refusal."""
    image = paint(path, form)
    answer: dict[str, Any] = {"finish_reason": "SUCCESS", "seed": int(form["seed"])}
    changes: dict[Behaviour, dict[str, Any]] = {
        Behaviour.FILTERED: {"finish_reason": "CONTENT_FILTERED"},
        Behaviour.FILTERED_EMPTY: {"finish_reason": "CONTENT_FILTERED", "image": ""},
        Behaviour.ENDED_OTHERWISE: {"finish_reason": "TIRED\x1b[2J"},
        Behaviour.NO_REASON: {"finish_reason": None},
        Behaviour.WRONG_SEED: {"seed": 42},
        Behaviour.TEXT_SEED: {"seed": form["seed"]},
        Behaviour.NO_SEED: {"seed": None},
        Behaviour.NO_IMAGE: {"image": None, "errors": ["no idea"]},
        Behaviour.NOT_BASE64: {"image": "§§§"},
        Behaviour.NOT_AN_IMAGE: {"image": base64.b64encode(b"GIF89a?").decode()},
    }
    match behaviour:
        case Behaviour.NOT_JSON:
            return b"<html>\xff\xfe</html>"
        case Behaviour.BARE_IMAGE:
            return image
        case Behaviour.WRONG_SIZE:
            image = paint("ultra", form | {"aspect_ratio": "21:9"})
        case Behaviour.LARGE:
            image = add_weight(image, LARGE)
        case Behaviour.TOO_LARGE:
            answer["more"] = "x" * (3 * 1024 * 1024)
    answer["image"] = base64.b64encode(image).decode()
    return json.dumps(answer | changes.get(behaviour, {})).encode()


def paint(path: str, form: dict[str, str]) -> bytes:
    """A PNG whose colour is drawn from every field of the form, in the size of its ratio.

    Without a ratio it has the size of the image that it starts from.
    """
    if "aspect_ratio" in form:
        size = (CORE_SIZES if path == "core" else SIZES)[form["aspect_ratio"]]
    else:
        width, _, height = form["image"].split()[0].partition("x")
        size = (int(width), int(height))
    facts = json.dumps([path, sorted(form.items())]).encode()
    red, green, blue = hashlib.sha256(facts).digest()[:3]
    file = io.BytesIO()
    Image.new("RGB", size, (red, green, blue)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def add_weight(png: bytes, count: int) -> bytes:
    """The same picture in a file that is `count` bytes longer (a chunk that nobody reads)."""
    kind, data = b"prVt", b"\0" * count
    chunk = count.to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    return png[:33] + chunk + png[33:]  # after signature and header


def _parse_headers(data: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    pairs = [line.split(": ", 1) for line in lines]
    return first, {name.lower(): value for name, value in pairs}


async def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--behaviour", type=Behaviour, default=Behaviour.GOOD)
    arguments = parser.parse_args()
    token = os.environ.get(TOKEN_VARIABLE)
    async with RestServer(arguments.behaviour, token=token, port=arguments.port) as server:
        print(server.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
