"""The draft's editor: undo keeps the seeds, nothing is written too early, restoring takes all."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from store.limits import SEED_MAXIMUM
from store.records import EXTRAS, Draft, DraftPrompt, Relation
from store.request import (
    Adapter,
    FineTune,
    Guidance,
    InitialImage,
    Mask,
    Parameters,
    Prompt,
    Upscale,
    Variation,
)
from tests.factories import make_image, make_request
from tui.compose import draft as drafts
from tui.compose.draft import DraftEditor, Parts

FILE, OTHER_FILE = "ab" * 32, "cd" * 32
EVERYTHING: dict[str, Any] = {
    "initial_image": InitialImage(sha256=FILE, start_schedule=0.4, end_schedule=0.1),
    "mask": Mask(sha256=OTHER_FILE, replaces="white", area_init="zero"),
    "variation": Variation(seed=11, strength=0.3),
    "guidance": Guidance(
        preset="fast_blue", strength=0.0, cuts=3, models=("a", "b"), prompt="blue"
    ),
    "weight_method": "cross_attention",
    "adapter": Adapter(kind="canny", strength=0.0, init="adapter_image"),
    "fine_tunes": (FineTune(model="x", weight=0.0), FineTune(model="y")),
    "content_credentials": "sign_with_engine_id",
}
"""All that a request may hold beside what each one has, none of it the default."""


class Owner:
    """What holds the draft, and the darkroom that it is saved in."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.saved: list[tuple[str, Draft]] = []

    def save_draft(self, name: str, draft: Draft) -> None:
        self.saved.append((name, draft))


def make_editor(draft: Draft, session: str | None = "main") -> tuple[DraftEditor, Owner]:
    owner = Owner(draft)
    editor = DraftEditor(owner, owner)  # type: ignore[arg-type]
    editor.session = session
    return editor, owner


def replace(draft: Draft, **changes: object) -> Draft:
    return msgspec.structs.replace(draft, **changes)


DRAFT = Draft(
    prompts=(DraftPrompt(text="a field"),),
    seed=5,
    seed_locked=True,
    previous_seeds=(3, 4),
    steps=11,
    pending={"steps": "1"},
    place={"row": 0},
)


# Restoring from an image


def test_everything_that_decides_an_image_comes_back_with_it() -> None:
    assert set(EVERYTHING) == set(EXTRAS)
    image = make_image(request=make_request(**EVERYTHING))
    merged = drafts.merge_draft(Draft(), image, "all")
    for name, value in EVERYTHING.items():
        assert getattr(merged, name) == value, name
    # Only what the draft says, and not what an engine would take of it, is compared.
    known = msgspec.to_builtins(image.request.parameters)
    for name in Parameters.__struct_fields__:
        if name != "upscale":
            assert msgspec.to_builtins(getattr(merged, name)) == known[name], name


@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_each_part_comes_with_the_parameters_and_with_nothing_else(name: str) -> None:
    wanted = {name: EVERYTHING[name]}
    if name in ("mask", "adapter"):
        wanted["initial_image"] = EVERYTHING["initial_image"]
    request = make_request(**wanted)
    for part in Parts:
        merged = drafts.merge_request(DRAFT, request, part)
        assert (getattr(merged, name) == EVERYTHING[name]) is part.has_parameters, part


def test_what_the_image_had_not_leaves_the_draft() -> None:
    merged = drafts.merge_request(replace(DRAFT, **EVERYTHING), make_request(), "all")
    for name in EXTRAS:
        assert getattr(merged, name) == getattr(Draft(), name), name


def test_of_an_image_that_was_made_larger_model_and_size_stay_out() -> None:
    upscale = Upscale(sha256=FILE, upscaler="esrgan")
    request = make_request(model="larger-x2", width=999, height=1001, upscale=upscale)
    merged = drafts.merge_request(replace(DRAFT, width=256, height=512, model="r1"), request, "all")
    assert (merged.model, merged.width, merged.height) == (None, None, None)
    assert merged.steps == request.parameters.steps


