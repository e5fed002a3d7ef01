"""What the REST service answers when all went well, read from the raw bytes of the body."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from engines.base import EngineError, Event, Failure, Produced, Warned
from engines.stability.exchange import KEPT, identify
from engines.stability.outcomes import clean_text, make_filtered_error
from engines.stability_rest.models import WEIGHTED
from store.errors import StoreError
from store.pixels import identify_image
from store.records import FinishReason
from store.request import Request

_META_LIMIT = 200
_DECIDED = "decided by the server"
_SEED_MAXIMUM = 2**32 - 1
_FILTERED = "CONTENT_FILTERED"


def read_events(request: Request, data: bytes) -> list[Event]:
    """Warnings, then the image, in the body `data` of an answer to `request`.

    Raises `EngineError` when there is none. Reads the head of the image only: it may still
    turn out to be damaged. Unpacks megabytes of text, so call it in a thread.
    """
    answer = _read_answer(data)
    reason = answer.get("finish_reason")
    content = _read_image(answer)
    if content is None:
        if reason == _FILTERED:
            raise make_filtered_error(find_said(answer))
        said = find_said(answer)
        text = "The server finished without an image."
        raise _make_bad_answer(f"{text} It said: {said}" if said else text)
    try:
        mime, sized = identify(request, content)
    except StoreError as error:
        raise _make_bad_answer(
            f"The server sent bytes that cannot be used as the image. {error.message} {KEPT}"
        ) from None
    seed, warnings = _find_seed(request, answer)
    finish_reason = _find_finish_reason(reason, warnings)
    produced = Produced(
        data=content,
        mime=mime,
        seed=seed,
        finish_reason=finish_reason,
        meta=_list_meta(request, answer),
    )
    return [*map(Warned, [*warnings, *sized]), produced]


def parse_body(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`, empty when it is something else."""
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def find_said(body: dict[str, Any]) -> str:
    """What the service says is wrong, as one clean line; empty when it says nothing."""
    errors = body.get("errors")
    texts = errors if isinstance(errors, list) else [errors or body.get("message")]
    return clean_text(" ".join(str(text) for text in texts if text))


def _read_answer(data: bytes) -> dict[str, Any]:
    if answer := parse_body(data):
        return answer
    try:
        identify_image(data)
    except StoreError:
        raise _make_bad_answer(f"The server's answer cannot be read. {KEPT}") from None
    # It sent the bare image, though JSON was asked for: it may be paid for, so it counts.
    return {"image": data}


def _read_image(answer: dict[str, Any]) -> bytes | None:
    image = answer.get("image")
    if isinstance(image, bytes):
        return image
    if not isinstance(image, str) or not image:
        return None
    try:
        return base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        raise _make_bad_answer(f"The server's image is not base64. {KEPT}") from None


def _find_seed(request: Request, answer: dict[str, Any]) -> tuple[int, list[str]]:
    """The seed that was used, and what is to say about it."""
    wanted, used = request.parameters.seed, answer.get("seed")
    if isinstance(used, str) and used.isascii() and used.isdigit() and len(used) < 12:
        used = int(used)
    is_seed = isinstance(used, int) and not isinstance(used, bool) and 0 < used <= _SEED_MAXIMUM
    if not is_seed:
        return wanted, ["The server does not say which seed it used."]
    assert isinstance(used, int)
    if used == wanted:
        return used, []
    return used, [f"The server used the seed {used} instead of {wanted}."]


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
            values[name] = clean_text(answer[key], _META_LIMIT)
    return values


def _make_bad_answer(text: str) -> EngineError:
    hint = "It may have been charged. Check that the host is one of the REST service (v2beta)."
    return EngineError(Failure.BAD_ANSWER, text, hint, may_be_charged=True)
