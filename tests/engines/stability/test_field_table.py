"""Each claim of the table of fields, checked; and no field is without a row."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engines.base import Produced, Run
from engines.builtin.engine import BuiltinEngine
from engines.builtin.models import CAPABILITIES, MODEL
from engines.stability.messages import UNSAID, build_message, parse_message, read_request, serialize
from engines.stability.protocol import Message, generation
from store.errors import RequestError
from store.pixels import digest_pixels, open_image
from store.request import Parameters, Request
from tests.engines.stability.field_rows import ROWS, Claim, Row
from tests.engines.stability.field_table import (
    FILE,
    is_honoured,
    is_repeated,
    list_fields,
    list_leaves,
    make_table,
)
from tests.engines.stability.files import Shelf
from tests.engines.stability.full_requests import make_full_request, make_upscale
from tests.repeats import keep

CARRIED = [row for row in ROWS if row.claim is Claim.CARRIED and row.change is not None]
CLAIMED = [row for row in CARRIED if row.takes is not None]
UNSENT = [
    (row, leaf)
    for row in ROWS
    if row.claim in (Claim.IGNORED, Claim.REFUSED)
    for leaf in list_leaves(row.path)
]
ODD = {  # a value for each type of field that is none of its usual ones
    "string": "odd",
    "bytes": b"odd",
    "bool": True,
}


def name_row(value: Any) -> str | None:
    return value.path if isinstance(value, Row) else None


def test_each_field_of_the_protocol_has_a_row() -> None:
    assert [row.path for row in ROWS] == list(list_fields())


def test_the_page_is_the_one_that_the_rows_make() -> None:
    command = "Run: python -m tests.engines.stability.field_table"
    assert FILE.read_text(encoding="utf-8") == make_table(), command


def make_base(row: Row, shelf: Shelf) -> Request:
    if row.path == "image.transform.upscaler":
        return make_upscale(shelf, sampler=UNSAID["sampler"])
    return make_full_request(shelf)


def get_values(message: Message, path: str) -> list[Any]:
    """What stands at `path`, wherever a repeated field lies on the way; only what is present."""
    found = [message]
    for name in path.split("."):
        field = found[0].DESCRIPTOR.fields_by_name[name] if found else None
        parts: list[Any] = []
        for one in found:
            if is_repeated(field):
                parts += getattr(one, name)
            elif not field.has_presence or one.HasField(name):  # type: ignore[union-attr]
                parts.append(getattr(one, name))
        found = parts
    return found


@pytest.mark.parametrize("row", CARRIED, ids=name_row)
def test_what_is_carried_is_sent_recorded_and_restored(row: Row) -> None:
    assert row.change is not None
    shelf = Shelf()
    base = make_base(row, shelf)
    changed = row.change(base, shelf)
    messages = [build_message(request, shelf.make_run()) for request in (base, changed)]
    before, after = (get_values(message, row.path) for message in messages)
    assert before, "it is sent"
    assert before != after, "and it is this field that is sent"
    assert base.digest != changed.digest, "it is recorded"
    for request, message in zip((base, changed), messages, strict=True):
        restored, _ = read_request(parse_message(serialize(message)))
        assert restored == request, "it is restored"


def test_the_request_id_is_the_jobs_id() -> None:
    shelf = Shelf()
    message = build_message(make_full_request(shelf), shelf.make_run("job-7"))
    assert parse_message(serialize(message)).request_id == "job-7"


@pytest.mark.parametrize(
    ("path", "usual", "other"),
    [
        ("requested_type", [generation.ARTIFACT_IMAGE], generation.ARTIFACT_MASK),
        ("image.samples", [1], 2),
        ("image.parameters.scaled_step", [0], 1.0),
        ("prompt.parameters.init", [True], True),
    ],
)
def test_what_is_constant_is_always_the_same(path: str, usual: list[Any], other: Any) -> None:
    assert Claim.CONSTANT in [row.claim for row in ROWS if row.path == path]
    shelf = Shelf()
    message = build_message(make_full_request(shelf), shelf.make_run())
    assert get_values(message, path) == usual
    set_value(message, path, other)
    with pytest.raises(RequestError) as caught:
        read_request(message)
    assert caught.value.field == path


def set_value(message: Message, path: str, value: Any = None) -> None:
    """Set the field at `path`, to something odd if no `value` is given."""
    *names, leaf = path.split(".")
    for name in names:
        field = message.DESCRIPTOR.fields_by_name[name]
        if not is_repeated(field):
            message = getattr(message, name)
            message.SetInParent()
        elif name == "prompt" and path.startswith("prompt.artifact"):
            message = next(part for part in message.prompt if part.HasField("artifact"))
        elif name == "prompt" and path.startswith("prompt.tokens"):
            message = message.prompt.add()
        else:
            parts = getattr(message, name)
            message = parts[0] if parts else parts.add()
    field = message.DESCRIPTOR.fields_by_name[leaf]
    if value is None:
        kind = {9: "string", 12: "bytes", 8: "bool"}.get(field.type, "")
        value = ODD.get(kind, 1 if field.enum_type or field.type not in (1, 2) else 0.5)
    if field.message_type is not None:
        getattr(message, leaf).SetInParent()
    elif is_repeated(field):
        getattr(message, leaf).append(value)
    else:
        setattr(message, leaf, value)


@pytest.mark.parametrize(("row", "leaf"), UNSENT, ids=lambda value: name_row(value) or value)
def test_what_is_not_sent_is_refused_by_name_or_asks_for_nothing(row: Row, leaf: str) -> None:
    shelf = Shelf()
    request = make_full_request(shelf)
    message = build_message(request, shelf.make_run())
    assert get_values(message, leaf) in ([], [type(v)() for v in get_values(message, leaf)])
    set_value(message, leaf)
    if row.claim is Claim.IGNORED:
        assert read_request(message)[0] == request
        return
    with pytest.raises(RequestError) as caught:
        read_request(message)
    assert leaf.startswith(caught.value.field)


def make_builtin_base(row: Row, shelf: Shelf) -> Request:
    """The full request with what the embedded model takes, and the part that `row` is about."""
    request = make_base(row, shelf)
    changes = {
        field.name: field.default
        for field in msgspec.structs.fields(Parameters)
        if not field.required and field.name not in (*CAPABILITIES.takes, row.takes)
    }
    if "initial_image" in changes:
        changes |= {"mask": None, "adapter": None}
    parameters = msgspec.structs.replace(
        request.parameters, sampler="k_dpmpp_2m", steps=3, **changes
    )
    return Request(engine="builtin", model=MODEL, stack=request.stack, parameters=parameters)


@pytest.mark.parametrize("row", [row for row in CLAIMED if not is_honoured(row)], ids=name_row)
def test_builtin_refuses_what_it_does_not_honour(row: Row) -> None:
    request, kept = make_full_request(Shelf()), {row.takes}
    if row.takes in ("mask", "adapter"):
        kept.add("initial_image")  # without which there are none
    changes = {
        field.name: field.default
        for field in msgspec.structs.fields(Parameters)
        if not field.required and field.name not in kept
    }
    if "initial_image" in changes:
        changes |= {"mask": None, "adapter": None}
    parameters = msgspec.structs.replace(request.parameters, **changes)
    own = Request(engine="builtin", model=MODEL, stack=request.stack, parameters=parameters)
    with pytest.raises(RequestError) as caught:
        CAPABILITIES.check(own)
    assert caught.value.field.removeprefix("parameters.") in kept
    assert "The engine builtin has no" in caught.value.message


HONOURED = [row for row in CLAIMED if is_honoured(row)]


@pytest.mark.parametrize("row", keep(HONOURED, lambda row: row in HONOURED[::2]), ids=name_row)
async def test_builtin_makes_another_image_of_another_value(row: Row) -> None:
    assert row.change is not None
    shelf, engine = Shelf(), BuiltinEngine()
    base = make_builtin_base(row, shelf)
    pixels = set()
    for request in (base, row.change(base, shelf)):
        CAPABILITIES.check(request)
        run = Run(id="run-1", inputs=shelf)
        *_, produced = [event async for event in engine.generate(request, run)]
        assert isinstance(produced, Produced)
        pixels.add(digest_pixels(open_image(produced.data or b"")))
    await engine.close()
    assert len(pixels) == 2
