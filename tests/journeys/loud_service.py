"""Services on loopback that repeat the key that they were sent, wherever an answer has a place.

`RestService` and `GrpcService` answer the first request in the first way, the second in the second.
"""

from __future__ import annotations

import base64
import http.server
import io
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, Self

import grpc
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from engines.stability.protocol import (
    PREVIEW_MAGIC,
    WARNING_HEADER,
    dashboard,
    generation,
    listing,
)

ACTING = "\x1b]52;c;QUFB\x07\x1b[2J\u202e"
Code = grpc.StatusCode


def list_spellings(key: str) -> list[str]:
    """How services write a key that they repeat, each as it would stand in a file."""
    user = base64.b64encode(f"user:{key}".encode()).decode()
    return [
        key,
        json.dumps(key)[1:-1],
        urllib.parse.quote(key, safe=""),
        "".join(f"\\u{ord(sign):04x}" for sign in key),
        "".join(f"%{ord(sign):02X}" for sign in key),
        base64.b64encode(key.encode()).decode(),
        user,
        key.encode().hex(),
        key.upper(),
    ]


def say(key: str) -> str:
    """A sentence with the key in each spelling, and what acts on a terminal."""
    plain, json_text, quoted, *rest = list_spellings(key)
    head = f"Incorrect API key provided: Bearer {plain} {ACTING} ({json_text}) {quoted}"
    return " ".join((head, *rest, f"Basic {rest[3]}"))


def paint(width: int, height: int, key: str) -> bytes:
    """A PNG file whose texts repeat the key, as they are and compressed."""
    info = PngInfo()
    info.add_text("Comment", f"made for {key}")
    info.add_text("More", f"made for {key}", zip=True)
    info.add_itxt("parameters", say(key), zip=True)
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    image.save(file := io.BytesIO(), "PNG", pnginfo=info)
    return file.getvalue()


Reply = tuple[int, str, bytes]
"""Status, reason phrase and body."""


def _refuse(status: int, name: str) -> Callable[[str], Reply]:
    def answer(key: str) -> Reply:
        body = {"id": key, "name": name, "errors": [say(key), {"key": key}]}
        return status, f"no {key} \x1b[2J", json.dumps(body).encode()

    return answer


def _hold(**changes: Any) -> Callable[[str], Reply]:
    def answer(key: str) -> Reply:
        image = base64.b64encode(paint(1024, 1024, key)).decode()
        body = {"image": image, "finish_reason": "SUCCESS", "seed": 7, "id": f"id {key}"}
        body |= {name: say(key) if value is say else value for name, value in changes.items()}
        return 200, f"fine {key}", json.dumps(body).encode()

    return answer


REST_ANSWERS: tuple[Callable[[str], Reply], ...] = (
    _refuse(401, "unauthorized"),
    _refuse(400, "invalid_prompts"),
    _refuse(400, "content_moderation"),
    _refuse(402, "payment_required"),
    _refuse(403, "forbidden"),
    _refuse(404, "not_found"),
    _refuse(413, "too_large"),
    _refuse(422, "unprocessable"),
    _refuse(500, "internal"),
    _refuse(503, "unavailable"),
    lambda key: (200, "fine", f"<html>{say(key)}</html>".encode()),
    lambda key: (200, "fine", b"\xff\x00" + say(key).encode() + b"\xff"),
    lambda key: (401, "no", f'{{"errors": ["Bearer {key}'.encode()),
    lambda key: (302, f"to {key}", b""),
    _hold(image=None, errors=say),
    _hold(image=say),
    _hold(),
    _hold(finish_reason=say, seed=say),
    lambda key: (200, "fine", paint(1024, 1024, key)),
    # The last, as it refuses all that come after.
    _refuse(429, "rate_limited"),
)


