"""Each status that a call can end with: gRPC's and HTTP's, with and without words."""

from __future__ import annotations

import grpc

from engines.base import Failure
from tests.engines.stability.faults import frames
from tests.engines.stability.faults.answers import HEAD, IMAGE, KEEPALIVE, REFUSAL
from tests.engines.stability.faults.cases import (
    FAILED,
    KEPT,
    MADE,
    NO_ANSWER,
    REFUSED,
    UNKNOWN,
    Case,
    Ends,
)
from tests.engines.stability.faults.peer import Script

WORDS = "the words beside it"

_Code = grpc.StatusCode
_REQUEST = Ends(kind=Failure.INVALID_REQUEST)
_KEY = Ends(kind=Failure.WRONG_KEY)
_BY_STATUS = {
    _Code.OK: NO_ANSWER,
    _Code.CANCELLED: UNKNOWN,
    _Code.UNKNOWN: FAILED,
    _Code.INVALID_ARGUMENT: _REQUEST,
    _Code.DEADLINE_EXCEEDED: UNKNOWN,
    _Code.NOT_FOUND: Ends(kind=Failure.MODEL_GONE),
    _Code.ALREADY_EXISTS: FAILED,
    _Code.PERMISSION_DENIED: _KEY,
    _Code.RESOURCE_EXHAUSTED: Ends(kind=Failure.RATE_LIMITED),
    _Code.FAILED_PRECONDITION: _REQUEST,
    _Code.ABORTED: FAILED,
    _Code.OUT_OF_RANGE: _REQUEST,
    _Code.UNIMPLEMENTED: _REQUEST,
    _Code.INTERNAL: FAILED,
    _Code.UNAVAILABLE: UNKNOWN,
    _Code.DATA_LOSS: FAILED,
    _Code.UNAUTHENTICATED: _KEY,
}
LONG = frames.trailers(13, "x" * 66_000)
LARGE = Ends(kind=Failure.BAD_ANSWER, words="larger than 64 KiB", is_charged=True)
SAID = Ends(kind=Failure.INTERNAL, words=WORDS, is_charged=True)
_SILENT_ABOUT_WORDS = (_Code.OK, _Code.DEADLINE_EXCEEDED)


def _list_statuses() -> list[Case]:
    cases = []
    for code, ends in _BY_STATUS.items():
        number, name = code.value[0], code.name
        said = Ends(kind=ends.kind, words=WORDS, is_charged=ends.is_charged)
        moments = {
            f"{name} without a word": ((frames.refusal(number),), ends),
            f"{name} with words": (
                (frames.refusal(number, WORDS),),
                ends if code in _SILENT_ABOUT_WORDS else said,
            ),
            f"{name} after a keepalive": (
                (HEAD, KEEPALIVE, 1, frames.trailers(number, WORDS)),
                ends if code in _SILENT_ABOUT_WORDS else said,
            ),
            f"{name} after the image": (
                (HEAD, IMAGE, 1, frames.trailers(number, WORDS)),
                MADE if code is _Code.OK else KEPT,
            ),
            f"{name} after the refusal": (
                (HEAD, REFUSAL, 1, frames.trailers(number, WORDS)),
                REFUSED,
            ),
        }
        cases += [
            Case(name=name, script=Script(steps=steps), ends=expected)
            for name, (steps, expected) in moments.items()
        ]
    return cases


def _list_odd_statuses() -> list[Case]:
    nameless, broken = ("17", "99", "-1"), ("4294967296", "abc", "")
    cases = [
        Case(
            name=f"the status {text!r}",
            script=Script(steps=(frames.refusal(text, WORDS),)),
            ends=UNKNOWN if text in broken else SAID,
            # A newer gRPC takes no number below 0 for one.
            or_ends=UNKNOWN if text == "-1" else None,
        )
        for text in nameless + broken
    ]
    cases += [
        Case(
            name=f"the status {text!r} after the image",
            script=Script(steps=(HEAD, IMAGE, 1, frames.trailers(text, WORDS))),
            ends=KEPT,
        )
        for text in nameless + broken
    ]
    no_status = frames.headers({"x-odd": "1"}, ends=True)
    cases += [
        Case(
            name="trailers without a status",
            script=Script(steps=(HEAD, KEEPALIVE, 1, no_status)),
            ends=FAILED,
        ),
        Case(
            name="trailers without a status after the image",
            script=Script(steps=(HEAD, IMAGE, 1, no_status)),
            ends=KEPT,
        ),
        Case(
            name="no trailers at all",
            script=Script(steps=(HEAD, KEEPALIVE, frames.data(b"", ends=True))),
            ends=UNKNOWN,
        ),
        Case(
            name="no trailers after the image",
            script=Script(steps=(HEAD, IMAGE, 1, frames.data(b"", ends=True))),
            ends=KEPT,
        ),
        Case(
            name="16 KB of words",
            script=Script(steps=(frames.refusal(13, WORDS + "x" * 16000),)),
            ends=SAID,
        ),
        Case(
            name="64 KB of words",
            script=Script(steps=(HEAD, KEEPALIVE, 1, LONG)),
            ends=LARGE,
        ),
        Case(
            name="64 KB of words after the image",
            script=Script(steps=(HEAD, IMAGE, 1, LONG)),
            ends=KEPT,
        ),
        Case(
            name="words that are escapes",
            script=Script(steps=(frames.refusal(13, "%1B[2J%E2%80%AE%FF%zz"),)),
            ends=FAILED,
        ),
    ]
    return cases


def _list_http() -> list[Case]:
    by_status = {
        "401": Ends(kind=Failure.WRONG_KEY),
        "403": Ends(kind=Failure.WRONG_KEY),
        "404": Ends(kind=Failure.UNREACHABLE, words="does not speak the Stability"),
        "413": FAILED,
        "429": Ends(kind=Failure.RATE_LIMITED),
        "500": FAILED,
        "502": UNKNOWN,
        "503": UNKNOWN,
        "504": UNKNOWN,
        "302": FAILED,
    }
    page = frames.data(b"<html>\x1b[2J", ends=True)
    cases = []
    for status, ends in by_status.items():
        fields: dict[str, str | bytes] = {":status": status, "content-type": "text/html"}
        cases += [
            Case(
                name=f"HTTP {status} of a web server",
                script=Script(steps=(frames.headers(fields, ends=True),)),
                ends=ends,
            ),
            Case(
                name=f"HTTP {status} of a web server, with a page",
                script=Script(steps=(frames.headers(fields) + page,)),
                ends=UNKNOWN,
                # Whether the status or the page that is no gRPC is seen first is up to gRPC.
                or_ends=ends,
            ),
        ]
    return cases


CASES = [*_list_statuses(), *_list_odd_statuses(), *_list_http()]
