"""What the engine `stability-rest` says that it accepts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engines.capabilities import Capabilities
from engines.registry import EngineRegistry
from engines.resolve import resolve_draft
from engines.settings import Settings
from engines.stability_rest.models import CAPABILITIES, CORE, PATHS, RATIOS, find_ratio
from store.errors import RequestError
from store.records import Draft, DraftPrompt
from store.request import InitialImage, Mask
from tests.engines.stability_rest.rest import LARGE, ULTRA
from tests.engines.stability_rest.rest_server import CORE_SIZES, SIZES
from tests.factories import make_rest_request

SKY = DraftPrompt(text="sky")


def test_it_promises_nothing_that_the_service_does_not() -> None:
    registry = EngineRegistry(Settings())
    capabilities: Capabilities = registry.get_capabilities("stability-rest")
    assert "stability-rest" in registry.paid_engines
    assert not capabilities.is_deterministic
    assert "decides sampler and steps itself" in capabilities.why_not
    assert len(capabilities.style_presets) == 17
    assert set(capabilities.models) == {
        "stable-image-ultra",
        "stable-image-core",
        "sd3.5-large",
        "sd3.5-large-turbo",
        "sd3.5-medium",
        "sd3.5-flash",
    }


@pytest.mark.parametrize("model", PATHS)
def test_each_ratio_is_a_size_and_each_size_a_ratio(model: str) -> None:
    expected = CORE_SIZES if model == "stable-image-core" else SIZES
    assert RATIOS[model] == expected
    assert set(CAPABILITIES.for_model(model).sizes.only) == set(expected.values())
    for ratio, (width, height) in expected.items():
        assert find_ratio(model, width, height) == ratio
        CAPABILITIES.check(make_rest_request(model, width=width, height=height))


def test_a_size_of_another_model_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(RequestError, match=r"1024x1024 does not fit.* 1536x1536, 1632x1344"):
        CAPABILITIES.check(make_rest_request("stable-image-core", width=1024, height=1024))
    with pytest.raises(RequestError, match="1536x1536 does not fit"):
        CAPABILITIES.check(make_rest_request(ULTRA, width=1536, height=1536))


@pytest.mark.parametrize(
    ("model", "default"),
    [(LARGE, 4), ("sd3.5-medium", 4), ("sd3.5-large-turbo", 1), ("sd3.5-flash", 1)],
)
def test_sd3_has_a_cfg_scale(model: str, default: float) -> None:
    (request,) = resolve_draft(Draft(engine="x", model=model, prompts=(SKY,)), CAPABILITIES)
    assert request.parameters.cfg_scale == default
    CAPABILITIES.check(make_rest_request(model, cfg_scale=10.0))
    with pytest.raises(RequestError, match="Give 1 to 10"):
        CAPABILITIES.check(make_rest_request(model, cfg_scale=0.5))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cfg_scale": 7.0}, "takes no cfg scale here: the server decides"),
        ({"steps": 30}, "takes no steps here: the server decides"),
        ({"sampler": "ddim"}, "Unknown sampler 'ddim'. Known: server"),
    ],
)
def test_what_the_server_decides_cannot_be_asked_for(change: dict[str, object], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        CAPABILITIES.check(make_rest_request(ULTRA, **change))


def test_all_models_but_core_take_an_initial_image_and_none_a_mask() -> None:
    image = InitialImage(sha256="ab" * 32, start_schedule=0.5, end_schedule=0.0)
    mask = Mask(sha256="cd" * 32, replaces="black", area_init="original")
    for model in PATHS:
        if model != CORE:
            CAPABILITIES.check(make_rest_request(model, initial_image=image))
            with pytest.raises(RequestError, match="The engine stability-rest has no mask"):
                CAPABILITIES.check(make_rest_request(model, initial_image=image, mask=mask))
    with pytest.raises(RequestError) as caught:
        CAPABILITIES.check(make_rest_request(CORE, initial_image=image))
    assert caught.value.field == "parameters.initial_image"
    assert caught.value.message == "The model stable-image-core has no initial image."
    assert caught.value.hint.startswith("Leave it out, or choose stable-image-ultra, sd3.5-large,")


def test_the_request_itself_says_that_the_server_decides() -> None:
    (request,) = resolve_draft(Draft(prompts=(SKY,)), CAPABILITIES)
    assert request.parameters.sampler == "server"
    assert CAPABILITIES.steps.words == CAPABILITIES.cfg_scale.words == "the server decides"


def test_capabilities_and_losses_need_no_client() -> None:
    code = "import sys\nfrom engines.registry import EngineRegistry\n"
    code += "from engines.settings import Settings\n"
    code += "EngineRegistry(Settings()).get_capabilities('stability-rest')\n"
    code += "import engines.stability_rest.models\n"
    code += "assert not {'httpx', 'grpc', 'stability_sdk'} & set(sys.modules)\n"
    code += "import engines.stability_rest.engine\n"
    code += "assert not {'grpc', 'stability_sdk'} & set(sys.modules)\n"
    root = str(Path(__file__).parents[3])
    environ = {**os.environ, "PYTHONPATH": root}
    subprocess.run([sys.executable, "-c", code], cwd=root, env=environ, check=True)
