"""What is other now is told before anything is made, with what decides pixels first."""

from __future__ import annotations

import msgspec
import pytest

from engines.base import EQUAL_BITS, Weight
from engines.builtin.models import CAPABILITIES
from engines.outlook import Outlook, Preflight
from engines.preflight import check_before
from engines.registry import EngineRegistry
from store import queue
from store.database import Database
from store.errors import NotFound
from store.inputs import store_input
from store.records import EnvironmentRecord, Image
from store.request import InitialImage, Request
from tests.factories import (
    SEED,
    make_hosted_request,
    make_plain,
    make_request,
    make_rest_request,
    make_result,
)
from tests.store.helpers import claim, execute, start

MODEL = CAPABILITIES.default_model


def make(database: Database, environment: EnvironmentRecord, request: Request) -> Image:
    queue.enqueue(database, [request])
    token = start(database)
    result = make_result(seed=request.parameters.seed, environment=environment)
    return queue.finish(database, claim(database, token), token, result)


def look(
    database: Database,
    registry: EngineRegistry,
    here: EnvironmentRecord,
    request: Request | None = None,
    /,
    **values: str,
) -> Preflight:
    """The pre-flight of an image that was made around other `values` than now."""
    there = msgspec.structs.replace(here, values=here.values | values)
    image = make(database, there, request or make_request(model=MODEL))
    return check_before(database, registry, image.id)


def list_weights(preflight: Preflight) -> dict[str, Weight]:
    return {change.name: change.weight for change in preflight.changes}


def test_nothing_is_other(
    database: Database, registry: EngineRegistry, here: EnvironmentRecord
) -> None:
    found = look(database, registry, here)
    assert (found.outlook, found.changes, found.cost) == (Outlook.IDENTICAL, (), 0)
    with pytest.raises(NotFound):
        check_before(database, registry, "@2")


def test_what_cannot_decide_pixels_is_told_last_and_does_not_count(
    database: Database, registry: EngineRegistry, here: EnvironmentRecord
) -> None:
    found = look(
        database,
        registry,
        here,
        kernels="another BLAS",
        machine="riscv64",
        numpy="1",
        Pillow="1",
        inpainting="cut-1",
    )
    assert found.outlook is Outlook.IDENTICAL
    assert list_weights(found) == dict.fromkeys(
        ("kernels", "machine", "numpy", "Pillow", "inpainting"), Weight.DOES_NOT_DECIDE
    )
    [kernels] = [change for change in found.changes if change.name == "kernels"]
    assert (kernels.then, kernels.now) == ("another BLAS", here.values["kernels"])
    assert "no kernel rounds" in kernels.reason


@pytest.mark.parametrize(
    "name", ["engine revision", "weights", "vocabulary", "guidance", "noise", "schedule"]
)
def test_what_decides_pixels_comes_first(
    database: Database, registry: EngineRegistry, here: EnvironmentRecord, name: str
) -> None:
    found = look(database, registry, here, **{name: "2", "machine": "riscv64", "code": "x"})
    assert found.outlook is Outlook.DIFFERENT
    assert [(change.name, change.weight) for change in found.changes] == [
        (name, Weight.DECIDES),
        ("code", Weight.MAY_DECIDE),
        ("machine", Weight.DOES_NOT_DECIDE),
    ]


def test_what_may_decide_leaves_it_open(
    database: Database, registry: EngineRegistry, here: EnvironmentRecord
) -> None:
    assert look(database, registry, here, code="x").outlook is Outlook.UNSURE
    odd = look(
        database, registry, here, make_request(model=MODEL, width=256, height=320), Pillow="1"
    )
    assert list_weights(odd) == {"Pillow": Weight.MAY_DECIDE}
    start_from = store_input(database, make_plain("red", (128, 128)))
    initial = InitialImage(sha256=start_from.sha256, start_schedule=0.6, end_schedule=0.0)
    drawn = look(
        database, registry, here, make_request(model=MODEL, initial_image=initial), Pillow="1"
    )
    assert drawn.outlook is Outlook.UNSURE
    unsure = look(database, registry, here, **{EQUAL_BITS: "no: it rounds", "kernels": "old"})
    assert set(list_weights(unsure).values()) == {Weight.MAY_DECIDE}


def test_a_changed_record_a_lost_file_and_a_lost_input(
    database: Database, registry: EngineRegistry, here: EnvironmentRecord
) -> None:
    kept = store_input(database, make_plain("red", (128, 128)))
    initial = InitialImage(sha256=kept.sha256, start_schedule=0.6, end_schedule=0.0)
    image = make(database, here, make_request(model=MODEL, initial_image=initial))
    image.path.unlink()
    lost = check_before(database, registry, image.id)
    assert (lost.outlook, list_weights(lost)) == (Outlook.DIFFERENT, {"file": Weight.DECIDES})
    assert "is missing" in lost.changes[0].reason
    path = database.vault.path(kept.sha256, ".png")
    path.unlink()
    gone = check_before(database, registry, image.id)
    assert gone.outlook is Outlook.CANNOT_RUN
    assert gone.changes[0].name == "initial image"
    execute(database.directory, "UPDATE image SET width = 9")
    changed = check_before(database, registry, image.id)
    assert "width" in changed.changes[0].name


def test_a_model_that_is_not_there(
    database: Database, registry: EngineRegistry, here: EnvironmentRecord
) -> None:
    request = make_request(model="safelight-128-v1@999", seed=SEED)
    found = look(database, registry, here, request)
    assert found.outlook is Outlook.CANNOT_RUN
    assert found.changes[0].name == "model"
    assert "999 of safelight-128-v1 is not on board" in found.changes[0].reason


def test_services_promise_nothing_and_may_use_defaults_of_today(
    database: Database, registry: EngineRegistry
) -> None:
    hosted = make(
        database,
        EnvironmentRecord(values={}),
        make_hosted_request("stable-diffusion-xl-1024-v1-0", width=1024, height=1024),
    )
    found = check_before(database, registry, hosted.id)
    assert found.outlook is Outlook.DIFFERENT
    assert found.changes[0].name == "engine"
    request = make_rest_request()
    rest = registry.describe_environment(request)
    other = msgspec.structs.replace(rest, values=rest.values | {"host": "elsewhere", "httpx": "0"})
    image = make(database, other, request)
    weights = list_weights(check_before(database, registry, image.id))
    assert weights["host"] is Weight.DECIDES
    assert weights["httpx"] is Weight.DOES_NOT_DECIDE
    assert weights["steps"] is weights["sampler"] is Weight.MAY_DECIDE
    cost = check_before(database, registry, image.id).cost
    assert cost is not None
    assert cost > 0
