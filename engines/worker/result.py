"""What an engine handed over, checked and made into what the store keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.base import EngineError, Failure, Produced
from store.errors import StoreError
from store.pixels import digest_pixels, make_thumbnail, open_image
from store.records import EnvironmentRecord, FinishReason, Result, Stage

if TYPE_CHECKING:
    from PIL.Image import Image


def check_produced(produced: Produced | None, *, is_paid: bool, said: str = "") -> Image:
    """The decoded image of `produced`; the only place where it is decoded to its end.

    Raises `EngineError`: FILTERED when it was withheld (`said`: by the engine, about that),
    BAD_ANSWER when there is none or it is damaged, which may be charged if `is_paid`.
    """
    if produced is None or produced.data is None:
        if produced is not None and produced.finish_reason is FinishReason.FILTER:
            raise EngineError(
                Failure.FILTERED,
                said or "The service withheld the image.",
                "Change the prompts; nothing is charged for a withheld image.",
            )
        raise EngineError(Failure.BAD_ANSWER, "The engine ended without an image.")
    try:
        return open_image(produced.data)
    except StoreError as error:
        text = f"What came cannot be used as the image. {error.message}"
        if not is_paid:
            raise EngineError(Failure.BAD_ANSWER, text) from None
        raise EngineError(
            Failure.BAD_ANSWER,
            f"{text} It is kept as it came.",
            "It may have been charged. Retry the job if you want it made again.",
            may_be_charged=True,
        ) from None


def make_result(
    produced: Produced,
    image: Image,
    *,
    warning: str | None,
    seconds: float,
    environment: EnvironmentRecord,
    stages: tuple[Stage, ...],
    meta: dict[str, str],
) -> Result:
    """What is stored of `produced`, decoded as `image`. Hashes megabytes: for a thread."""
    assert produced.data is not None
    return Result(
        data=produced.data,
        mime=produced.mime,
        seed=produced.seed,
        width=image.width,
        height=image.height,
        pixels_sha256=digest_pixels(image),
        thumbnail=make_thumbnail(image),
        finish_reason=produced.finish_reason,
        warning=warning,
        seconds=seconds,
        environment=environment,
        stages=stages,
        meta=produced.meta | meta,
    )
