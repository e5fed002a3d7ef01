"""What an image may cost, by the figures that the service showed."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engines.cost import describe_cost, estimate_cost, spent_today
from engines.settings import BudgetSettings, Settings
from engines.stability.models import StabilitySettings, estimate_credits
from store import charges, queue
from store.database import Database
from store.request import Request
from tests.factories import make_request
from tests.store.helpers import execute


def ask(model: str, width: int = 512, height: int = 512, steps: int = 30) -> Request:
    request = make_request(width=width, height=height, steps=steps)
    return msgspec.structs.replace(request, engine="stability", model=model)


@pytest.mark.parametrize(
    ("request_", "credits_"),
    [
        (ask("stable-diffusion-xl-1024-v1-0", 1024, 1024), 0.2),
        (ask("stable-diffusion-xl-1024-v0-9", 1024, 1024, 30), 1.6),
        (ask("stable-diffusion-xl-1024-v0-9", 1024, 1024, 50), 2.0),
        (ask("stable-diffusion-xl-1024-v0-9", 1024, 1024, 100), 3.113),
        (ask("stable-diffusion-v1-6"), 0.2),
        (ask("stable-diffusion-v1-6", 320, 320), 0.2),
        (ask("stable-diffusion-v1-6", steps=150), 1.0),
        (ask("stable-diffusion-768-v2-1", 768, 768), 0.908),
        (ask("esrgan-v1-x2plus", 1024, 1024), 0.2),
        (ask("stable-diffusion-x4-latent-upscaler", 2048, 2048), 8.0),
        (ask("stable-diffusion-x4-latent-upscaler", 2112, 2048), 12.0),
        (ask("painter-1"), None),
    ],
)
def test_the_estimate_follows_the_services_figures(
    request_: Request, credits_: float | None
) -> None:
    expected: Any = None if credits_ is None else pytest.approx(credits_, abs=0.001)
    assert estimate_credits(request_) == expected


def test_it_depends_on_the_host_and_on_prices_of_ones_own() -> None:
    request = ask("stable-diffusion-xl-1024-v1-0", 1024, 1024)

    def settle(host: str, is_free: bool | None = None, **prices: float) -> float | None:
        stability = StabilitySettings(host=host, is_free=is_free)
        budget = BudgetSettings(prices={"stable-diffusion-xl-1024-v1-0": 5.0} if prices else {})
        return estimate_cost(request, Settings(engines={"stability": stability}, budget=budget))

    assert settle("grpc.stability.ai:443") == 0.2
    assert settle("grpc.stability.ai:443", own=1) == 5.0
    assert settle("grpc.stability.ai:443", is_free=True) == 0
    for local in ("localhost:50051", "127.0.0.1:1", "[::1]:1", "unix:/run/x"):
        assert settle(local) == 0
    assert settle("localhost:50051", is_free=False) == 0.2
    assert estimate_cost(make_request(), Settings()) == 0


def test_it_is_told_in_words() -> None:
    assert describe_cost(0.2) == "about 0.2 credits"
    assert describe_cost(12.0) == "about 12 credits"
    assert describe_cost(1.0) == "about 1 credit"
    assert describe_cost(None) == "an unknown number of credits"


def test_a_day_begins_at_midnight_to_the_second(tmp_path: Path) -> None:
    today = datetime.date.today()
    midnight = datetime.datetime.combine(today, datetime.time()).timestamp()
    with Database.open(tmp_path) as database:
        [job] = queue.enqueue(database, [make_request()])
        charges.add_charge(database, job.id, 1.5)
        for time, spent in ((midnight, 1.5), (midnight - 0.001, 0.0)):
            execute(tmp_path, "UPDATE charge SET created_at = ?", time)
            assert spent_today(database) == spent or datetime.date.today() != today
