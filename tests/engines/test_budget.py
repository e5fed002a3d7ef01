"""The budget of a day: what counts towards it, and what it stops."""

from __future__ import annotations

import datetime
import time
from types import SimpleNamespace

import msgspec
import pytest

from engines import cost
from engines.base import EngineError, Failure
from engines.cost import check_budget, spent_today
from engines.settings import BudgetSettings, Settings
from engines.stability.models import StabilitySettings
from store import charges, queue
from store.database import Database
from store.tables import ChargeRow
from tests.engines.painter import MODEL
from tests.factories import make_hosted_request, make_request

REQUEST = make_hosted_request()
DEAR = make_hosted_request("dear-1")
UNPRICED = make_hosted_request("nobody-knows")
NOW = datetime.datetime(2026, 3, 14, 15, 30, 0, 250_000)


class Clock(datetime.datetime):
    """A clock that stands still in the middle of the afternoon."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Clock:
        return cls.fromtimestamp(NOW.timestamp(), tz)


@pytest.fixture(autouse=True)
def _afternoon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "datetime", SimpleNamespace(datetime=Clock))


def host(is_free: bool = False) -> StabilitySettings:
    return StabilitySettings(host="127.0.0.1:1", models=(MODEL, "dear-1"), is_free=is_free)


def make_settings(limit: float | None = 10.0, **changes: object) -> Settings:
    return msgspec.structs.replace(
        Settings(
            engines={"stability": host()},
            budget=BudgetSettings(credits_per_day=limit, prices={MODEL: 2.0, "dear-1": 7.0}),
            profiles={None: {"stability": host()}, "own": {"stability": host(is_free=True)}},
        ),
        **changes,
    )


def add_jobs(database: Database, number: int = 1) -> list[str]:
    """The ids of jobs that cost nothing, for charges to stand beside."""
    return [job.id for job in queue.enqueue(database, [make_request()] * number)]


def spend(database: Database, price: float, ago: float = 0.0) -> None:
    """A charge that was noted `ago` seconds before this afternoon."""
    [job_id] = add_jobs(database)
    with database.write() as write:
        write.add(ChargeRow(job_id=job_id, credits=price, created_at=NOW.timestamp() - ago))


HOUR = 3600.0
SINCE_MIDNIGHT = 15.5 * HOUR + 0.25


@pytest.mark.parametrize(
    ("ago", "counts"),
    [
        (0, True),
        (2 * HOUR, True),
        (15 * HOUR, True),
        (SINCE_MIDNIGHT, True),
        (SINCE_MIDNIGHT + 1, False),
        (24 * HOUR, False),
        (300 * 24 * HOUR, False),
    ],
)
def test_the_day_begins_at_midnight_here(database: Database, ago: float, counts: bool) -> None:
    spend(database, 3.0, ago)
    spend(database, 0.5)
    assert spent_today(database) == (3.5 if counts else 0.5)


def test_a_charge_is_of_the_moment_in_which_it_was_noted(database: Database) -> None:
    [job_id] = add_jobs(database)
    before = time.time()
    charges.add_charge(database, job_id, 1.25)
    assert charges.sum_charges(database, before) == 1.25
    assert charges.sum_charges(database, time.time() + 1) == 0.0


def test_only_the_newest_charge_of_the_job_is_taken_back(database: Database) -> None:
    one, other, free = add_jobs(database, 3)
    charges.add_charge(database, one, 1.0)
    charges.add_charge(database, other, 10.0)
    charges.add_charge(database, one, 100.0)
    charges.drop_charge(database, one)
    assert charges.sum_charges(database, 0.0) == 11.0
    charges.drop_charge(database, free)
    assert charges.sum_charges(database, 0.0) == 11.0


def refuse(database: Database, *requests: object, **options: object) -> str:
    with pytest.raises(EngineError) as caught:
        check_budget(database, requests, make_settings(), **options)  # type: ignore[arg-type]
    assert caught.value.kind is Failure.OVER_BUDGET
    return f"{caught.value.message} {caught.value.hint}"


def test_the_last_credit_can_be_spent_and_no_more(database: Database) -> None:
    spend(database, 8.0)
    check_budget(database, [REQUEST], make_settings())
    said = refuse(database, REQUEST, REQUEST)
    assert "about 4 credits" in said
    assert "have cost 8;" in said
    assert "limit is 10 a day" in said
    spend(database, 0.01)
    refuse(database, REQUEST)


def test_prices_in_tenths_add_up_to_the_limit(database: Database) -> None:
    settings = make_settings(0.3, budget=BudgetSettings(credits_per_day=0.3, prices={MODEL: 0.1}))
    for _ in range(3):
        check_budget(database, [REQUEST], settings)
        spend(database, 0.1)
    with pytest.raises(EngineError):
        check_budget(database, [REQUEST], settings)


def test_jobs_that_wait_count_and_are_named(database: Database) -> None:
    queue.enqueue(database, [REQUEST, DEAR])
    assert "9 more for jobs that wait" in refuse(database, REQUEST)
    # Their own turn: what waits behind them is not counted yet.
    check_budget(database, [REQUEST], make_settings(), is_queued=True)
    # What runs has a charge of its own by now, and what has ended costs no more.
    token = queue.recover(database, paid_engines=["stability"])
    job = queue.claim(database, token)
    assert job is not None
    check_budget(database, [REQUEST], make_settings())
    queue.request_cancel(database, "@1")
    check_budget(database, [DEAR, REQUEST], make_settings())


def test_a_job_that_waits_has_the_price_of_its_own_host(database: Database) -> None:
    queue.enqueue(database, [DEAR], profile="own")
    check_budget(database, [DEAR, REQUEST], make_settings())
    queue.enqueue(database, [DEAR])
    refuse(database, DEAR)
    # From the free host the others are no cheaper.
    settings = make_settings().for_profile("own")
    check_budget(database, [DEAR], settings)
    assert cost.estimate_cost(DEAR, settings) == 0


def test_a_job_for_a_host_that_is_gone_is_passed_over(database: Database) -> None:
    queue.enqueue(database, [DEAR], profile="lost")
    queue.enqueue(database, [REQUEST])
    check_budget(database, [DEAR], make_settings())
    said = refuse(database, DEAR, REQUEST)
    assert "2 more for jobs that wait" in said


def test_without_a_limit_or_a_price_nothing_is_asked(database: Database) -> None:
    spend(database, 1e6)
    check_budget(database, [DEAR, UNPRICED], make_settings(None))
    check_budget(database, [make_request()], make_settings())
    check_budget(database, [], make_settings())


def test_a_limit_wants_a_price_for_everything(database: Database) -> None:
    said = refuse(database, UNPRICED)
    assert "price of nobody-knows is not known" in said
    assert "budget.prices" in said


def test_a_limit_of_nothing_stops_everything_that_costs(database: Database) -> None:
    with pytest.raises(EngineError):
        check_budget(database, [REQUEST], make_settings(0.0))
    check_budget(database, [make_request()], make_settings(0.0))


def test_a_charge_that_is_there_is_noted_once_and_others_are_not_counted(
    database: Database,
) -> None:
    first, second = add_jobs(database, 2)
    for job_id in (first, first, second):
        charges.add_charge(database, job_id, 2.0, place=1)
    charges.add_charge(database, first, 2.0, place=2)
    assert (charges.count_charges(database, first), charges.count_charges(database, second)) == (
        2,
        1,
    )
    assert charges.sum_charges(database, 0.0) == 6.0
