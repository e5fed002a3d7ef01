"""Every way a call over REST can end, as a state that a person can act on."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator

import httpx

from engines.base import EngineError, Failure
from engines.remote import Target
from engines.stability.outcomes import (
    CHARGE,
    LOOK,
    Call,
    explain_key,
    explain_no_connection,
    explain_silence,
    make_filtered_error,
)
from engines.stability_rest.answers import find_said, parse_body

LOCKED_SECONDS = 60.0
"""How long the service refuses everything after too many requests, as it documents."""

_UNKNOWN_STATUSES = (408, 499, 502, 503, 504)
"""What a gateway says when it does not know what became of the request behind it."""

_CHECK_HOST = "Check STABILITY_REST_HOST or `host` in the section [stability-rest] of config.toml."


def explain_status(status: int, body: bytes, call: Call) -> EngineError:
    """The error for an answer with another HTTP status than 200."""
    answer = parse_body(body)
    name = str(answer.get("name", "")).lower()
    text = find_said(answer)
    said = f" It said: {text}" if text else ""
    if 400 <= status < 500 and ("moderation" in name or "invalid_prompt" in name):
        return make_filtered_error(text)
    if status in (401, 403):
        return _explain_refusal(status, name, said, call)
    if status == 402 or name == "payment_required":
        return EngineError(
            Failure.OUT_OF_CREDIT,
            f"The account has no credit left for this image.{said}",
            "Buy credit, then retry the job.",
        )
    if status in (404, 410) and answer:
        return EngineError(
            Failure.MODEL_GONE,
            f"{call.host} does not have the model {call.model} any more.{said}",
            "Choose another model.",
        )
    if status == 429:
        return explain_rate(call, LOCKED_SECONDS, said)
    if status in _UNKNOWN_STATUSES or 520 <= status <= 530:
        return EngineError(
            Failure.OUTCOME_UNKNOWN,
            f"A gateway before {call.host} gave up waiting for it (HTTP {status}).{said} {CHARGE}",
            LOOK,
            may_be_charged=True,
        )
    if status >= 500:
        return EngineError(
            Failure.INTERNAL,
            f"{call.host} failed while it made the image (HTTP {status}).{said}",
            "It may have been charged. Retry the job, or try other parameters.",
            may_be_charged=True,
        )
    if status in (404, 405, 410) or not 400 <= status < 500:
        return EngineError(
            Failure.UNREACHABLE,
            f"{call.host} answers, but is not the REST service (HTTP {status}).{said}",
            _CHECK_HOST,
        )
    why = {413: "it is too large", 422: "it is well-formed, but was rejected"}.get(status, "")
    return EngineError(
        Failure.INVALID_REQUEST,
        f"{call.host} does not accept this request{f': {why}' if why else ''}.{said}",
        "Change what it names." if said else "Shorten the prompts, or try other parameters.",
    )


def _explain_refusal(status: int, name: str, said: str, call: Call) -> EngineError:
    if status == 401 or not call.has_key:
        return explain_key(call, said)
    if re.search(r"moderat|flagged", said, re.IGNORECASE):
        return make_filtered_error(said.removeprefix(" It said: "))
    if name == "unauthorized":
        return explain_key(call, said)
    return EngineError(
        Failure.WRONG_KEY,
        f"{call.host} does not allow this key to use {call.model}.{said}",
        "Use a key that may, choose another model, or change the words of the prompts.",
    )


def explain_rate(call: Call, seconds: float, said: str = "") -> EngineError:
    """Too many requests: the service refuses everything for `seconds` more."""
    return EngineError(
        Failure.RATE_LIMITED,
        f"{call.host} gets too many requests from this account and refuses all of them for "
        f"{seconds:.0f} seconds.{said}",
        f"Wait {seconds:.0f} seconds, then retry the job.",
    )


def explain_transport(
    error: httpx.TransportError, call: Call, connect_seconds: float, idle_seconds: float
) -> EngineError:
    """The error for a call that got no whole answer; `call.was_sent` says how far it came.

    The seconds are those that a connection and a silence may take.
    """
    if not call.was_sent:
        if isinstance(error, httpx.TimeoutException):
            return explain_no_connection(call.target, connect_seconds)
        return explain_unreachable(call.target, error)
    if isinstance(error, httpx.TimeoutException):
        return explain_silence(call, f"said nothing for {idle_seconds:g} seconds")
    return EngineError(
        Failure.OUTCOME_UNKNOWN,
        f"The connection to {call.host} ended after the request was sent, before the whole "
        f"answer was there. {CHARGE}",
        LOOK,
        may_be_charged=True,
    )


def explain_unreachable(target: Target, error: BaseException) -> EngineError:
    """Nothing was sent, because there is no connection to `target`."""
    why, hint = "", "Check the network and the host."
    for cause in _list_causes(error):
        if isinstance(cause, ssl.SSLError):
            why = "the secure connection (TLS) failed"
            hint = (
                "If the server has a certificate of its own, name its authority as "
                "`certificates` in the section [stability-rest]; if it has no TLS, write its "
                "host with http://."
            )
        elif isinstance(cause, socket.gaierror):
            why, hint = "its name is not known", "Check the spelling of the host and the network."
        elif isinstance(cause, ConnectionRefusedError):
            why, hint = "nothing listens there", "Start the server, or check the port."
        elif isinstance(cause, httpx.ProxyError):
            why, hint = "the proxy refuses", "Check the variable HTTPS_PROXY."
        if why:
            break
    text = f"Safelight cannot reach {target.address}" + (f": {why}" if why else "")
    return EngineError(Failure.UNREACHABLE, f"{text}. Nothing was sent.", hint)


def _list_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            yield from error.exceptions
        error = error.__cause__ or error.__context__
