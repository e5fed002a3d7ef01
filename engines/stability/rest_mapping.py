"""A prompt stack as the service's one prompt and one negative prompt, and what is lost on the way.

Pure; needs no HTTP client.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from engines.stability_rest.models import FAST, PATHS, TEXT_LIMIT, WEIGHTED
from store.errors import RequestError
from store.request import Prompt, Request

_JOINT = ", "
_SYNTAX = re.compile(r"[():]")
_DIGITS = 4
"""Decimals of a weight within the text."""


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """The texts that are sent, the negative one None without any; what is lost, in sentences."""

    prompt: str
    negative_prompt: str | None
    losses: tuple[str, ...]


def describe_losses(request: Request) -> tuple[str, ...]:
    """What of `request` the service does not get, a sentence each; empty for nothing.

    Raises `RequestError` for a prompt stack that cannot be sent at all.
    """
    return (*map_stack(request).losses, *_describe_start(request))


def _describe_start(request: Request) -> list[str]:
    """What is lost beside an initial image."""
    initial, losses = request.parameters.initial_image, []
    if initial is None:
        return []
    if initial.end_schedule > 0:
        losses.append(
            f"The end schedule {initial.end_schedule:g} is not sent: the service always runs the "
            "schedule to its end."
        )
    if PATHS[request.model] == "sd3":
        losses.append(
            f"The size {request.parameters.width}x{request.parameters.height} is not sent: "
            f"{request.model} takes the proportions of the initial image."
        )
    return losses


def map_stack(request: Request) -> Mapping:
    """The texts for the prompts of `request`; those without an effect are left out.

    Prompts of weight above 0 are joined into the prompt, those below 0 into the negative
    prompt. Raises `RequestError` when a text gets too long or a weight is too close to 0.
    """
    wanted = [prompt for prompt in request.stack.active if prompt.weight > 0]
    avoided = [prompt for prompt in request.stack.active if prompt.weight < 0]
    losses: list[str] = []
    if request.model in WEIGHTED:
        texts = _weigh(wanted, losses)
    else:
        texts = [prompt.text for prompt in wanted]
        if any(prompt.weight != 1 for prompt in wanted):
            losses.append(
                f"{_name_weights(wanted)} not sent: {request.model} takes one prompt "
                "without weights."
            )
    if len(wanted) > 1:
        losses.append(f"The {len(wanted)} prompts are sent as one text, joined by commas.")
    losses += _describe_avoided(avoided, request)
    negative = _JOINT.join(prompt.text for prompt in avoided)
    return Mapping(
        prompt=_check_length(_JOINT.join(texts), "prompts"),
        negative_prompt=_check_length(negative, "prompts to avoid") if avoided else None,
        losses=tuple(losses),
    )


def _weigh(prompts: Sequence[Prompt], losses: list[str]) -> list[str]:
    """The texts with their weights in the service's syntax, brought into its 0 to 1."""
    scale = max(1.0, *(prompt.weight for prompt in prompts))
    sent = [round(prompt.weight / scale, _DIGITS) for prompt in prompts]
    if not all(sent):
        raise RequestError(
            "prompts",
            prompts[sent.index(0)].weight,
            f"The weight {prompts[sent.index(0)].weight:g} is too close to 0 to be sent.",
            "Raise it, or switch the prompt off.",
        )
    is_literal = [
        weight != 1 and _SYNTAX.search(prompt.text) is not None
        for prompt, weight in zip(prompts, sent, strict=True)
    ]
    weights = [1.0 if literal else w for w, literal in zip(sent, is_literal, strict=True)]
    if weights != [prompt.weight for prompt in prompts]:
        sent_as = _join([_show(weight) for weight in weights])
        losses.append(f"{_name_weights(prompts)} sent as {sent_as}: the service takes 0 to 1.")
    if any(is_literal):
        losses.append(
            "A prompt that holds a parenthesis or a colon is sent without its weight, "
            "because the service writes weights with them."
        )
    return [
        prompt.text if weight == 1 else f"({prompt.text}:{_show(weight)})"
        for prompt, weight in zip(prompts, weights, strict=True)
    ]


def _describe_avoided(avoided: Sequence[Prompt], request: Request) -> list[str]:
    losses = []
    if any(prompt.weight != -1 for prompt in avoided):
        losses.append(
            f"{_name_weights(avoided, ' to avoid')} not sent: the service has one negative "
            "prompt without a weight."
        )
    if len(avoided) > 1:
        losses.append(
            f"The {len(avoided)} prompts to avoid are sent as one text, joined by commas."
        )
    if avoided and request.model in FAST and request.parameters.cfg_scale == 1:
        losses.append(f"At cfg scale 1 {request.model} may not heed what is to be avoided.")
    return losses


def _name_weights(prompts: Sequence[Prompt], kind: str = "") -> str:
    """`The weights -0.5 and -2 of the prompts to avoid are`."""
    weights = _join([f"{prompt.weight:g}" for prompt in prompts])
    if len(prompts) == 1:
        return f"The weight {weights} of the prompt{kind} is"
    return f"The weights {weights} of the prompts{kind} are"


def _join(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _show(weight: float) -> str:
    """The weight without an exponent, as it stands in a prompt."""
    return f"{weight:.{_DIGITS}f}".rstrip("0").rstrip(".")


def _check_length(text: str, what: str) -> str:
    if len(text) > TEXT_LIMIT:
        raise RequestError(
            "prompts",
            len(text),
            f"The {what} have {len(text):,} characters together; the service takes {TEXT_LIMIT:,}.",
            "Shorten them or switch some off.",
        )
    return text
