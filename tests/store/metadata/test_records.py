"""Records through image files: what was put in comes out, and what was changed is named."""

from __future__ import annotations

import contextlib
import re
from functools import cache

import msgspec
import pytest
from PIL import Image as Pillow

from store.errors import StoreError
from store.metadata.containers import Part, read_metadata, write_metadata
from store.metadata.files import read_file
from store.metadata.intake import adopt_file
from store.metadata.parameters_text import NEGATIVE, SAMPLER_NAMES, write_infotext
from store.metadata.record import RECORD_LIMIT, Record, read_record
from store.request import Prompt, Request
from tests.factories import make_request
from tests.repeats import mark
from tests.store.metadata.image_files import find_text, make_file
from tests.store.metadata.records import draw_records

FEW, ALL = 50, 500
COUNTS = [FEW, mark(ALL)]
PROGRAM = "Safelight 0"


@cache
def list_records(count: int) -> list[Record]:
    return draw_records(count)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WebP, lossless"])
@pytest.mark.parametrize("count", COUNTS)
def test_hostile_records_lose_nothing(name: str, count: int) -> None:
    file = make_file(name)
    records = list_records(count)
    assert len({record.to_json() for record in records}) >= 0.9 * count
    for record in records:
        text = record.to_json()
        parameters = write_infotext(record.request, program=PROGRAM)
        written = write_metadata(file, [Part("record", text)], parameters)
        found = read_file(written)
        assert found.text == text
        assert found.read.changes == ()
        assert found.read.record == record
        assert found.read.record.request.to_json() == record.request.to_json()
        metadata = read_metadata(written)
        assert metadata.notes == ()
        assert parameters in (
            find_text(metadata, "parameters"),
            find_text(metadata, "UserComment"),
        )


def test_each_field_that_was_changed_is_named() -> None:
    record = next(one for one in list_records(FEW) if one.stages and one.meta and one.inputs)
    values = msgspec.json.decode(record.to_json())
    for name in values:
        if name in ("format", "checks", "seal"):
            continue
        changed = msgspec.json.encode(values | {name: "x"}, order="sorted")
        assert read_record(changed).changes == (name,)
    for name in ("checks", "seal"):
        other = {**values["checks"], "id": "0" * 8} if name == "checks" else "0" * 64
        changed = msgspec.json.encode(values | {name: other}, order="sorted")
        assert read_record(changed).changes == (name,)


def test_every_changed_byte_is_noticed() -> None:
    text = list_records(FEW)[7].to_json()
    for place in range(0, len(text), 7):
        changed = bytearray(text)
        changed[place] ^= 1
        with contextlib.suppress(StoreError):  # the number of its form
            assert read_record(bytes(changed)).changes, place


def test_a_record_made_anew_with_another_request_names_it() -> None:
    record = msgspec.structs.replace(list_records(FEW)[3], request=make_request("something else"))
    assert read_record(record.to_json()).changes == ("request",)


def test_what_is_no_record_is_told() -> None:
    for data in (b"", b"\xff", b"[]", b"{}", b'{"format":1}', b'{"a":' * 50_000):
        found = read_record(data)
        assert found.record is None
        assert found.changes
    with pytest.raises(StoreError, match="newer"):
        read_record(b'{"format":2}')
    with pytest.raises(StoreError, match="more than"):
        read_record(b" " * (RECORD_LIMIT + 1))


def test_the_longest_prompts_fit() -> None:
    prompts = [Prompt(text="👨" * 10_000)] * 64
    record = msgspec.structs.replace(list_records(FEW)[0], request=make_request(*prompts))
    assert len(record.to_json()) < RECORD_LIMIT


# The text for other programs


@pytest.mark.parametrize("count", COUNTS)
def test_the_text_for_other_programs_loses_what_is_listed_and_no_more(count: int) -> None:
    """Read back with a small reader of our own: what is left after the listed losses."""
    for record in list_records(count):
        request = record.request
        positive, negative, values = read_back(write_infotext(request, program=PROGRAM))
        assert positive == lose(request, 1)
        assert negative == lose(request, -1)
        parameters = request.parameters
        assert int(values["Seed"]) == parameters.seed
        assert int(values["Steps"]) == parameters.steps
        assert float(values["CFG scale"]) == parameters.cfg_scale
        assert values["Size"] == f"{parameters.width}x{parameters.height}"
        assert values["Model"].strip('"') == request.model
        named = SAMPLER_NAMES.get(parameters.sampler, parameters.sampler)
        assert values["Sampler"] == named
        assert values.get("Style preset") == parameters.style_preset
        if parameters.variation is not None:
            assert int(values["Variation seed"]) == parameters.variation.seed
            assert float(values["Variation seed strength"]) == parameters.variation.strength


def read_back(text: str) -> tuple[list[tuple[str, float]], list[tuple[str, float]], dict[str, str]]:
    """The parts of the prompts with their weights, and the parameters."""
    *prompts, last = text.split("\n")
    assert len(prompts) in (1, 2)
    positive = prompts[0]
    negative = prompts[1].removeprefix(NEGATIVE) if len(prompts) == 2 else ""
    pairs = re.findall(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)', last)
    return _split(positive), _split(negative), dict(pairs)