def test_the_parent_is_the_image_whose_prompts_were_taken() -> None:
    image = make_image()
    draft = replace(DRAFT, parent_id="old", relation=Relation.VARIATION)
    for part in Parts:
        merged = drafts.merge_draft(draft, image, part)
        expected = (image.id, None) if part.has_prompts else ("old", Relation.VARIATION)
        assert (merged.parent_id, merged.relation) == expected, part


# Undo and redo


def test_undo_takes_back_the_work_and_neither_seeds_nor_place() -> None:
    editor, owner = make_editor(DRAFT)
    editor.change(drafts.insert_prompt(editor.draft, 1, DraftPrompt(text="fog")), "insert prompt")
    later = replace(
        editor.draft,
        seed=77,
        seed_locked=False,
        previous_seeds=(3, 4, 5),
        place={"row": 1},
        pending={"cfg_scale": "2"},
    )
    editor.change(later)
    assert editor.undo() == "insert prompt"
    assert owner.draft == replace(later, prompts=DRAFT.prompts, pending={})
    assert editor.redo() == "insert prompt"
    assert owner.draft == replace(later, pending={})
    assert owner.saved[-1] == ("main", owner.draft)


def test_what_is_not_work_cannot_be_taken_back() -> None:
    editor, _ = make_editor(DRAFT)
    assert (editor.has_undo, editor.has_redo, editor.undo(), editor.redo()) == (
        *(False, False),
        *(None, None),
    )
    editor.set_place(row=0, line=3)
    editor.set_pending("steps", "12")
    editor.change(replace(editor.draft, seed=9))
    assert not editor.has_undo
    # A remembered draft of the same work is passed over.
    editor.change(replace(editor.draft, steps=12), "change steps")
    editor.change(replace(editor.draft, seed=10), "new seed")
    assert editor.undo() == "change steps"
    assert editor.draft.steps == 11
    assert editor.draft.seed == 10


def test_a_change_ends_the_redo() -> None:
    editor, _ = make_editor(DRAFT)
    editor.change(replace(DRAFT, steps=12), "change steps")
    editor.undo()
    assert editor.has_redo
    editor.change(replace(editor.draft, cfg_scale=3.0), "change cfg")
    assert not editor.has_redo
    assert editor.redo() is None


def test_changes_of_one_kind_in_a_row_are_taken_back_at_once() -> None:
    editor, _ = make_editor(DRAFT)
    for weight in (0.9, 0.8, 0.7):
        editor.change_on(drafts.change_prompt(editor.draft, 0, weight=weight), "weight")
    editor.change_on(replace(editor.draft, steps=12), "steps")
    assert editor.undo() == "steps"
    assert editor.draft.prompts[0].weight == 0.7
    assert editor.undo() == "weight"
    assert editor.draft.prompts[0].weight == 1.0
    assert editor.undo() is None


def test_the_oldest_changes_are_forgotten_first() -> None:
    editor, _ = make_editor(replace(DRAFT, steps=1))
    for steps in range(2, drafts.UNDO_KEPT + 12):
        editor.change(replace(editor.draft, steps=steps), f"steps {steps}")
    count = 0
    while editor.undo() is not None:
        count += 1
    assert count == drafts.UNDO_KEPT
    assert editor.draft.steps == 11


# Writing through


def test_nothing_is_written_before_the_session_is_known() -> None:
    editor, owner = make_editor(Draft(), session=None)
    editor.note_text(0, "fast fingers", 0, 12)
    assert owner.draft.prompts[0].text == "fast fingers"
    assert owner.saved == []
    editor.session = "evening"
    editor.note_text(0, "fast fingers", 0, 12)
    assert owner.saved == [], "nothing is other than before"
    editor.note_text(0, "fast fingers!", 0, 13)
    assert owner.saved == [("evening", owner.draft)]
    assert owner.draft.place == {"line": 0, "column": 13}


