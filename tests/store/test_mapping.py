"""What is written is what is read: every field, through JSON and through the database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from store import sessions
from store.database import Database
from store.mapping import load_prompt_rows, load_requests, salvage, store_request
from store.records import Draft
from store.request import Parameters, Prompt, Request
from store.tables import PromptRow, RequestRow
from tests.store.strategies import STRUCTS, make_strategy, make_struct

QUICK = settings(max_examples=60, deadline=None)
STORED = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    directory: Path = tmp_path_factory.mktemp("shared") / "data"
    with Database.open(directory) as database:
        yield database


@pytest.mark.parametrize("kind", [*STRUCTS, Draft], ids=lambda kind: kind.__name__)
@pytest.mark.samples(3)
def test_json_keeps_every_field(kind: type[Any]) -> None:
    @QUICK
    @given(make_struct(kind))
    def check(value: Any) -> None:
        again = msgspec.json.decode(msgspec.json.encode(value), type=kind)
        for name in kind.__struct_fields__:
            assert repr(getattr(again, name)) == repr(getattr(value, name)), name

    check()


@QUICK
@given(make_struct(Request))
def test_a_request_is_known_by_its_digest_after_reading(value: Request) -> None:
    again = Request.from_json(value.to_json())
    assert again == value
    assert again.to_json() == value.to_json()
    assert again.digest == value.digest


@STORED
@given(value=make_struct(Request))
def test_the_database_keeps_every_field_of_a_request(shared: Database, value: Request) -> None:
    with shared.write() as write:
        digest = store_request(write, value)
        assert store_request(write, value) == digest == value.digest
    with shared.read() as read:
        again, is_damaged = load_requests(read, [digest])[digest]
        assert not is_damaged
        assert again.to_json() == value.to_json()
        row = read.exec(select(RequestRow).where(RequestRow.digest == digest)).one()
        # The columns and prompt rows tell the same, without the JSON.
        row = RequestRow(**{**row.model_dump(), "json_text": ""})
        assert salvage(row, load_prompt_rows(read, digest)).to_json() == value.to_json()


@STORED
@given(name=st.sampled_from(["evening", "été", "夜"]), draft=make_struct(Draft))
def test_the_database_keeps_every_field_of_a_draft(
    shared: Database, name: str, draft: Draft
) -> None:
    sessions.save_draft(shared, name, draft)
    again = sessions.load_session(shared, name).draft
    for field in Draft.__struct_fields__:
        assert repr(getattr(again, field)) == repr(getattr(draft, field)), field


def test_every_parameter_and_prompt_field_has_a_column() -> None:
    assert set(Parameters.__struct_fields__) <= set(RequestRow.model_fields)
    assert set(Prompt.__struct_fields__) <= set(PromptRow.model_fields)


def test_a_type_without_values_is_not_passed_over() -> None:
    for kind in (complex, tuple[int, str], dict[int, str], list[int]):
        with pytest.raises(TypeError, match="add them here"):
            make_strategy(kind)
