"""What one case of the fault matrix is: a script, and the one state in which it must end."""

from __future__ import annotations

from typing import Any

import msgspec

from engines.base import Failure
from store.records import FinishReason
from tests.engines.stability.faults.answers import picture
from tests.engines.stability.faults.peer import Script

IDLE = 0.2
"""Seconds of silence after which the client of a case gives up where that is what is tried."""


class Ends(msgspec.Struct, frozen=True, kw_only=True):
    """How a case ends: with a failure, or with an image (`kind` None).

    `words` are in the message of the failure or in the one warning of the image; an image
    without `words` has no warning. `is_charged`: whether it may be charged. `late_kind`: how it
    ends instead when gRPC does not see a reset, which happens now and then (a few in a hundred,
    grpcio 1.63), so that only a limit ends it.
    """

    kind: Failure | None = None
    words: str = ""
    is_charged: bool = False
    late_kind: Failure | None = None
    data: bytes = picture()
    reason: FinishReason = FinishReason.SUCCESS


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. `options` are the settings of the engine, `key` what it sends.

    `or_ends`: how it ends as well, where gRPC's own threads decide what is seen first, or its
    version does.
    """

    name: str
    script: Script
    ends: Ends
    or_ends: Ends | None = None
    options: dict[str, Any] = {}


UNREACHABLE = Ends(kind=Failure.UNREACHABLE, words="Nothing was sent")
LOST = Ends(kind=Failure.UNREACHABLE, words="Nothing was sent", late_kind=Failure.DEADLINE)
UNKNOWN = Ends(kind=Failure.OUTCOME_UNKNOWN, words="may have been charged", is_charged=True)
SILENT = Ends(kind=Failure.OUTCOME_UNKNOWN, words=f"said nothing for {IDLE:g} s", is_charged=True)
FAILED = Ends(kind=Failure.INTERNAL, is_charged=True)
NO_ANSWER = Ends(kind=Failure.BAD_ANSWER, is_charged=True)
REFUSED = Ends(kind=Failure.FILTERED, words="Invalid prompts detected")
KEPT = Ends(words="The call failed after the image had arrived; it is whole.")
MADE = Ends()