def test_a_half_typed_value_is_kept_until_its_field_is_closed() -> None:
    editor, owner = make_editor(DRAFT)
    editor.set_pending("cfg_scale", "7.")
    assert owner.draft.pending == {"steps": "1", "cfg_scale": "7."}
    editor.set_pending("steps", None)
    assert owner.draft.pending == {"cfg_scale": "7."}
    editor.set_pending("steps", None)
    assert [draft.pending for _, draft in owner.saved] == [
        {"steps": "1", "cfg_scale": "7."},
        {"cfg_scale": "7."},
    ]
    editor.set_place(row=0, is_open=True)
    assert owner.draft.place == {"row": 0, "is_open": True}


# Seeds


def test_a_seed_that_was_shown_goes_to_the_previous_ones_once() -> None:
    draft = drafts.set_seed(DRAFT, 9)
    assert (draft.seed, draft.previous_seeds) == (9, (3, 4, 5))
    assert drafts.set_seed(draft, 9) == draft
    first = drafts.set_seed(Draft(), 9)
    assert (first.seed, first.previous_seeds) == (9, ())
    for seed in range(1000, 1000 + drafts.PREVIOUS_SEEDS_KEPT + 5):
        draft = drafts.set_seed(draft, seed)
    assert len(draft.previous_seeds) == drafts.PREVIOUS_SEEDS_KEPT
    assert draft.previous_seeds[-1] == seed - 1


def test_a_seed_is_drawn_only_where_none_is_shown() -> None:
    assert drafts.show_seed(DRAFT) is DRAFT
    shown = drafts.show_seed(Draft())
    assert shown.seed is not None
    assert 1 <= shown.seed <= SEED_MAXIMUM
    renewed = drafts.renew_seed(DRAFT)
    assert renewed.seed != 5
    assert renewed.previous_seeds == (3, 4, 5)


def test_going_back_without_seeds_changes_nothing() -> None:
    draft = replace(DRAFT, previous_seeds=())
    assert drafts.recall_seed(draft) is draft
    first = drafts.recall_seed(replace(DRAFT, seed=None))
    assert (first.seed, first.previous_seeds) == (4, (3,))


# What is typed ahead


def test_only_prompts_with_text_are_typed_ahead() -> None:
    typed = Draft(
        prompts=(DraftPrompt(text="one"), DraftPrompt(), DraftPrompt(text="two", weight=-1.0)),
        place={"line": 0, "column": 3, "row": 0},
    )
    merged = drafts.merge_typed_ahead(DRAFT, typed)
    assert [prompt.text for prompt in merged.prompts] == ["a field", "one", "two"]
    assert merged.prompts[2].weight == -1.0
    assert merged.place == {"line": 0, "column": 3, "row": 2}
    assert (merged.seed, merged.steps) == (5, 11)
    # A prompt that only has no text yet is not untouched.
    touched = replace(DRAFT, prompts=(DraftPrompt(weight=0.5),))
    assert len(drafts.merge_typed_ahead(touched, typed).prompts) == 3


# Initial image and mask


def test_another_initial_image_keeps_how_it_is_used_and_drops_its_mask() -> None:
    image = make_image()
    first = drafts.start_from(Draft(), FILE, "barn.png")
    assert first.initial_image == InitialImage(sha256=FILE, start_schedule=0.6, end_schedule=0.0)
    assert first.relation is None
    assert drafts.name_input(first, FILE) == "barn.png"
    used = replace(first, **EVERYTHING)
    second = drafts.start_from(used, OTHER_FILE, "x" * 200, image)
    assert second.initial_image == InitialImage(
        sha256=OTHER_FILE, start_schedule=0.4, end_schedule=0.1
    )
    assert (second.mask, second.adapter) == (None, None)
    assert second.variation == EVERYTHING["variation"]
    assert (second.parent_id, second.relation) == (image.id, Relation.INITIAL_IMAGE)
    assert drafts.name_input(second, OTHER_FILE) == "x" * 80
    gone = drafts.remove_initial_image(second)
    assert (gone.initial_image, gone.parent_id, gone.relation) == (None, None, None)
    assert drafts.name_input(gone, "ef" * 32) == "efefefef"


