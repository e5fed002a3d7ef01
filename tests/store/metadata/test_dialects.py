"""What other programs wrote about an image, as far as it is understood."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from store.metadata.dialects import read_texts
from store.metadata.foreign import Grade, Reading, Unread
from store.metadata.intake import read_file
from tests.store.metadata import dialect_files
from tests.store.metadata.dialect_files import (
    A1111,
    EXAMPLES,
    SWARMUI,
    WORKFLOW,
    make_commented,
    make_graph,
    make_png,
)


def read(*pairs: tuple[str, str]) -> Reading:
    reading = read_texts(pairs)
    assert reading is not None
    return reading


def read_json(name: str, values: dict[str, Any]) -> Reading:
    return read((name, json.dumps(values)))


def list_unread(reading: Reading) -> dict[str, str]:
    return {item.name: item.value for item in reading.unread}


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_dialect_is_read_out_of_a_file(name: str) -> None:
    texts, _, dialect, grade = EXAMPLES[name]
    reading = read_file(make_png(texts)).reading
    assert reading is not None
    assert (reading.dialect, reading.grade) == (dialect, grade), reading
    assert reading.prompts[0].text.startswith("a cat")
    assert reading.text
    if grade != Grade.TEXT_ONLY:
        assert None not in (reading.seed, reading.steps, reading.cfg_scale, reading.sampler)
    avoided = [prompt.text for prompt in reading.prompts if prompt.weight < 0]
    assert all("cat" not in text for text in avoided)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("how", ["UNICODE big", "UNICODE little", "ASCII", "none"])
def test_a_user_comment_is_read_in_each_encoding(kind: str, how: Any) -> None:
    reading = read_file(make_commented(A1111, kind, how)).reading
    assert reading is not None
    assert (reading.dialect, reading.seed, reading.grade) == ("A1111", 1229080980, "mapped")
    swarm = read_file(make_commented(json.dumps(SWARMUI), kind, how)).reading
    assert swarm is not None
    assert (swarm.dialect, swarm.steps) == ("SwarmUI", 20)


def test_a_graph_in_the_exif_data_of_a_webp_file_is_read() -> None:
    text = f"prompt:{json.dumps(make_graph())}"
    reading = read_file(make_commented(text, "WEBP", "none")).reading
    assert reading is not None
    assert (reading.dialect, reading.seed) == ("ComfyUI", 77)


def test_what_fooocus_writes_beside_the_pixels_of_a_jpeg_is_read() -> None:
    exif = Pillow.Exif()
    exif[0x9286] = json.dumps(dialect_files.FOOOCUS)
    exif[0x927C] = "fooocus"
    exif[0x0131] = "Fooocus v2.5.0"
    image = Pillow.new("RGB", (64, 64))
    image.save(file := io.BytesIO(), "JPEG", exif=exif.tobytes())
    reading = read_file(file.getvalue()).reading
    assert reading is not None
    assert (reading.dialect, reading.grade) == ("Fooocus", "mapped")


def test_what_comfyui_writes_where_cameras_write_theirs_is_read() -> None:
    exif = Pillow.Exif()
    exif[0x0110] = f"prompt:{json.dumps(make_graph())}"
    exif[0x010F] = f"workflow:{json.dumps(WORKFLOW)}"
    image = Pillow.new("RGB", (64, 64))
    image.save(file := io.BytesIO(), "WEBP", exif=exif.tobytes())
    reading = read_file(file.getvalue()).reading
    assert reading is not None
    assert (reading.dialect, reading.seed) == ("ComfyUI", 77)
    assert read_texts([("Make", "Canon"), ("Model", "EOS 5D, f: 2, iso: 100, s: 1")]) is None


def test_of_several_dialects_in_a_file_the_fullest_is_taken() -> None:
    graph = make_graph(positive=["none", 0])
    reading = read(("prompt", json.dumps(graph)), ("parameters", A1111))
    assert (reading.dialect, reading.grade) == ("A1111", "mapped")


# ComfyUI


def test_the_sampler_nearest_to_the_empty_image_is_the_one_that_is_read() -> None:
    graph = make_graph()
    graph["10"] = {
        "class_type": "KSampler",
        "inputs": graph["3"]["inputs"] | {"seed": 1, "denoise": 0.5, "latent_image": ["3", 0]},
    }
    graph["8"]["inputs"]["samples"] = ["10", 0]
    reading = read_json("prompt", graph)
    assert (reading.seed, reading.grade) == (77, "partial")
    assert "node 10" in list_unread(reading)


def test_what_changes_a_graphs_model_and_texts_is_told() -> None:
    graph = make_graph(model=["20", 0], positive=["21", 0])
    graph["20"] = {
        "class_type": "LoraLoader",
        "inputs": {"lora_name": "x.safetensors", "strength_model": 0.7, "model": ["4", 0]},
    }
    graph["21"] = {
        "class_type": "ControlNetApplyAdvanced",
        "inputs": {"positive": ["6", 0], "negative": ["7", 0], "control_net": ["22", 0]},
    }
    graph["22"] = {"class_type": "ControlNetLoader", "inputs": {"control_net_name": "canny"}}
    reading = read_json("prompt", graph)
    assert [prompt.text for prompt in reading.prompts] == ["a cat", "ugly"]
    assert reading.model == "sd/v1-5.ckpt"
    unread = list_unread(reading)
    assert unread["lora"] == "x.safetensors:0.7"
    assert {"node 21", "node 22"} <= set(unread)
    assert reading.grade == "partial"


def test_values_behind_links_are_followed_and_rings_end() -> None:
    graph = make_graph(seed=["30", 0])
    graph["30"] = {"class_type": "PrimitiveInt", "inputs": {"value": 2**40}}
    graph["6"]["inputs"]["text"] = ["31", 0]
    graph["31"] = {"class_type": "StringConstant", "inputs": {"string": "a far cat"}}
    reading = read_json("prompt", graph)
    assert reading.prompts[0].text == "a far cat"
    assert (reading.seed, list_unread(reading)["seed"]) == (None, str(2**40))
    graph["31"]["inputs"]["string"] = ["31", 0]
    graph["30"]["inputs"]["value"] = ["30", 0]
    graph["4"]["inputs"] = {"model": ["4", 0]}
    graph["5"]["inputs"]["width"] = ["5", 0]
    assert read_json("prompt", graph).steps == 20


def test_links_of_a_drawn_graph_may_be_objects() -> None:
    links = [
        {"id": number, "origin_id": origin, "origin_slot": 0}
        for number, origin, *_ in WORKFLOW["links"]
    ]
    assert read_json("workflow", WORKFLOW | {"links": links}).seed == 99


# The others


def test_loras_and_negative_brackets_of_invokeai_are_understood() -> None:
    loras = [{"model": {"name": "ink"}, "weight": 0.7}]
    today = read_json("invokeai_metadata", dialect_files.INVOKEAI | {"loras": loras})
    assert today.unread == (Unread("lora", "ink:0.7"),)
    past = read_json("sd-metadata", dialect_files.INVOKEAI_2)
    assert [(prompt.text, prompt.weight) for prompt in past.prompts] == [("a cat", 1), ("ugly", -1)]
    command = read(("Dream", '"a cat" -s 50 -S 9 -W 512 -H 512 -C 7.5 -A k_lms -G 0.8'))
    assert command.prompts[0].text == "a cat"
    assert Unread("option", "-G") in command.unread


def test_nothing_of_fooocus_is_evaluated() -> None:
    evil = "__import__('os').system('false')"
    values = dialect_files.FOOOCUS | {"resolution": evil, "styles": evil, "adm_guidance": evil}
    reading = read_json("parameters", values)
    assert (reading.width, reading.height) == (None, None)
    assert list_unread(reading) == dict.fromkeys(("resolution", "styles", "adm_guidance"), evil)


def test_texts_of_a_packet_with_entities_are_not_read() -> None:
    packet = dialect_files.make_packet(dialect_files.DRAW_THINGS)
    assert read_texts([("XMP", packet)]) is not None
    assert read_texts([("XMP", '<!DOCTYPE x [<!ENTITY a "aaaa">]>' + packet)]) is None


def test_what_says_nothing_of_an_image_is_nothing() -> None:
    assert read_texts([]) is None
    assert read_texts([("Software", "GIMP 2.10"), ("Creation Time", "yesterday")]) is None
    assert read_texts([("prompt", '{"a": 1}'), ("parameters", "[1, 2]")]) is None


# Whatever it is

NAMES = st.sampled_from(
    (
        "parameters",
        "prompt",
        "workflow",
        "UserComment",
        "Comment",
        "Description",
        "Software",
        "invokeai_metadata",
        "sd-metadata",
        "Dream",
        "mold:parameters",
        "exif:UserComment",
        "XMP",
        "seed",
        "num_inference_steps",
    )
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(("KSampler", "NovelAI", "a, (b:1.2)", "512x512", "k_lms", "-1"))
)
_TABLES = [values for values in vars(dialect_files).values() if isinstance(values, dict)]
WORDS = st.sampled_from(
    sorted(
        {str(name) for table in _TABLES for name in table}
        | {"class_type", "inputs", "nodes", "links", "widgets_values", "positive", "text", "image"}
    )
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=25,
)
LINES = st.lists(
    st.sampled_from(
        ("Steps: 20", "Seed: 1", "Size: 5x5", "Negative prompt: x", "\n", ", ", ":", '"', "((a))")
    )
    | st.text(max_size=8),
    max_size=30,
).map("".join)


@given(st.lists(st.tuples(NAMES, TREES.map(json.dumps) | LINES), max_size=5))
def test_any_texts_end_in_a_reading_or_in_none(pairs: list[tuple[str, str]]) -> None:
    reading = read_texts(pairs)
    if reading is not None:
        assert reading.grade in (Grade.MAPPED, Grade.PARTIAL, Grade.TEXT_ONLY)
        reading.text.encode()
        assert all(item.value.encode() is not None for item in reading.unread)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "," * 500_000 + ":",
        "a:" * 400_000,
        "Steps: 1, Seed: 2, Size: 1x1, " + 'a: "\\' * 200_000,
        "Steps: 1, Seed: 2, Size: 1x1, " + "a: [" * 200_000,
        "(" * 500_000,
        "\n" * 900_000,
        "Negative prompt:\n" * 50_000,
        "<lora:" * 150_000,
        '{"a":' * 150_000,
        '{"prompt": "' + "\\\\" * 400_000,
        "[" * 1_000_000,
        '{"a": [' + "0," * 400_000 + "0]}",
        "a AND " * 150_000 + "\nSteps: 1, Seed: 2, Size: 1x1",
    ],
    ids=range(14),
)
def test_texts_that_are_made_to_be_slow_or_large_are_not(text: str) -> None:
    """A reader that goes over them more than once would take minutes: the time limit ends it."""
    for name in ("parameters", "prompt", "Dream", "XMP", "Comment"):
        read_texts([(name, text)])


JUDGED = (
    "A1111",
    "Forge",
    "SD.Next",
    "ComfyUI, both",
    "InvokeAI",
    "InvokeAI 2",
    "InvokeAI's command",
    "Fooocus",
    "Fooocus in A1111's words",
)


@pytest.mark.parametrize("name", JUDGED)
def test_a_reader_that_others_wrote_finds_the_same(name: str) -> None:
    parsers = pytest.importorskip("sd_parsers")
    graphs = (("prompt", json.dumps(make_graph())), ("workflow", json.dumps(WORKFLOW)))
    texts = graphs if name == "ComfyUI, both" else EXAMPLES[name][0]
    data = make_png(texts)
    judged = parsers.ParserManager().parse(io.BytesIO(data))
    ours = read_file(data).reading
    assert ours is not None
    (sampler,) = judged.samplers
    found = sampler.parameters
    cfg = found.get("cfg_scale", found.get("cfg"))
    assert ours.seed == int(found["seed"])
    assert ours.steps == int(found["steps"])
    assert ours.cfg_scale == float(cfg)
    said = "".join(prompt.value for prompt in judged.prompts)
    assert said.startswith("a cat")
    assert ours.prompts[0].text == "a cat"
