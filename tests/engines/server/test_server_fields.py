"""A field that has no effect is refused by its name, whatever the protocol has or will have."""

from __future__ import annotations

import grpc
import pytest

from engines.server.completion import SAMPLES_LIMIT
from engines.stability.protocol import Message, generation
from tests.engines.hosted import Serve
from tests.engines.server.plain_client import fail, generate, make_message

Code = grpc.StatusCode


def _list_unsupported() -> dict[str, Message]:
    """A message for each field that has no effect here, by the name that must be said."""
    step, sampler = generation.StepParameter, generation.SamplerParameters
    fields = {
        "image.samples": make_message(samples=SAMPLES_LIMIT + 1),
        "image.seed": make_message(samples=1, seed=[1, 2]),
        "image.quantize": make_message(quantize=True),
        "image.weight_method": make_message(weight_method=generation.CROSS_ATTENTION),
        "image.fine_tuning_parameters": make_message(
            fine_tuning_parameters=[generation.FineTuningParameters()]
        ),
        "image.adapter": make_message(
            adapter=generation.T2IAdapterParameter(adapter_type=generation.T2IADAPTER_SKETCH)
        ),
        "image.cai_parameters": make_message(
            cai_parameters=generation.CAIParameters(model_metadata=1)
        ),
        "image.transform.upscaler": make_message(
            transform=generation.TransformType(upscaler=generation.UPSCALER_ESRGAN)
        ),
        "image.transform.diffusion": make_message(),
        "image.parameters": make_message(parameters=[step(), step()]),
        "image.parameters.scaled_step": make_message(parameters=[step(scaled_step=1.0)]),
        "image.parameters.sampler.eta": make_message(parameters=[step(sampler=sampler(eta=0.5))]),
        "image.parameters.schedule": make_message(
            parameters=[step(schedule=generation.ScheduleParameters(start=0.6))]
        ),
        "image.parameters.guidance": make_message(
            parameters=[step(guidance=generation.GuidanceParameters(guidance_preset=2))]
        ),
        "parameters.width": make_message(width=100),
        "parameters.steps": make_message(steps=200),
        "requested_type": make_message(),
        "prompt.artifact": make_message(),
        "prompt.parameters.init": make_message(),
        "classifier": make_message(),
        "conditioner": make_message(),
        "extras.$IPC.mode": make_message(),
        "extras.tiling": make_message(),
        "parameters.style_preset": make_message(),
        "prompts": make_message(),
        "image.500": make_message(),
    }
    fields["image.transform.diffusion"].image.transform.diffusion = 500
    fields["requested_type"].requested_type = generation.ARTIFACT_LATENT
    picture = generation.Artifact(type=generation.ARTIFACT_IMAGE, binary=b"png")
    fields["prompt.artifact"].prompt.add(artifact=picture)
    fields["prompt.parameters.init"].prompt[0].parameters.init = True
    fields["classifier"].classifier.SetInParent()
    fields["conditioner"].conditioner.vector_adjust_prior = "x"
    fields["extras.$IPC.mode"].extras.update({"$IPC": {"preset": "anime", "mode": "multistage"}})
    fields["extras.tiling"].extras.update({"tiling": True})
    fields["parameters.style_preset"].extras.update({"$IPC": {"preset": "oil"}})
    fields["prompts"].ClearField("prompt")
    newer = generation.ImageParameters.FromString(b"\xa0\x1f\x01")  # number 500, a newer field
    fields["image.500"].image.MergeFrom(newer)
    return fields


UNSUPPORTED = _list_unsupported()


@pytest.mark.parametrize("field", UNSUPPORTED)
async def test_a_field_without_effect_is_refused_by_its_name(serve: Serve, field: str) -> None:
    code, text = await fail(await serve(), UNSUPPORTED[field])
    assert code is Code.INVALID_ARGUMENT
    assert text.startswith(f"{field}: ")


async def test_fields_that_ask_for_nothing_are_no_reason_to_refuse(serve: Serve) -> None:
    message = make_message(
        seed=[7],
        adapter=generation.T2IAdapterParameter(adapter_strength=0.4),
        masked_area_init=generation.MASKED_AREA_INIT_ORIGINAL,
        weight_method=generation.TEXT_ENCODER,
        quantize=False,
        parameters=[
            generation.StepParameter(
                schedule=generation.ScheduleParameters(start=1.0),
                guidance=generation.GuidanceParameters(),
            )
        ],
    )
    message.requested_type = generation.ARTIFACT_IMAGE
    message.extras.SetInParent()
    server = await serve()
    (answer,) = await generate(server, message)
    (plain,) = await generate(server, make_message(seed=[7]))
    assert answer.artifacts[0].binary == plain.artifacts[0].binary
