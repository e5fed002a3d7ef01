"""Every way a call can end, as a state that a person can act on.

Texts of the server are cut and cleaned before they become part of a message.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import grpc
import msgspec

from engines.base import EngineError, Failure
from engines.stability.connection import MESSAGE_LIMIT, METADATA_LIMIT, Target

TEXT_LIMIT = 300
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
_CHARGE = "It may have been charged, so Safelight does not send it again by itself."
_LOOK = "Look at your account, then retry the job if you want it made again."


def clean_text(text: object, limit: int = TEXT_LIMIT) -> str:
    """`text` from outside as one line: no control, direction or invisible characters."""
    visible = ("?" if unicodedata.category(c) in _HIDDEN else c for c in _flatten(str(text)))
    line = "".join(visible)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _flatten(text: str) -> str:
    return " ".join(text.split())


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What was going on when a call failed.

    `was_sent`: the request was handed to a connected server. `has_key`: a key went with it.
    """

    target: Target
    model: str
    has_key: bool
    was_sent: bool = True

    @property
    def host(self) -> str:
        """The server's address, as it is shown."""
        return self.target.address


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
        return _explain_key(call, said)
    if code is status.PERMISSION_DENIED:
        return EngineError(
            Failure.WRONG_KEY,
            f"{call.host} does not allow this key to use {call.model}.{said}",
            "Use a key that may, or choose another model.",
        )
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
    return EngineError(
        Failure.INTERNAL,
        f"{call.host} failed while it made the image ({code.name}).{said}",
        "It may have been charged. Retry the job, or try other parameters.",
        may_be_charged=True,
    )


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
    text = f"Safelight cannot reach {target.address}" + (f": {why}" if why else "")
    return EngineError(Failure.UNREACHABLE, f"{text}. Nothing was sent.", hint)


def explain_no_connection(target: Target, seconds: float) -> EngineError:
    """Nothing was sent, because `target` did not answer the connection in time."""
    return EngineError(
        Failure.DEADLINE,
        f"{target.address} did not answer within {seconds:g} seconds. Nothing was sent.",
        "Check the network and the host; with TLS on, the server must speak TLS too.",
    )


def explain_silence(call: Call, what: str) -> EngineError:
    """The server took the request, and then `what`."""
    return EngineError(
        Failure.OUTCOME_UNKNOWN,
        f"{call.host} took the request but {what}. {_CHARGE}",
        f"{_LOOK} Longer waits: `deadline_seconds` and `idle_seconds` in config.toml.",
        may_be_charged=True,
    )


def make_missing_key_error(host: str, said: str = "") -> EngineError:
    """`host` wants a key and there is none."""
    return EngineError(
        Failure.MISSING_KEY,
        f"{host} needs a key and none is set.{said}",
        "Set STABILITY_KEY, or key_command or key_file in the section [stability] of config.toml.",
    )


def make_filtered_error(said: str = "") -> EngineError:
    """The service withheld the image; nothing is charged for that."""
    text = "The service's filter withheld this image." + (f" It said: {said}" if said else "")
    return EngineError(Failure.FILTERED, text, "Change the words of the prompts.")


def _explain_end(call: Call, said: str) -> EngineError:
    return EngineError(
        Failure.OUTCOME_UNKNOWN,
        f"The connection to {call.host} ended after the request was sent.{said} {_CHARGE}",
        _LOOK,
        may_be_charged=True,
    )


def _explain_key(call: Call, said: str) -> EngineError:
    if not call.has_key:
        return make_missing_key_error(call.host, said)
    return EngineError(
        Failure.WRONG_KEY,
        f"{call.host} does not accept this key.{said}",
        "Copy it again from the page of your account.",
    )


def _explain_exhausted(lower: str, said: str, call: Call) -> EngineError:
    if "metadata size exceeds" in lower:
        return EngineError(
            Failure.BAD_ANSWER,
            f"The headers of {call.host} are larger than {METADATA_LIMIT // 1024} KiB and were "
            f"not taken.{said}",
            "It may have been charged. Retry the job if you want it made again.",
            may_be_charged=True,
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
        return EngineError(
            Failure.OUT_OF_CREDIT,
            f"The account has no credit left for this image.{said}",
            "Buy credit, then retry the job.",
        )
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
