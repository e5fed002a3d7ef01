"""Whole answers with the wrong thing in them: half images, wrong types, refusals, junk."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

from engines.base import Failure
from engines.quiet_grpc import grpc
from engines.stability.protocol import Message, generation
from store.records import FinishReason
from tests.engines.stability.faults import frames
from tests.engines.stability.faults.answers import (
    END,
    HEAD,
    IMAGE,
    KEEPALIVE,
    SEED,
    answer,
    artifact,
    picture,
    text,
)
from tests.engines.stability.faults.cases import (
    FAILED,
    IDLE,
    MADE,
    NO_ANSWER,
    REFUSED,
    UNKNOWN,
    Case,
    Ends,
)
from tests.engines.stability.faults.peer import Script

_UNUSABLE = Ends(kind=Failure.BAD_ANSWER, words="cannot be used as the image", is_charged=True)
_IS_STRICT = tuple(map(int, grpc.__version__.split(".")[:2])) > (1, 63)
"""Newer versions of gRPC refuse what is packed and does not say how."""

_NO_IMAGE = Ends(kind=Failure.BAD_ANSWER, words="without an image", is_charged=True)
_UNREADABLE = Ends(kind=Failure.BAD_ANSWER, words="cannot be read", is_charged=True)
_WITHHELD = Ends(kind=Failure.FILTERED, words="withheld this image")


def _case(name: str, ends: Ends, *sent: Message | bytes) -> Case:
    steps = b"".join(frames.message(one) for one in sent)
    return Case(name=name, script=Script(steps=(HEAD, KEEPALIVE, steps, END)), ends=ends)


def _list_halves() -> list[Case]:
    cases = []
    for kind in ("PNG", "JPEG", "WEBP"):
        whole = picture(kind)
        cuts = {
            "after 1 byte": 1,
            "after 8 bytes": 8,
            "after 30 bytes": 30,
            "after 1 %": len(whole) // 100,
            "after 10 %": len(whole) // 10,
            "after a quarter": len(whole) // 4,
            "at half": len(whole) // 2,
            "after three quarters": len(whole) * 3 // 4,
            "after 90 %": len(whole) * 9 // 10,
            "after 99 %": len(whole) * 99 // 100,
        }
        cases += [
            _case(f"a {kind} that ends {where}", _UNUSABLE, answer(artifact(whole[:cut])))
            for where, cut in cuts.items()
        ]
        cases.append(_case(f"a whole {kind}", Ends(data=whole), answer(artifact(whole))))
    return cases


def _damage(data: bytes, place: float) -> bytes:
    at = int(len(data) * place)
    return data[:at] + bytes(byte ^ 0x55 for byte in data[at : at + 8]) + data[at + 8 :]


def _list_bytes() -> list[Case]:
    whole = picture()
    damaged = {
        "a PNG damaged in its head": _damage(whole, 0.004),
        "a PNG damaged in the middle": _damage(whole, 0.5),
        "text": b"I am not an image",
        "a web page": b"<html><body>502 Bad Gateway</body></html>",
        "a GIF": b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,",
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(file) run\n",
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "zeros": bytes(5000),
        "a PNG after a space": b" " + whole,
        "a PNG of 4 billion pixels": _claim(whole, 65000, 65000),
        "a PNG without a pixel": _claim(whole, 0, 128),
    }
    return [
        _case(f"{name} for an image", _UNUSABLE, answer(artifact(data)))
        for name, data in damaged.items()
    ]


def _claim(whole: bytes, width: int, height: int) -> bytes:
    head = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + whole[24:29]
    return whole[:12] + head + zlib.crc32(head).to_bytes(4, "big") + whole[33:]


def _list_types() -> list[Case]:
    others = set(generation.ArtifactType.values()) - {
        generation.ARTIFACT_IMAGE,
        generation.ARTIFACT_TEXT,
    }
    cases = []
    for number in (*sorted(others), 77):
        known = generation.ArtifactType.DESCRIPTOR.values_by_number.get(number)
        name = known.name if known else f"the type {number}"
        cases.append(_case(f"{name} for an image", _NO_IMAGE, answer(artifact(type=number))))
    return cases


def _list_contents() -> list[Case]:
    filtered, error = generation.FILTER, generation.ERROR
    tall, half = picture(height=192), picture()[:-500]
    blurred: dict[str, Any] = {"reason": FinishReason.FILTER}
    return [
        _case("no answer at all", _NO_IMAGE),
        _case("keepalives only", _NO_IMAGE, answer(), answer(), answer()),
        _case("an empty artifact", _NO_IMAGE, answer(generation.Artifact())),
        _case("an image of no bytes", _NO_IMAGE, answer(artifact(b""))),
        _case("an image of no bytes, then one", Ends(words="2 images"), *_pair(b"", None)),
        _case("a filtered image", Ends(words="blurred", **blurred), _finish(filtered)),
        _case("a filtered image of no bytes", _WITHHELD, _finish(filtered, b"")),
        _case("the filter's words", REFUSED, answer(text("Invalid prompts detected", filtered))),
        _case("the filter without a word", _WITHHELD, answer(text("", filtered))),
        _case("an image and the filter's words", Ends(words="filter said: no"), *_said(filtered)),
        _case(
            "an image that failed", Ends(words="failed", reason=FinishReason.ERROR), _finish(error)
        ),
        _case("an image that failed, of no bytes", FAILED, _finish(error, b"")),
        _case("an error in words", FAILED, answer(text("out of memory", error))),
        _case("an image and an error in words", Ends(words="also reports"), *_said(error)),
        _case("an unknown finish reason", MADE, _finish(99)),
        _case("words only", Ends(kind=Failure.BAD_ANSWER, words="no", is_charged=True), _words()),
        _case("another seed", Ends(words="the seed 42"), answer(artifact(seed=SEED + 1))),
        _case("no seed", Ends(words="does not say which"), answer(artifact(seed=0))),
        _case("another size", Ends(words="128x192", data=tall), answer(artifact(tall))),
        _case("another request", Ends(words="another request"), _image(request_id="other")),
        _case("no request id", MADE, _image(request_id="")),
        _case(
            "another model", Ends(words="other-1 made it"), _image(meta={"engine_id": "other-1"})
        ),
        _case("another type of file than said", MADE, answer(artifact(mime="text/html"))),
        _case("a wrong size of the file", MADE, answer(artifact(size=7))),
        _case("two images in two answers", Ends(words="2 images"), *_pair(None, picture("JPEG"))),
        _case("two images in one answer", Ends(words="2 images"), answer(artifact(), artifact())),
        _case("half an image, then a whole one", Ends(words="2 images"), *_pair(half, None)),
        _case("half an image twice", _UNUSABLE, *_pair(half, half)),
        _case("nine images", Ends(words="9 images"), answer(*[artifact()] * 9)),
        _case("an image between keepalives", MADE, answer(), answer(artifact()), answer()),
    ]


def _image(**values: Any) -> Message:
    return answer(artifact(), **values)


def _finish(reason: int, data: bytes | None = None) -> Message:
    return answer(artifact(data, finish_reason=reason))


def _words() -> Message:
    return answer(text("no", generation.STOP))


def _pair(first: bytes | None, second: bytes | None) -> tuple[Message, Message]:
    return answer(artifact(first)), answer(artifact(second))


def _said(reason: int) -> tuple[Message, Message]:
    return answer(artifact()), answer(text("no", reason))


def _list_junk() -> list[Case]:
    image = answer(artifact()).SerializeToString()
    unread = Ends(words="could not be read")
    return [
        _case("an answer of junk", _UNREADABLE, b"\xff\xff\xff junk"),
        _case("an answer cut short", _UNREADABLE, image[:-1]),
        _case("an answer cut in the middle", _UNREADABLE, image[: len(image) // 2]),
        _case("an answer with a length that lies", _UNREADABLE, image.replace(b"\x89PNG", b"", 1)),
        _case("text that is not UTF-8", _UNREADABLE, b"\x0a\x02\xff\xfe"),
        _case("a message of another kind", _NO_IMAGE, b"\x98\x06\x01"),
        _case("an empty message", _NO_IMAGE, b""),
        _case("junk, then the image", unread, b"\xff\xff", image),
        _case("the image, then junk", unread, image, b"\xff\xff"),
        _case("the image with fields of tomorrow", MADE, image + b"\xfa\x7f\x04what"),
        _case("a request id that is escapes", Ends(words="???"), _image(request_id="\x1b\x07\x00")),
    ]


def _list_packed() -> list[Case]:
    plain = answer(artifact()).SerializeToString()
    packed = gzip.compress(plain)
    ready = {"gzip": frames.response(grpc_encoding="gzip"), "none": HEAD}
    sent: dict[str, tuple[bytes, bytes, Ends]] = {
        "packed well": (ready["gzip"], packed, MADE),
        "packed, cut short": (ready["gzip"], packed[:-9], _UNREADABLE),
        "packed, damaged": (ready["gzip"], _damage(packed, 0.5), _UNREADABLE),
        "packed junk": (ready["gzip"], b"junk" * 99, _UNREADABLE),
        "packed nothing": (ready["gzip"], b"", _NO_IMAGE),
        "packed without a word of it": (ready["none"], packed, FAILED if _IS_STRICT else MADE),
        "packed with zlib": (frames.response(grpc_encoding="deflate"), zlib.compress(plain), MADE),
        "packed as nobody packs": (frames.response(grpc_encoding="zebra"), packed, UNKNOWN),
    }
    cases = [
        Case(
            name=f"an answer {name}",
            script=Script(steps=(head, frames.data(frames.prefix(data, flag=1)), END)),
            ends=ends,
        )
        for name, (head, data, ends) in sent.items()
    ]
    lengths: dict[str, tuple[bytes, Ends]] = {
        "flag of 2": (frames.prefix(b"", flag=2), _NO_IMAGE),
        "flag of 255": (frames.prefix(b"", flag=255), _NO_IMAGE),
        "length of 4 GiB": (frames.prefix(b"", length=2**32 - 1), NO_ANSWER),
        "length above the limit": (frames.prefix(b"", length=65 * 1024 * 1024), NO_ANSWER),
        "length longer than what comes": (frames.prefix(b"abc", length=9), _NO_IMAGE),
    }
    return cases + [
        Case(
            name=f"an answer with a {name}",
            script=Script(steps=(HEAD, frames.data(data), END)),
            ends=ends,
        )
        for name, (data, ends) in lengths.items()
    ]


def _list_slow() -> list[Case]:
    short: dict[str, Any] = {"deadline_seconds": IDLE}
    late = Ends(kind=Failure.OUTCOME_UNKNOWN, words="did not finish in time", is_charged=True)
    thirds = [IMAGE[n : n + 999] for n in range(0, len(IMAGE), 999)]
    before: dict[str, tuple[bytes | int, ...]] = {
        "before the headers": (),
        "after the headers": (HEAD,),
        "after a keepalive": (HEAD, KEEPALIVE, 1),
        "within the image": (HEAD, KEEPALIVE, 1, IMAGE[:999]),
    }
    cases = [
        Case(
            name=f"the deadline passes {moment}",
            script=Script(steps=steps),
            ends=late,
            options=short,
        )
        for moment, steps in before.items()
    ]
    cases.append(
        Case(
            name="the image comes in drops",
            script=Script(steps=(HEAD, KEEPALIVE, *thirds, END)),
            ends=MADE,
        )
    )
    return cases


CASES = [
    *_list_halves(),
    *_list_bytes(),
    *_list_types(),
    *_list_contents(),
    *_list_junk(),
    *_list_packed(),
    *_list_slow(),
]