_TOKEN = re.compile(
    r"\\(?P<plain>[\\()\[\]])|(?P<open>\()|:(?P<weight>[.\d]+)\)|(?P<other>.)", re.DOTALL
)


def _split(text: str) -> list[tuple[str, float]]:
    """Parts of equal weight, joined where they are of weight 1."""
    parts: list[tuple[str, float]] = []
    now = ""
    for found in _TOKEN.finditer(text):
        if found["open"]:
            parts, now = [*parts, (now, 1.0)], ""
        elif found["weight"]:
            parts, now = [*parts, (now, float(found["weight"]))], ""
        else:
            now += found["plain"] or found["other"]
    parts.append((now, 1.0))
    return [(part, weight) for part, weight in ((p.strip(" ,"), w) for p, w in parts) if part]


def lose(request: Request, sign: int) -> list[tuple[str, float]]:
    """What the list in docs/metadata.md says is left of the prompts."""
    parts: list[tuple[str, float]] = []
    for prompt in request.stack.active:
        if prompt.weight * sign <= 0:
            continue
        text = re.sub(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+", " ", prompt.text)
        text = text.strip().replace(NEGATIVE, "Negative prompt :")
        weight = abs(prompt.weight)
        if parts and weight == 1 and parts[-1][1] == 1:
            parts[-1] = (f"{parts[-1][0]}, {text}", 1.0)
        else:
            parts.append((text, weight))
    return [(part, weight) for part, weight in ((p.strip(" ,"), w) for p, w in parts) if part]


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WebP, lossless"])
def test_the_import_reads_the_text_where_the_record_is_gone(name: str) -> None:
    for record in list_records(FEW):
        request = record.request
        text = write_infotext(request, program=PROGRAM)
        adopted = adopt_file(write_metadata(make_file(name), [], text)).request
        for field in ("seed", "steps", "sampler", "width", "height"):
            assert getattr(adopted.parameters, field) == getattr(request.parameters, field)
        assert adopted.parameters.cfg_scale == pytest.approx(request.parameters.cfg_scale)
        for sign in (1, -1):
            left = lose(request, sign)
            read = [one for one in adopted.stack.prompts if one.weight * sign > 0]
            assert [prompt.text for prompt in read] == [prompt for prompt, _ in left]
            assert [abs(prompt.weight) for prompt in read] == [
                pytest.approx(weight) for _, weight in left
            ]


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WebP, lossless"])
def test_other_programs_read_our_text(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    parsers = pytest.importorskip("sd_parsers")
    manager = parsers.ParserManager()
    images = []
    path = tmp_path_factory.mktemp("files") / "image"
    for record in list_records(FEW):
        request = record.request
        text = write_infotext(request, program=PROGRAM)
        path.write_bytes(write_metadata(make_file(name), [Part("record", record.to_json())], text))
        # It knows an image by its place in memory, so they are all kept.
        images.append(Pillow.open(path))
        found = manager.parse(images[-1])
        assert found is not None, text
        (sampler,) = found.samplers
        assert sampler.parameters["seed"] == str(request.parameters.seed)
        assert sampler.parameters["steps"] == str(request.parameters.steps)
        assert sampler.name == SAMPLER_NAMES.get(
            request.parameters.sampler, request.parameters.sampler
        )
        assert sampler.model.name == request.model
        assert [prompt.value for prompt in sampler.prompts] == [text.split("\n")[0].strip()]


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WebP, lossless"])
def test_another_reader_reads_our_text(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It pins an old Pillow, so it is not among what the tests need."""
    reader = pytest.importorskip("sd_prompt_reader.image_data_reader")
    path = tmp_path_factory.mktemp("files") / "image"
    for record in list_records(FEW):
        request = record.request
        text = write_infotext(request, program=PROGRAM)
        if name != "PNG" and not is_text_the_other_way_round(text):
            continue
        path.write_bytes(write_metadata(make_file(name), [Part("record", record.to_json())], text))
        found = reader.ImageDataReader(path)
        lines = text.split("\n")
        assert found.positive == lines[0].strip()
        if len(lines) == 3:
            assert found.negative == lines[1].removeprefix(NEGATIVE).strip()
        assert found.parameter["seed"] == str(request.parameters.seed)
        assert found.parameter["steps"] == str(request.parameters.steps)
        assert found.parameter["model"] == request.model


def is_text_the_other_way_round(text: str) -> bool:
    """Whether UTF-16 is some text too with its bytes swapped: else that reader gives up."""
    try:
        text.encode("utf-16-be").decode("utf-16-le")
    except UnicodeDecodeError:
        return False
    return True


def test_a_text_that_is_there_is_kept() -> None:
    written = write_metadata(make_file(), [], "theirs")
    again = write_metadata(written, [Part("record", b"{}")], "ours")
    assert find_text(read_metadata(again), "parameters") == "theirs"