def test_removing_the_initial_image_keeps_a_parent_of_another_kind() -> None:
    draft = replace(DRAFT, **EVERYTHING, parent_id="old", relation=Relation.VARIATION)
    gone = drafts.remove_initial_image(draft)
    assert (gone.parent_id, gone.relation) == ("old", Relation.VARIATION)


def test_a_mask_keeps_what_lies_below_the_one_before() -> None:
    first = drafts.set_mask(DRAFT, FILE, "mask.png")
    assert first.mask == Mask(sha256=FILE, replaces="black", area_init="original")
    assert drafts.name_input(first, FILE) == "mask.png"
    second = drafts.set_mask(replace(first, mask=EVERYTHING["mask"]), FILE, "mask.png")
    assert second.mask == Mask(sha256=FILE, replaces="black", area_init="zero")


def test_a_second_seed_keeps_its_strength() -> None:
    first = drafts.set_variation(DRAFT)
    assert first.variation is not None
    assert first.variation.strength == 0.2
    second = drafts.set_variation(replace(first, variation=EVERYTHING["variation"]))
    assert second.variation is not None
    assert second.variation.strength == 0.3
    assert second.variation.seed != 11


# Prompts and places


def test_a_prompt_that_is_read_as_several_stays_switched_off() -> None:
    draft = replace(
        DRAFT,
        prompts=(DraftPrompt(text="a"), DraftPrompt(text="b", enabled=False), DraftPrompt()),
    )
    rows = (Prompt(text="b1", weight=0.5), Prompt(text="b2"))
    made = drafts.replace_prompt(draft, 1, rows).prompts
    assert made == (
        DraftPrompt(text="a"),
        DraftPrompt(text="b1", weight=0.5, enabled=False),
        DraftPrompt(text="b2", enabled=False),
        DraftPrompt(),
    )


def test_a_prompt_is_put_in_and_taken_out_where_it_stands() -> None:
    draft = replace(DRAFT, prompts=tuple(DraftPrompt(text=text) for text in "abc"))
    assert [p.text for p in drafts.insert_prompt(draft, 1).prompts] == ["a", "", "b", "c"]
    assert [p.text for p in drafts.remove_prompt(draft, 1).prompts] == ["a", "c"]


@pytest.mark.parametrize(("row", "found"), [(0, 0), (1, 1), (2, 1), (-3, 0), ("1", 0), (None, 0)])
def test_the_row_is_one_that_there_is(row: int | str | None, found: int) -> None:
    draft = replace(DRAFT, prompts=(DraftPrompt(), DraftPrompt()), place={"row": row})
    assert drafts.read_row(draft) == found


def test_places_of_another_kind_are_none() -> None:
    place = {"part": "prompts", "line": 2, "column": 5, "input 0": "name"}
    draft = replace(DRAFT, place=place)
    assert drafts.read_cursor(draft) == (2, 5)
    assert drafts.read_cursor(replace(DRAFT, place={"line": 2})) is None
    assert drafts.read_cursor(replace(DRAFT, place={"line": "2", "column": 5})) is None
    assert drafts.read_place(draft, "part") == "prompts"
    assert drafts.read_place(draft, "line", "none") == "none"
    settings = drafts.take_settings(draft)
    assert (settings.prompts, settings.pending) == ((), {})
    assert settings.place == {"input 0": "name"}


def test_two_drafts_are_the_same_work_whatever_their_seeds_and_places() -> None:
    other = replace(DRAFT, seed=9, seed_locked=False, previous_seeds=(), place={}, pending={})
    assert drafts.has_same_content(DRAFT, other)
    for change in ({"steps": 12}, {"prompts": ()}, {"images": 2}, {"parent_id": "x"}):
        assert not drafts.has_same_content(DRAFT, replace(other, **change))
