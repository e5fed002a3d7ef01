"""What an engine hands over, without the secrets that are known: the gate before rows and files."""

from __future__ import annotations

import msgspec

from store.errors import RequestError, StoreError
from store.known_secrets import conceal, conceal_bytes, has_secrets
from store.records import Comparison, EnvironmentRecord, Result
from store.request import Request

STRIPPED = "The service wrote your key into the image file; what the file said was left out."


def conceal_result(result: Result) -> Result:
    """`result` without secrets in its texts and in what its file says; the pixels stay."""
    if not has_secrets():
        return result
    data, warning = result.data, result.warning
    if _has_secret(data):
        data = _strip(data)
        warning = f"{warning} {STRIPPED}" if warning else STRIPPED
    return msgspec.structs.replace(
        result,
        data=data,
        warning=None if warning is None else conceal(warning),
        environment=conceal_environment(result.environment),
        stages=tuple(
            msgspec.structs.replace(stage, name=conceal(stage.name)) for stage in result.stages
        ),
        meta={conceal(name): conceal(value) for name, value in result.meta.items()},
    )


def conceal_environment(environment: EnvironmentRecord) -> EnvironmentRecord:
    """`environment` without secrets."""
    values = {conceal(name): conceal(value) for name, value in environment.values.items()}
    return msgspec.structs.replace(environment, values=values)


def conceal_comparison(comparison: Comparison) -> Comparison:
    """`comparison` without secrets in its words."""
    first = comparison.first_difference
    return msgspec.structs.replace(
        comparison,
        first_difference=None if first is None else conceal(first),
        detail=conceal(comparison.detail),
    )


def conceal_preview(preview: bytes | None) -> bytes | None:
    """`preview`, None when a secret stands in its file: another comes, or the image."""
    return None if preview is None or _has_secret(preview) else preview


def check_prompts(request: Request) -> None:
    """Raise `RequestError` for a prompt with a secret in it: a request is stored as it is."""
    guidance = request.parameters.guidance
    texts = [(f"prompts.{n}.text", each.text) for n, each in enumerate(request.stack.prompts, 1)]
    texts += [("guidance", guidance.prompt)] if guidance is not None and guidance.prompt else []
    for field, text in texts:
        if conceal(text) != text:
            raise RequestError(
                field,
                None,
                "A prompt has your key in it. It would be stored, and written into images.",
                "Take it out of the prompt.",
            )


def _has_secret(data: bytes) -> bool:
    """Whether an image file holds a secret, as it is or in a text that is compressed."""
    if not has_secrets():
        return False
    if conceal_bytes(data) != data:
        return True
    from store.metadata.containers import read_metadata

    try:
        fields = read_metadata(data).fields
    except StoreError:
        return False
    return any(conceal(text) != text for field in fields for text in (field.key, field.text))


def _strip(data: bytes) -> bytes:
    from store.exif import may_be_turned, read_orientation
    from store.metadata.containers import strip_metadata
    from store.pixels import open_image

    try:
        turned = read_orientation(open_image(data))[0] if may_be_turned(data) else 1
        # What says how it looks stays, and no secret in it either.
        return conceal_bytes(strip_metadata(data, turned))
    except StoreError:
        return conceal_bytes(data)
