"""The parameters as fields, without a screen: what they show, accept, step to and fall back to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engines.capabilities import LEFT_TO_SERVER, Capabilities, Sizes, leave_to_server
from store.errors import RequestError
from store.limits import SEED_MAXIMUM
from store.records import Draft, Relation
from store.request import InitialImage, Mask, Variation
from tests.factories import CAPABILITIES, HOSTED
from tui.compose.draft import start_from
from tui.compose.fields import (
    ALL_FIELDS,
    FIELDS,
    PART_FIELDS,
    Context,
    find_field,
    fit_draft,
    get_field,
    list_fields,
    parse_weight,
)

FILE = "ab" * 32
SERVED = msgspec.structs.replace(
    CAPABILITIES,
    samplers=(LEFT_TO_SERVER,),
    default_sampler=LEFT_TO_SERVER,
    steps=leave_to_server(30),
)
FULL = Draft(
    seed=5,
    initial_image=InitialImage(sha256=FILE, start_schedule=0.6, end_schedule=0.2),
    mask=Mask(sha256="cd" * 32, replaces="black", area_init="original"),
    variation=Variation(seed=9, strength=0.2),
)
"""A draft that has every field."""


def look(draft: Draft = FULL, capabilities: Capabilities = CAPABILITIES) -> Context:
    """A draft in front of an engine."""
    return Context(draft=draft, capabilities=capabilities, engines=("builtin", "stability"))


def names(draft: Draft) -> list[str]:
    """The fields that `draft` has."""
    return [field.name for field in list_fields(draft)]


def show(field: str, context: Context) -> str:
    """What `field` shows."""
    return get_field(field).show(context)


def step(field: str, steps: int, draft: Draft) -> str:
    """What `field` of `draft` shows after `steps` steps."""
    changes = get_field(field).step(steps, look(draft))
    return show(field, look(msgspec.structs.replace(draft, **changes)))


def refuse(field: str, text: str, context: Context) -> str:
    """What is said of a wrong value."""
    with pytest.raises(RequestError) as caught:
        get_field(field).parse(text, context)
    return str(caught.value)


# All of them


def test_a_draft_has_the_fields_of_the_parts_that_it_has() -> None:
    always = ["seed", "steps", "cfg", "sampler", "size", "images", "style", "engine", "model"]
    assert [field.name for field in FIELDS] == always
    assert (*FIELDS, *PART_FIELDS) == ALL_FIELDS
    assert names(Draft()) == always
    image = Draft(initial_image=FULL.initial_image)
    assert names(image) == [*always, "from", "start", "end", "mask"]
    masked = msgspec.structs.replace(image, mask=FULL.mask)
    assert names(masked) == [*names(image), "replaces", "area"]
    assert names(Draft(variation=FULL.variation)) == [*always, "vary", "strength"]
    assert names(FULL) == [field.name for field in ALL_FIELDS]
    assert names(Draft(mask=FULL.mask)) == always


def test_what_kind_each_field_is() -> None:
    choices = {field.name for field in ALL_FIELDS if field.is_choice}
    assert choices == {"sampler", "style", "engine", "model", "replaces", "area"}
    assert {field.name for field in ALL_FIELDS if field.is_file} == {"from", "mask"}
    labels = {field.name: field.label for field in ALL_FIELDS if field.label != field.name}
    assert labels == {"vary": "vary seed"}
    parts = {field.name: field.part for field in ALL_FIELDS if field.part}
    assert parts == {"from": "initial image", "mask": "mask", "vary": "second seed"}


def test_an_unknown_field_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        get_field("steeps")


@pytest.mark.parametrize("capabilities", [CAPABILITIES, HOSTED, SERVED])
@pytest.mark.parametrize("field", [field.name for field in ALL_FIELDS if not field.is_file])
def test_what_a_field_shows_can_be_typed_and_changes_nothing(
    field: str, capabilities: Capabilities
) -> None:
    context = look(capabilities=capabilities)
    changes = get_field(field).parse(f" {show(field, context)} ", context)
    after = look(msgspec.structs.replace(FULL, **changes), capabilities)
    assert show(field, after) == show(field, context)


@pytest.mark.parametrize("field", [field.name for field in PART_FIELDS])
def test_a_field_of_a_part_that_is_missing_shows_and_changes_nothing(field: str) -> None:
    context = look(Draft())
    assert show(field, context) == ("none" if field == "mask" else "")
    assert get_field(field).range(context)
    assert get_field(field).step(1, context) == {}
    assert not get_field(field).is_removable(Draft())


# Values in effect, and ranges


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("seed", ""),
        ("steps", "50"),
        ("cfg", "8.0"),
        ("sampler", "k_dpmpp_2m"),
        ("size", "128x128"),
        ("images", "1"),
        ("style", "none"),
        ("engine", "builtin"),
        ("model", "r1"),
    ],
)
def test_where_the_draft_says_nothing_the_engine_s_default_is_shown(field: str, shown: str) -> None:
    assert show(field, look(Draft())) == shown


@pytest.mark.parametrize(
    ("field", "changes", "shown"),
    [
        ("seed", {"seed": 4}, "4"),
        ("steps", {"steps": 20}, "20"),
        ("cfg", {"cfg_scale": 0.0}, "0.0"),
        ("cfg", {"cfg_scale": 7.25}, "7.25"),
        ("sampler", {"sampler": "ddim"}, "ddim"),
        ("size", {"width": 192}, "192x128"),
        ("style", {"style_preset": "anime"}, "anime"),
        ("model", {"model": "r0"}, "r0"),
    ],
)
def test_the_draft_s_own_value_is_shown(field: str, changes: dict[str, Any], shown: str) -> None:
    assert show(field, look(Draft(**changes))) == shown


def test_the_parts_show_their_numbers_with_two_places_or_more() -> None:
    values = {field.name: field.show(look()) for field in PART_FIELDS}
    assert values == {
        "from": "abababab",
        "start": "0.60",
        "end": "0.20",
        "mask": "cdcdcdcd",
        "replaces": "black",
        "area": "original",
        "vary": "9",
        "strength": "0.20",
    }
    fine = Draft(variation=Variation(seed=1, strength=0.123))
    assert show("strength", look(fine)) == "0.123"


def test_an_image_file_is_called_by_its_name() -> None:
    assert show("from", look(start_from(Draft(), FILE, "harbour.png"))) == "harbour.png"


@pytest.mark.parametrize(
    ("field", "capabilities", "words"),
    [
        ("seed", CAPABILITIES, "l lock   n new   p previous"),
        ("steps", CAPABILITIES, "10 to 150"),
        ("steps", SERVED, "the server decides"),
        ("cfg", CAPABILITIES, "0 to 35"),
        ("sampler", CAPABILITIES, "3 to choose from"),
        ("sampler", SERVED, "the server decides"),
        ("size", CAPABILITIES, "sides 128 to 256 by 64"),
        ("size", HOSTED, "the only one"),
        ("images", CAPABILITIES, "1 to 10"),
        ("style", CAPABILITIES, "3 to choose from"),
        ("style", HOSTED, "the only one"),
        ("engine", CAPABILITIES, "2 to choose from"),
        ("model", HOSTED, "the only one"),
        ("from", CAPABILITIES, "d takes it out"),
        ("start", CAPABILITIES, "0 keeps, 1 ignores"),
        ("end", CAPABILITIES, "0 to 0.60"),
        ("mask", CAPABILITIES, "enter changes it"),
        ("replaces", CAPABILITIES, "white stays"),
        ("area", CAPABILITIES, "the image first"),
        ("vary", CAPABILITIES, "a second seed   d takes out"),
        ("strength", CAPABILITIES, "0 nothing of it, 1 it alone"),
    ],
)
def test_what_a_field_accepts_in_words(field: str, capabilities: Capabilities, words: str) -> None:
    assert get_field(field).range(look(capabilities=capabilities)) == words


def test_words_that_follow_the_draft() -> None:
    locked = look(msgspec.structs.replace(FULL, seed_locked=True))
    assert get_field("seed").range(locked) == "locked   n new   p previous"
    known = msgspec.structs.replace(look(), sizes={FILE: (192, 128)})
    assert get_field("from").range(known) == "192x128  d takes out"
    assert get_field("mask").range(look(Draft())) == "enter makes one"


def test_two_sizes_are_a_choice() -> None:
    sizes = Sizes(default=(64, 64), suggested=(), only=((64, 64), (128, 64)))
    context = look(capabilities=msgspec.structs.replace(HOSTED, sizes=sizes))
    assert get_field("size").range(context) == "2 to choose from"
    assert get_field("size").choices(context) == ("64x64", "128x64")


# What is typed


@pytest.mark.parametrize(
    ("field", "text", "changes"),
    [
        ("seed", str(SEED_MAXIMUM), {"seed": SEED_MAXIMUM}),
        ("seed", " 1 ", {"seed": 1}),
        ("steps", "10", {"steps": 10}),
        ("steps", "150", {"steps": 150}),
        ("cfg", "0", {"cfg_scale": 0.0}),
        ("cfg", "35", {"cfg_scale": 35.0}),
        ("cfg", "7,25", {"cfg_scale": 7.25}),
        ("sampler", "ddim", {"sampler": "ddim"}),
        ("size", "192x128", {"width": 192, "height": 128}),
        ("size", "256 × 192", {"width": 256, "height": 192}),
        ("images", "10", {"images": 10}),
        ("style", "anime", {"style_preset": "anime"}),
        ("style", "none", {"style_preset": None}),
        ("engine", "stability", {"engine": "stability", "model": None}),
        ("model", "r0", {"model": "r0"}),
    ],
)
def test_what_is_typed_changes_the_draft(field: str, text: str, changes: dict[str, Any]) -> None:
    assert get_field(field).parse(text, look()) == changes


def test_what_is_typed_changes_the_parts() -> None:
    def read(field: str, text: str) -> Draft:
        return msgspec.structs.replace(FULL, **get_field(field).parse(text, look()))

    assert read("start", "1").initial_image == InitialImage(
        sha256=FILE, start_schedule=1, end_schedule=0.2
    )
    assert read("end", "0,6").initial_image == InitialImage(
        sha256=FILE, start_schedule=0.6, end_schedule=0.6
    )
    white = read("replaces", "white").mask
    assert white is not None
    assert (white.replaces, white.area_init) == ("white", "original")
    noise = read("area", "random").mask
    assert noise is not None
    assert (noise.replaces, noise.area_init) == ("black", "random")
    assert read("vary", "12").variation == Variation(seed=12, strength=0.2)
    assert read("strength", "0.35").variation == Variation(seed=9, strength=0.35)


def test_the_end_comes_down_with_the_start() -> None:
    changes = get_field("start").parse("0.1", look())
    assert changes["initial_image"] == InitialImage(
        sha256=FILE, start_schedule=0.1, end_schedule=0.1
    )


@pytest.mark.parametrize(
    ("field", "text", "explained"),
    [
        ("seed", "0", "out of range"),
        ("seed", "4294967295", "out of range"),
        ("seed", "", "'' is not a whole number."),
        ("seed", "٣", "is not a whole number."),
        ("steps", "9", "9 is out of range. Give 10 to 150."),
        ("steps", "151", "Give 10 to 150."),
        ("steps", "1x", "'1x' is not a whole number."),
        ("cfg", "35.5", "35.5 is out of range. Give 0 to 35."),
        ("cfg", "nan", "'nan' is not a number."),
        ("cfg", "high", "'high' is not a number."),
        ("sampler", "eular", "Known: k_dpmpp_2m, k_euler, ddim."),
        ("size", "3", "Write it like 192x128."),
        ("size", "200x128", "200 does not fit. Sides are 128 to 256 in steps of 64."),
        ("size", "320x128", "320 does not fit."),
        ("images", "0", "Give 1 to 10."),
        ("images", "11", "Give 1 to 10."),
        ("style", "noir", "Unknown style 'noir'. Known: none, anime, photographic."),
        ("engine", "other", "Known: builtin, stability."),
        ("model", "r2", "Unknown model 'r2'. Known: r1, r0."),
        ("from", "harbour.png", "Unknown from 'harbour.png'."),
        ("start", "1.01", "Give 0 to 1."),
        ("end", "0.61", "0.61 is out of range. Give 0 to 0.6."),
        ("mask", "sky.png", "Unknown mask 'sky.png'."),
        ("replaces", "grey", "Unknown replaces 'grey'."),
        ("area", "one", "Unknown area 'one'."),
        ("vary", "0", "out of range"),
        ("vary", "1.5", "'1.5' is not a whole number."),
        ("strength", "-0.1", "-0.1 is out of range. Give 0 to 1."),
    ],
)
def test_what_is_wrong_with_a_value_is_said(field: str, text: str, explained: str) -> None:
    assert explained in refuse(field, text, look())


def test_a_size_that_the_engine_does_not_make() -> None:
    assert "It makes 1024x1024." in refuse("size", "512x512", look(capabilities=HOSTED))
    sizes = msgspec.structs.replace(CAPABILITIES.sizes, pixels_low=128 * 192, pixels_high=192 * 256)
    context = look(capabilities=msgspec.structs.replace(CAPABILITIES, sizes=sizes))
    few, many = refuse("size", "128x128", context), refuse("size", "256x256", context)
    assert "16,384 pixels do not fit. Give 24,576 to 49,152." in few
    assert "65,536 pixels do not fit." in many
    assert get_field("size").parse("256x192", context) == {"width": 256, "height": 192}


@pytest.mark.parametrize(
    ("text", "weight"),
    [("1", 1.0), (" -0,5 ", -0.5), ("\u22122", -2.0), ("10", 10.0), ("-10", -10.0), ("-0", 0.0)],
)
def test_a_weight_as_it_is_typed(text: str, weight: float) -> None:
    assert repr(parse_weight(text)) == repr(weight)


@pytest.mark.parametrize(
    ("text", "explained"),
    [("", "Give a number from -10 to 10, like -1 or 0.5."), ("inf", "not a number"), ("11", "11")],
)
def test_what_is_wrong_with_a_weight_is_said(text: str, explained: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_weight(text)
    assert explained in str(caught.value)
    assert caught.value.field == "weight"


# Steps


@pytest.mark.parametrize(
    ("field", "steps", "changes", "shown"),
    [
        ("seed", 1, {"seed": SEED_MAXIMUM}, "1"),
        ("seed", -1, {"seed": 1}, str(SEED_MAXIMUM)),
        ("seed", -1, {"seed": None}, "1"),
        ("steps", 1, {}, "51"),
        ("steps", 9, {"steps": 149}, "150"),
        ("steps", -9, {"steps": 11}, "10"),
        ("cfg", 1, {}, "8.5"),
        ("cfg", 1, {"cfg_scale": 34.9}, "35.0"),
        ("cfg", -1, {"cfg_scale": 0.1}, "0.0"),
        ("images", 1, {"images": 10}, "10"),
        ("images", -1, {"images": 1}, "1"),
        ("sampler", -1, {}, "ddim"),
        ("sampler", 1, {"sampler": "ddim"}, "k_dpmpp_2m"),
        ("sampler", 1, {"sampler": "unknown"}, "k_dpmpp_2m"),
        ("sampler", -1, {"sampler": "unknown"}, "ddim"),
        ("size", 1, {}, "192x128"),
        ("size", 1, {"width": 256}, "128x128"),
        ("style", 1, {}, "anime"),
        ("style", 1, {"style_preset": "photographic"}, "none"),
        ("engine", 1, {"model": "r0"}, "stability"),
        ("model", 1, {}, "r0"),
        ("start", 99, {}, "1.00"),
        ("start", -1, {}, "0.55"),
        ("end", 99, {}, "0.60"),
        ("end", -99, {}, "0.00"),
        ("replaces", 1, {}, "white"),
        ("area", -1, {}, "zero"),
        ("area", 3, {}, "original"),
        ("vary", 1, {}, "10"),
        ("strength", 1, {}, "0.25"),
        ("strength", -99, {}, "0.00"),
    ],
)
def test_numbers_stop_at_their_ends_and_choices_go_round(
    field: str, steps: int, changes: dict[str, Any], shown: str
) -> None:
    assert step(field, steps, msgspec.structs.replace(FULL, **changes)) == shown


@pytest.mark.parametrize("field", ["from", "mask"])
def test_a_file_has_no_steps(field: str) -> None:
    assert get_field(field).step(1, look()) == {}


def test_whole_numbers_stay_whole() -> None:
    for field in ("steps", "images"):
        changes = get_field(field).step(1, look())
        assert [type(value) for value in changes.values()] == [int]


def test_another_engine_takes_its_own_model() -> None:
    assert get_field("engine").step(1, look()) == {"engine": "stability", "model": None}


# Defaults


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("steps", {"steps": None}),
        ("cfg", {"cfg_scale": None}),
        ("sampler", {"sampler": None}),
        ("size", {"width": None, "height": None}),
        ("style", {"style_preset": None}),
        ("model", {"model": None}),
    ],
)
def test_resetting_leaves_the_value_to_the_engine(field: str, changes: dict[str, Any]) -> None:
    own = Draft(
        steps=20, cfg_scale=7.0, sampler="ddim", height=128, style_preset="anime", model="r0"
    )
    assert not get_field(field).is_default(own)
    assert get_field(field).reset(own) == changes
    assert get_field(field).is_default(msgspec.structs.replace(own, **changes))


@pytest.mark.parametrize("field", ["seed", "engine"])
def test_seed_and_engine_have_no_default(field: str) -> None:
    assert get_field(field).reset(FULL) == {}
    assert not get_field(field).is_default(FULL)


def test_the_number_of_images_goes_back_to_one_and_is_no_engine_s_default() -> None:
    assert get_field("images").reset(Draft(images=4)) == {"images": 1}
    assert not get_field("images").is_default(Draft())


def test_resetting_a_part_leaves_it_out() -> None:
    taken = {name for name in names(FULL) if get_field(name).is_removable(FULL)}
    assert taken == {"from", "mask", "vary"}
    assert get_field("mask").reset(FULL) == {"mask": None}
    assert get_field("vary").reset(FULL) == {"variation": None}
    bare = msgspec.structs.replace(FULL, mask=None)
    assert get_field("mask").is_there(bare)
    assert not get_field("mask").is_removable(bare)


def test_what_belongs_to_an_initial_image_goes_with_it() -> None:
    past = msgspec.structs.replace(FULL, parent_id="1f" * 16, relation=Relation.INITIAL_IMAGE)
    after = msgspec.structs.replace(past, **get_field("from").reset(past))
    assert names(after) == [*names(Draft()), "vary", "strength"]
    assert (after.mask, after.parent_id, after.relation) == (None, None, None)


def test_numbers_and_choices_of_a_part_go_back_to_what_a_new_part_has() -> None:
    draft = Draft(
        initial_image=InitialImage(sha256=FILE, start_schedule=0.9, end_schedule=0.8),
        mask=Mask(sha256=FILE, replaces="white", area_init="zero"),
        variation=Variation(seed=9, strength=0.7),
    )
    fields = [field for field in PART_FIELDS if not field.part]
    assert not any(field.is_default(draft) or field.is_removable(draft) for field in fields)
    for field in fields:
        draft = msgspec.structs.replace(draft, **field.reset(draft))
    assert {field.name: field.show(look(draft)) for field in fields} == {
        "start": "0.60",
        "end": "0.00",
        "replaces": "black",
        "area": "original",
        "strength": "0.20",
    }


# Errors of a request


@pytest.mark.parametrize(
    ("error_name", "field"),
    [
        ("parameters.seed", "seed"),
        ("parameters.steps", "steps"),
        ("parameters.cfg_scale", "cfg"),
        ("parameters.sampler", "sampler"),
        ("parameters.width", "size"),
        ("parameters.height", "size"),
        ("parameters.size", "size"),
        ("images", "images"),
        ("parameters.style_preset", "style"),
        ("engine", "engine"),
        ("model", "model"),
        ("parameters.initial_image", "from"),
        ("parameters.start_schedule", "start"),
        ("parameters.end_schedule", "end"),
        ("parameters.mask", "mask"),
        ("parameters.variation", "vary"),
        ("parameters.variation.seed", "vary"),
        ("parameters.variation.strength", "strength"),
    ],
)
def test_an_error_is_about_a_field(error_name: str, field: str) -> None:
    assert find_field(error_name) is get_field(field)


@pytest.mark.parametrize(
    "error_name", ["", "prompts.2.weight", "parameters.guidance.strength", "strength", "cfg"]
)
def test_an_error_may_be_about_none(error_name: str) -> None:
    assert find_field(error_name) is None


# Another engine


def test_what_the_engine_accepts_stays() -> None:
    draft = msgspec.structs.replace(FULL, steps=20, sampler="ddim", model="r0", width=192)
    assert fit_draft(look(draft)) == (draft, [])


def test_what_the_engine_does_not_accept_is_set_to_its_default_and_told() -> None:
    draft = msgspec.structs.replace(
        FULL,
        engine="stability",
        model="r0",
        steps=120,
        cfg_scale=7.0,
        sampler="k_euler",
        width=192,
        height=128,
        style_preset="anime",
        images=3,
    )
    fitted, notes = fit_draft(look(draft, HOSTED))
    assert notes == [
        "model r0 is now stable-diffusion-xl-1024-v1-0",
        "steps 120 is now 30",
        "sampler k_euler is now k_lms",
        "size 192x128 is now 1024x1024",
        "style anime is now none",
        "initial image is left out",
        "mask is left out",
        "variation is left out",
    ]
    assert fitted == Draft(engine="stability", seed=5, cfg_scale=7.0, images=3)
