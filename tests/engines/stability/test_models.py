"""What the engine offers and refuses."""

from __future__ import annotations

import pytest

from engines.registry import EngineRegistry
from engines.settings import Settings
from engines.stability.models import SAMPLERS, SIZES, make_capabilities
from store.errors import RequestError
from store.request import Guidance, Upscale
from tests.factories import make_hosted_request

SDXL = "stable-diffusion-xl-1024-v1-0"


def test_it_promises_nothing_that_the_service_does_not() -> None:
    capabilities = make_capabilities()
    assert capabilities.is_paid
    assert not capabilities.is_deterministic
    assert "does not promise" in capabilities.why_not
    assert capabilities.default_model == SDXL
    assert len(capabilities.style_presets) == 17
    assert len(capabilities.samplers) == 11


@pytest.mark.parametrize(
    ("model", "width", "height", "fits"),
    [
        (SDXL, 1024, 1024, True),
        (SDXL, 640, 1536, True),
        (SDXL, 512, 512, False),
        (SDXL, 1024, 960, False),
        ("stable-diffusion-v1-6", 512, 512, True),
        ("stable-diffusion-v1-6", 320, 1536, True),
        ("stable-diffusion-v1-6", 256, 512, False),
        ("stable-diffusion-512-v2-1", 512, 512, True),
        ("stable-diffusion-512-v2-1", 256, 1024, True),
        ("stable-diffusion-512-v2-1", 448, 512, False),
        ("stable-diffusion-512-v2-1", 1088, 1024, False),
        ("stable-diffusion-768-v2-1", 512, 512, False),
        ("stable-diffusion-768-v2-1", 1024, 1024, True),
    ],
)
def test_each_model_has_its_sizes(model: str, width: int, height: int, fits: bool) -> None:
    request = make_hosted_request(model=model, width=width, height=height)
    if fits:
        make_capabilities().check(request)
    else:
        with pytest.raises(RequestError, match=f"{width}x{height} does not fit"):
            make_capabilities().check(request)


@pytest.mark.parametrize("model", SIZES)
def test_every_size_that_is_offered_is_accepted(model: str) -> None:
    sizes = make_capabilities().for_model(model).sizes
    assert sizes.default in sizes.suggested
    for width, height in sizes.suggested:
        make_capabilities().check(make_hosted_request(model=model, width=width, height=height))


def test_a_server_of_ones_own_has_the_models_that_are_set() -> None:
    capabilities = make_capabilities(["builtin", SDXL])
    capabilities.check(make_hosted_request(model="builtin", width=128, height=128))
    assert capabilities.default_model == "builtin"
    assert capabilities.for_model(None).sizes.default == (512, 512)
    assert capabilities.for_model(SDXL).sizes.default == (1024, 1024)
    with pytest.raises(RequestError, match="Unknown model"):
        capabilities.check(make_hosted_request(model="stable-diffusion-v1-6"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 9}, "steps 9 is out of range"),
        ({"steps": 151}, "steps 151 is out of range"),
        ({"sampler": "plms"}, "Unknown sampler 'plms'"),
        ({"style_preset": "glitter"}, "Unknown style preset 'glitter'"),
    ],
)
def test_what_the_protocol_does_not_have_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        make_capabilities(["m"]).check(make_hosted_request(model="m", **changes))


ESRGAN, LATENT = "esrgan-v1-x2plus", "stable-diffusion-x4-latent-upscaler"
UPSCALE = Upscale(sha256="0" * 64, upscaler="esrgan")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_guidance_goes_with_the_samplers_that_its_documentation_lists(sampler: str) -> None:
    request = make_hosted_request("m", sampler=sampler, guidance=Guidance(preset="simple"))
    if sampler == "ddim" or sampler.endswith("_ancestral"):
        make_capabilities(["m"]).check(request)
    else:
        with pytest.raises(RequestError, match=f"not work with the sampler {sampler}"):
            make_capabilities(["m"]).check(request)


@pytest.mark.parametrize("model", [name for name in SIZES if "-xl-" in name])
def test_guidance_does_not_go_with_sdxl(model: str) -> None:
    guidance = Guidance(preset="fast_blue")
    request = make_hosted_request(
        model, sampler="k_euler_ancestral", width=1024, height=1024, guidance=guidance
    )
    with pytest.raises(RequestError, match=f"does not work with {model}"):
        make_capabilities().check(request)


def test_what_cannot_repeat_is_said_before_it_is_run() -> None:
    registry = EngineRegistry(Settings())
    assert registry.describe_losses(make_hosted_request()) == ()
    (text,) = registry.describe_losses(make_hosted_request(guidance=Guidance(preset="slow")))
    assert "CLIP guidance does not repeat" in text
    (text,) = registry.describe_losses(make_hosted_request(ESRGAN, upscale=UPSCALE))
    assert "reads no prompts" in text
    assert registry.describe_losses(make_hosted_request(LATENT, upscale=UPSCALE)) == ()


@pytest.mark.parametrize(
    ("model", "changes", "words"),
    [
        (ESRGAN, {"width": 2048, "height": 2048}, None),
        (ESRGAN, {"width": 2049, "height": 2048}, "makes at most 4,194,304 pixels"),
        (ESRGAN, {"steps": 500}, None),
        (ESRGAN, {"style_preset": "anime"}, "has no style preset"),
        (LATENT, {"width": 3072, "height": 2048, "steps": 50}, None),
        (LATENT, {"width": 3072, "height": 2049}, "makes at most 6,291,456 pixels"),
        (LATENT, {"steps": 51}, "at most 50 steps"),
        (SDXL, {}, "Unknown model"),
    ],
)
def test_each_upscaler_has_its_limits(
    model: str, changes: dict[str, object], words: str | None
) -> None:
    request = make_hosted_request(model, upscale=UPSCALE, **changes)
    if words is None:
        make_capabilities().check(request)
    else:
        with pytest.raises(RequestError, match=words):
            make_capabilities().check(request)


def test_a_server_of_ones_own_has_the_upscale_models_that_are_set() -> None:
    capabilities = make_capabilities(["m"], ["mine-x2"])
    assert capabilities.upscale_models == ("mine-x2",)
    assert make_capabilities(["m"]).upscale_models == (ESRGAN, LATENT)
    capabilities.check(make_hosted_request("mine-x2", upscale=UPSCALE, width=8000, height=8000))