class RestService:
    """The REST service. `host` is what STABILITY_REST_HOST wants; `keys` are those that came."""

    def __init__(self, answers: tuple[Callable[[str], Reply], ...] = REST_ANSWERS) -> None:
        keys: list[str] = []
        lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                key = self.headers["authorization"].removeprefix("Bearer ")
                with lock:
                    status, reason, body = answers[len(keys) % len(answers)](key)
                    keys.append(key)
                head = f"HTTP/1.1 {status} {reason}\r\nlocation: https://localhost/?key={key}\r\n"
                head += f"x-key: {key}\r\ncontent-length: {len(body)}\r\n\r\n"
                self.wfile.write(head.encode("latin-1") + body)

            def log_message(self, *_: object) -> None:
                pass

        self.keys = keys
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _abort(code: Any, text: str = "") -> Callable[[str, Any], Iterator[Any]]:
    def answer(key: str, context: Any) -> Iterator[Any]:
        context.set_trailing_metadata(((WARNING_HEADER, say(key).encode()), ("x-key", key)))
        context.abort(code, f"{text} {say(key)}".encode("ascii", "replace").decode())
        yield from ()

    return answer


def _write_text(reason: Any) -> Callable[[str, Any], Iterator[Any]]:
    def answer(key: str, context: Any) -> Iterator[Any]:
        text = generation.Artifact(
            type=generation.ARTIFACT_TEXT, text=say(key), finish_reason=reason
        )
        yield generation.Answer(answer_id=key, artifacts=[text]).SerializeToString()

    return answer


def _write_junk(key: str, _: Any) -> Iterator[Any]:
    yield b"\xff\xff\xff" + say(key).encode()


def _write_image(key: str, context: Any) -> Iterator[Any]:
    preview = paint(16, 16, key)
    yield generation.Answer(
        artifacts=[
            generation.Artifact(
                id=10,
                index=5,
                type=generation.ARTIFACT_LATENT,
                magic=PREVIEW_MAGIC,
                binary=preview,
                size=len(preview),
                mime="image/png",
            )
        ]
    ).SerializeToString()
    image = generation.Artifact(
        type=generation.ARTIFACT_IMAGE,
        mime="image/png",
        binary=paint(128, 128, key),
        seed=7,
        uuid=f"uuid {key}",
    )
    answer = generation.Answer(answer_id=say(key), request_id=key, artifacts=[image])
    answer.meta.engine_id = answer.meta.node_id = key
    yield answer.SerializeToString()
    context.set_trailing_metadata(((WARNING_HEADER, say(key).encode()),))


GRPC_ANSWERS: tuple[Callable[[str, Any], Iterator[Any]], ...] = (
    _abort(Code.UNAUTHENTICATED),
    _abort(Code.PERMISSION_DENIED),
    _abort(Code.RESOURCE_EXHAUSTED),
    _abort(Code.INVALID_ARGUMENT),
    _abort(Code.INVALID_ARGUMENT, "invalid prompt"),
    _abort(Code.NOT_FOUND),
    _abort(Code.INTERNAL),
    _abort(Code.UNAVAILABLE),
    _write_text(generation.FILTER),
    _write_text(generation.ERROR),
    _write_text(generation.STOP),
    _write_junk,
    _write_image,
)


class GrpcService(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The gRPC service. `host` is what STABILITY_HOST wants; `keys` are those that came."""

    def __init__(
        self, answers: tuple[Callable[[str, Any], Iterator[Any]], ...] = GRPC_ANSWERS
    ) -> None:
        self.keys: list[str] = []
        self._answers = answers
        self._made = 0
        self._server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[self])
        self.host = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def service(self, details: Any) -> Any:
        """What answers a call."""
        key = dict(details.invocation_metadata)["authorization"].removeprefix("Bearer ")
        self.keys.append(key)
        if details.method.endswith("/Generate"):
            answer = self._answers[self._made % len(self._answers)]
            self._made += 1
            return grpc.unary_stream_rpc_method_handler(lambda _, context: answer(key, context))
        told = self._tell(details.method.rpartition("/")[2], key)
        return grpc.unary_unary_rpc_method_handler(lambda _, context: told.SerializeToString())

    def _tell(self, method: str, key: str) -> Any:
        if method == "ListEngines":
            engine = listing.EngineInfo(id=key, name=say(key), description=say(key), ready=True)
            return listing.Engines(engine=[engine])
        if method == "GetMe":
            user = dashboard.User(id=say(key))
            user.organizations.add(is_default=True).organization.id = key
            return user
        organization = dashboard.Organization(id=key, name=say(key))
        organization.payment_info.balance = 1.5
        return organization
