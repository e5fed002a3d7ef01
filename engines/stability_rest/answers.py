"""What the REST service answers: an image, read from the raw bytes of the body, or why none."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import httpx

from engines.base import EngineError, Event, Failure, Produced, Warned
from engines.remote import (
    KEPT,
    META_LIMIT,
    Call,
    Target,
    clean_text,
    describe_late,
    describe_seed,
    describe_unusable,
    explain_bad_answer,
    explain_fault,
    explain_key,
    explain_no_connection,
    explain_no_credit,
    explain_no_permission,
    explain_no_way,
    explain_silence,
    explain_unknown,
    identify,
    make_filtered_error,
)
from engines.stability_rest.bodies import find_remains, find_said, parse_body
from engines.stability_rest.models import WEIGHTED
from store.errors import StoreError
from store.records import FinishReason
from store.request import Request

_DECIDED = "decided by the server"
_SEED_MAXIMUM = 2**32 - 1
_FILTERED = "CONTENT_FILTERED"


def read_events(request: Request, data: bytes, failure: EngineError | None = None) -> list[Event]:
    """Warnings, then the image, in the body `data` of an answer to `request`.

    `failure`: why `data` is not the whole body. Then, and where it is no JSON object, an image in
    it counts only when it is whole, as what was paid for. Raises `EngineError` when there is none.
    Else reads the head of the image only: it may still turn out to be damaged. Unpacks megabytes
    of text, so call it in a thread.
    """
    answer = None if failure else parse_body(data)
    warnings: list[str] = []
    if answer is None:
        answer = find_remains(data, is_cut=failure is not None)
        if answer is None:
            raise failure or _make_bad_answer(f"The server's answer cannot be read. {KEPT}")
        if failure is not None:
            warnings.append(describe_late(failure, has_image=True))
        elif answer["image"] is not data:
            warnings.append("The rest of the server's answer could not be read.")
    reason = answer.get("finish_reason")
    content = answer.get("image")
    if content is None:
        if reason == _FILTERED:
            raise make_filtered_error(find_said(answer))
        said = find_said(answer)
        text = "The server finished without an image."
        raise _make_bad_answer(f"{text} It said: {said}" if said else text)
    try:
        mime, sized = identify(request, content)
    except StoreError as error:
        raise _make_bad_answer(describe_unusable(error)) from None
    seed, said_of_seed = _find_seed(request, answer)
    warnings += said_of_seed
    finish_reason = _find_finish_reason(reason, warnings)
    produced = Produced(
        data=content,
        mime=mime,
        seed=seed,
        finish_reason=finish_reason,
        meta=_list_meta(request, answer),
    )
    return [*map(Warned, [*warnings, *sized]), produced]


def _find_seed(request: Request, answer: dict[str, Any]) -> tuple[int, list[str]]:
    """The seed that was used, and what is to say about it."""
    wanted, used = request.parameters.seed, answer.get("seed")
    if isinstance(used, str) and used.isascii() and used.isdigit() and len(used) < 12:
        used = int(used)
    is_seed = isinstance(used, int) and not isinstance(used, bool) and 0 < used <= _SEED_MAXIMUM
    if not is_seed:
        return wanted, describe_seed(wanted, None)
    assert isinstance(used, int)
    return used, describe_seed(wanted, used)


def _find_finish_reason(reason: object, warnings: list[str]) -> FinishReason:
    if reason == "SUCCESS":
        return FinishReason.SUCCESS
    if reason == _FILTERED:
        warnings.append("The service's filter blurred this image.")
        return FinishReason.FILTER
    if reason is None:
        warnings.append("The server does not say how the image ended.")
        return FinishReason.SUCCESS
    shown = clean_text(reason, 60)
    warnings.append(f"The server ended this image with {shown}; it is kept as it came.")
    return FinishReason.ERROR


def _list_meta(request: Request, answer: dict[str, Any]) -> dict[str, str]:
    left = ("sampler", "steps", *(("cfg scale",) if request.model in WEIGHTED else ()))
    values = dict.fromkeys(left, _DECIDED)
    for name, key in (("finish reason", "finish_reason"), ("seed", "seed"), ("answer id", "id")):
        if answer.get(key) is not None:
            values[name] = clean_text(answer[key], META_LIMIT)
    return values


def _make_bad_answer(text: str) -> EngineError:
    return explain_bad_answer(text, "the host is one of the REST service (v2beta)")


LOCKED_SECONDS = 60.0
"""How long the service refuses everything after too many requests, as it documents."""

_UNKNOWN_STATUSES = (408, 499, 502, 503, 504)
"""What a gateway says when it does not know what became of the request behind it."""

_CHECK_HOST = "Check STABILITY_REST_HOST or `host` in the section [stability-rest] of config.toml."


def explain_status(status: int, body: bytes, call: Call) -> EngineError:
    """The error for an answer with another HTTP status than 200."""
    answer = parse_body(body) or {}
    name = str(answer.get("name", "")).lower()
    text = find_said(answer)
    said = f" It said: {text}" if text else ""
    if 400 <= status < 500 and ("moderation" in name or "invalid_prompt" in name):
        return make_filtered_error(text)
    if status in (401, 403):
        return _explain_refusal(status, name, said, call)
    if status == 402 or name == "payment_required":
        return explain_no_credit(said)
    if status in (404, 410) and answer:
        return EngineError(
            Failure.MODEL_GONE,
            f"{call.host} does not have the model {call.model} any more.{said}",
            "Choose another model.",
        )
    if status == 429:
        return explain_rate(call, LOCKED_SECONDS, said)
    if status in _UNKNOWN_STATUSES or 520 <= status <= 530:
        return explain_unknown(
            f"A gateway before {call.host} gave up waiting for it (HTTP {status}).{said}"
        )
    if status >= 500:
        return explain_fault(call, f"HTTP {status}", said)
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
    hint = "Use a key that may, choose another model, or change the words of the prompts."
    return explain_no_permission(call, said, hint)


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
    return explain_unknown(
        f"The connection to {call.host} ended after the request was sent, before the whole answer "
        "was there."
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
    return explain_no_way(target, why, hint)


def _list_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            yield from error.exceptions
        error = error.__cause__ or error.__context__
