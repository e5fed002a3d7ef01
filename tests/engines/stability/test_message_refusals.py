"""Messages that say no request: each is refused by the field that is wrong."""

from __future__ import annotations

import pytest

from engines.stability.messages import build_message, read_request
from engines.stability.protocol import Message, generation
from store.errors import RequestError
from tests.engines.stability.files import Shelf
from tests.engines.stability.full_requests import make_full_request, make_upscale


def break_message(name: str) -> Message:
    """A message that says something that is no request."""
    shelf = Shelf()
    upscales = name.startswith("upscale")
    request = make_upscale(shelf) if upscales else make_full_request(shelf)
    message = build_message(request, shelf.make_run())
    image, (step,) = message.image, message.image.parameters
    instance = None if upscales else step.guidance.instances[0]
    match name:
        case "no start":
            step.schedule.ClearField("start")
        case "no area":
            image.ClearField("masked_area_init")
        case "second image":
            message.prompt.append(message.prompt[2])
        case "weighted image":
            message.prompt[2].parameters.weight = 0.5
        case "mask alone":
            del message.prompt[2]
            step.ClearField("schedule")
            image.ClearField("adapter")
        case "no preset":
            step.guidance.guidance_preset = generation.GUIDANCE_PRESET_NONE
        case "two guides":
            step.guidance.instances.append(instance)
        case "weighted guide":
            assert instance is not None
            instance.prompt.parameters.weight = 2
        case "pictured guide":
            assert instance is not None
            instance.prompt.artifact.type = generation.ARTIFACT_IMAGE
        case "strong guide":
            assert instance is not None
            instance.guidance_strength = 1.5
        case "strong adapter":
            image.adapter.adapter_strength = 7
        case "no picture":
            message.prompt[2].artifact.binary = b"GIF89a"
        case "crossed schedules":
            step.schedule.end = 0.9
        case "upscale of nothing":
            del message.prompt[-1]
        case "upscale to both sides":
            image.height = 192
        case "upscale to no side":
            image.ClearField("width")
    return message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no start", "no start of its schedule"),
        ("no area", "no masked area init"),
        ("second image", "second image"),
        ("weighted image", "An image has no weight"),
        ("mask alone", "mask and no initial image"),
        ("no preset", "without a preset"),
        ("two guides", "Only one instance"),
        ("weighted guide", "has no weight"),
        ("pictured guide", "It would have no effect"),
        ("strong guide", "guidance strength 1.5"),
        ("strong adapter", "adapter strength 7"),
        ("no picture", "not a readable PNG"),
        ("crossed schedules", "end schedule 0.9 is above"),
        ("upscale of nothing", "no image where one"),
        ("upscale to both sides", "both width and height"),
        ("upscale to no side", "neither width nor height"),
    ],
)
def test_a_message_that_says_no_request_is_refused(name: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        read_request(break_message(name))
