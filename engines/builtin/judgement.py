"""Which changes around the embedded model decide pixels, and which cannot."""

from __future__ import annotations

from engines.base import EQUAL_BITS, Judgement, Weight
from engines.builtin.methods import METHODS
from engines.builtin.models import NATIVE_SIZES, UPSCALED_SIZES
from store.records import EnvironmentRecord
from store.request import Request

_MODEL = {
    "engine": "another engine makes other images",
    "engine revision": "another revision of the model makes other images",
    "model": "another model makes other images",
    "weights": "the numbers of the network are others",
    "vocabulary": "the words that the model knows are others",
}
_BESIDE = {
    "kernels": "all products are sums of whole numbers that no kernel rounds",
    "machine": "all of it is exact arithmetic, which every machine does in the same way",
    "numpy": "what it computes here is exact, or checked when the engine starts",
}


def judge_change(
    name: str, request: Request, then: EnvironmentRecord, now: EnvironmentRecord
) -> Judgement:
    """Whether it decides the pixels of `request` that `name` is other in two environments."""
    if name in _MODEL:
        return Judgement(Weight.DECIDES, _MODEL[name])
    if name in METHODS:
        if not _uses(request, name):
            return Judgement(Weight.DOES_NOT_DECIDE, "this image was made without it")
        return Judgement(Weight.DECIDES, f"the method of the {name} is another one")
    if name == "code":
        return Judgement(
            Weight.MAY_DECIDE,
            "the program was changed where pixels are made; what was released keeps its bits, "
            "which only making the image shows",
        )
    if name == "Pillow":
        return _judge_pillow(request)
    promised = now.values.get(EQUAL_BITS, "")
    if name == EQUAL_BITS and promised == "yes":
        return Judgement(Weight.MAY_DECIDE, "it could not promise equal bits when it was made")
    if promised != "yes":
        return Judgement(Weight.MAY_DECIDE, f"equal bits are not promised here ({promised})")
    if name in _BESIDE and then.values.get(EQUAL_BITS) == "yes":
        return Judgement(Weight.DOES_NOT_DECIDE, _BESIDE[name])
    return Judgement(Weight.MAY_DECIDE, "nothing is known of it")


def _uses(request: Request, method: str) -> bool:
    parameters = request.parameters
    needed = {
        "partial schedule": parameters.initial_image,
        "inpainting": parameters.mask,
        "variation": parameters.variation,
    }
    return method not in needed or needed[method] is not None


def _judge_pillow(request: Request) -> Judgement:
    parameters = request.parameters
    size = (parameters.width, parameters.height)
    if parameters.inputs or size not in (*NATIVE_SIZES, *UPSCALED_SIZES):
        return Judgement(
            Weight.MAY_DECIDE, "it resizes here, and another version may round otherwise"
        )
    return Judgement(
        Weight.DOES_NOT_DECIDE, "it only writes the file: the network makes this size itself"
    )
