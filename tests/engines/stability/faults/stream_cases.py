"""Each way to break a call, at each message of it."""

from __future__ import annotations

from tests.engines.stability.faults import frames
from tests.engines.stability.faults.answers import (
    END,
    HEAD,
    IMAGE,
    KEEPALIVE,
    REFUSAL,
    answer,
    artifact,
)
from tests.engines.stability.faults.cases import (
    IDLE,
    KEPT,
    MADE,
    REFUSED,
    SILENT,
    UNKNOWN,
    Case,
    Ends,
)
from tests.engines.stability.faults.peer import Ending, Script

Steps = tuple[bytes | int, ...]

_FRAMES = frames.message(answer(artifact()), size=1024)
_FRAME = frames.HEAD_SIZE + 1024
_LAST = (len(_FRAMES) - 1) // _FRAME * _FRAME

BETWEEN: dict[str, Steps] = {
    "before the headers": (),
    "after the headers": (HEAD,),
    "after 1 keepalive": (HEAD, KEEPALIVE, 1),
    "after 2 keepalives": (HEAD, KEEPALIVE * 2, 2),
    "after 9 keepalives": (HEAD, KEEPALIVE * 9, 9),
    "after the first frame of the image": (HEAD, KEEPALIVE, 1, _FRAMES[:_FRAME]),
    "before the last frame of the image": (HEAD, KEEPALIVE, 1, _FRAMES[:_LAST]),
    "after the image": (HEAD, KEEPALIVE, IMAGE, 2),
    "after the refusal": (HEAD, KEEPALIVE, REFUSAL, 2),
    "inside the status after the image": (HEAD, KEEPALIVE, IMAGE, 2, END[:-3]),
}
INSIDE: dict[str, Steps] = {
    "inside the headers": (HEAD[:-7],),
    "inside a keepalive": (HEAD, KEEPALIVE[:-3]),
    "inside the head of the image's frame": (HEAD, KEEPALIVE, 1, IMAGE[:5]),
    "inside the length of the image": (HEAD, KEEPALIVE, 1, IMAGE[:12]),
    "at a quarter of the image": (HEAD, KEEPALIVE, 1, IMAGE[: len(IMAGE) // 4]),
    "at half of the image": (HEAD, KEEPALIVE, 1, IMAGE[: len(IMAGE) // 2]),
    "before the last byte of the image": (HEAD, KEEPALIVE, 1, IMAGE[:-1]),
}

_ENDS: dict[str, tuple[Steps, Ending, Ends]] = {
    "the connection is reset": ((), Ending.RESET, UNKNOWN),
    "the connection is closed": ((), Ending.CLOSE, UNKNOWN),
    "nothing more comes": ((), Ending.KEEP, SILENT),
}
_FRAMED: dict[str, tuple[Steps, Ending, Ends]] = {
    "the server goes away": ((frames.goaway(2),), Ending.CLOSE, UNKNOWN),
    "the server goes away in good order": ((frames.goaway(0),), Ending.CLOSE, UNKNOWN),
    "the stream is reset": ((frames.reset(2),), Ending.KEEP, UNKNOWN),
    "garbage comes": ((b"\xff" * 64,), Ending.KEEP, UNKNOWN),
}


def _list_breaks(
    moments: dict[str, Steps], ways: dict[str, tuple[Steps, Ending, Ends]]
) -> list[Case]:
    cases = []
    for moment, before in moments.items():
        for way, (steps, ending, usual) in ways.items():
            ends = KEPT if IMAGE in before else REFUSED if REFUSAL in before else usual
            cases.append(
                Case(
                    name=f"{way} {moment}",
                    script=Script(steps=(*before, *steps), ending=ending),
                    ends=ends,
                    options={"idle_seconds": IDLE} if ends is SILENT else {},
                )
            )
    return cases


def _list_resets() -> list[Case]:
    return [
        Case(
            name=f"the stream is reset with {name}",
            script=Script(steps=(HEAD, KEEPALIVE, 1, frames.reset(code))),
            ends=UNKNOWN,
        )
        for code, name in enumerate((*frames.ERRORS, "a code of its own"))
    ]


def _list_goodbyes() -> list[Case]:
    whole = (KEEPALIVE, IMAGE, END)
    return [
        Case(
            name="the server goes away in good order and still answers",
            script=Script(steps=(HEAD, frames.goaway(0), *whole)),
            ends=MADE,
        ),
        Case(
            name="the server goes away before it took the request",
            script=Script(steps=(frames.goaway(0, last=0),)),
            ends=UNKNOWN,
        ),
        Case(
            name="the server wants fewer pings",
            script=Script(
                steps=(HEAD, KEEPALIVE, 1, frames.goaway(11, text=b"too_many_pings")),
                ending=Ending.CLOSE,
            ),
            ends=UNKNOWN,
        ),
        Case(
            name="the connection is closed after the whole answer",
            script=Script(steps=(HEAD, *whole), ending=Ending.CLOSE),
            ends=MADE,
        ),
        Case(
            name="the stream is reset after the whole answer",
            script=Script(steps=(HEAD, *whole, frames.reset(0))),
            ends=MADE,
        ),
    ]


CASES = [
    *_list_breaks(BETWEEN, _ENDS | _FRAMED),
    *_list_breaks(INSIDE, _ENDS),
    *_list_resets(),
    *_list_goodbyes(),
]
