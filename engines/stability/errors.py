"""Every way a gRPC call can end, as a state that a person can act on."""

from __future__ import annotations

import re
from typing import Any

from engines.base import EngineError, Failure
from engines.quiet_grpc import grpc
from engines.remote import (
    Call,
    Target,
    clean_text,
    explain_fault,
    explain_key,
    explain_no_credit,
    explain_no_permission,
    explain_no_way,
    explain_silence,
    explain_unknown,
    make_filtered_error,
)
from engines.stability.protocol import MESSAGE_LIMIT, METADATA_LIMIT


def explain_status(code: Any, details: str | None, call: Call) -> EngineError:
    """The error for a gRPC status that ended `call`; `details` is the text beside it."""
    text = clean_text(details or "")
    lower = text.lower()
    said = f" It said: {text}" if text else ""
    status = grpc.StatusCode
    if not call.was_sent:
        return explain_unreachable(call.target, text)
    if "rst_stream" in lower:
        # gRPC gives some of HTTP/2's error codes a status that reads like a refusal.
        return _explain_end(call, said)
    if code is status.UNAUTHENTICATED or (code is status.PERMISSION_DENIED and not call.has_key):
        return explain_key(call, said)
    if code is status.PERMISSION_DENIED:
        hint = "Use a key that may, or choose another model."
        return explain_no_permission(call, said, hint)
    if code is status.NOT_FOUND:
        return EngineError(
            Failure.MODEL_GONE,
            f"{call.host} does not have the model {call.model}.{said}",
            "Choose another model. Name those of your own server as `models` in the section "
            "[stability] of config.toml.",
        )
    if code is status.UNIMPLEMENTED and ("method" in lower or "http2 header" in lower):
        return EngineError(
            Failure.UNREACHABLE,
            f"{call.host} answers, but does not speak the Stability protocol.{said}",
            "Check STABILITY_HOST or `host` in the section [stability] of config.toml.",
        )
    if code is status.RESOURCE_EXHAUSTED:
        return _explain_exhausted(lower, said, call)
    if code in (
        status.INVALID_ARGUMENT,
        status.OUT_OF_RANGE,
        status.FAILED_PRECONDITION,
        status.UNIMPLEMENTED,
    ):
        if "invalid prompt" in lower or "invalid_prompt" in lower:
            return make_filtered_error(text)
        return EngineError(
            Failure.INVALID_REQUEST,
            f"{call.host} does not accept this request.{said}",
            "Change what it names; the sampler and the size depend on the model.",
        )
    if "http2 header with status: 429" in lower:
        return _explain_exhausted("rate", said, call)
    if code is status.DEADLINE_EXCEEDED:
        return explain_silence(call, "did not finish in time")
    is_lost = "stream removed" in lower or "goaway" in lower
    if is_lost or code in (status.UNAVAILABLE, status.CANCELLED):
        return _explain_end(call, said)
    return explain_fault(call, code.name, said)


def explain_unreachable(target: Target, reason: str = "") -> EngineError:
    """Nothing was sent, because there is no connection to `target`; `reason` is gRPC's."""
    lower, why, hint = reason.lower(), "", "Check the network and the host."
    if "certificate" in lower or "ssl" in lower or "handshake" in lower or "wrong_version" in lower:
        why = "the secure connection (TLS) failed"
        hint = (
            "If the server has a certificate of its own, name its authority as `certificates`; "
            "if it has no TLS, set `tls = false` (both in the section [stability])."
        )
    elif "dns" in lower or "resolution" in lower or "domain name" in lower:
        why, hint = "its name is not known", "Check the spelling of the host and the network."
    elif "refused" in lower:
        why, hint = "nothing listens there", "Start the server, or check the port."
    elif "no such file" in lower:
        why, hint = "the socket does not exist", "Start the server, or check the path."
    elif "unreachable" in lower:
        why = "the network does not lead there"
    elif reason:
        why = clean_text(reason)
    return explain_no_way(target, why, hint)


def _explain_end(call: Call, said: str) -> EngineError:
    return explain_unknown(f"The connection to {call.host} ended after the request was sent.{said}")


def _explain_exhausted(lower: str, said: str, call: Call) -> EngineError:
    if "metadata size exceeds" in lower:
        return EngineError(
            Failure.BAD_ANSWER,
            f"The headers of {call.host} are larger than {METADATA_LIMIT // 1024} KiB and were "
            f"not taken.{said}",
            "It may have been charged. Retry the job if you want it made again.",
            may_be_charged=True,
        )
    if "larger than max" in lower and _is_about_request(lower):
        return EngineError(
            Failure.INVALID_REQUEST,
            f"The request is larger than {call.host} takes; no image was made.{said}",
            "Start from smaller images.",
        )
    if "larger than max" in lower:
        return EngineError(
            Failure.BAD_ANSWER,
            f"The answer of {call.host} is larger than {MESSAGE_LIMIT // 1024**2} MiB and was "
            f"not taken.{said}",
            "It may have been charged. Ask for a smaller image.",
            may_be_charged=True,
        )
    if re.search(r"credit|balance|fund|billing|payment", lower):
        return explain_no_credit(said)
    if re.search(r"rate|too many|per (second|minute)|throttl|concurren|429", lower):
        return EngineError(
            Failure.RATE_LIMITED,
            f"{call.host} gets too many requests from this account.{said}",
            "Wait a minute, then retry the job.",
        )
    return EngineError(
        Failure.RATE_LIMITED,
        f"{call.host} refuses: a limit or the credit of the account is used up.{said}",
        "Look at your account; wait a minute, then retry the job.",
    )


def _is_about_request(lower: str) -> bool:
    """Whether the message that is too large is our request, and not the answer."""
    if "sent message" in lower:
        return "client:" in lower
    return "client:" not in lower and f"vs. {MESSAGE_LIMIT}" not in lower
