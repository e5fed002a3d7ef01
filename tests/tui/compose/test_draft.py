"""Changing a draft: nothing that was not meant changes, nothing is lost."""

from __future__ import annotations

import msgspec
import pytest

from engines.resolve import resolve_draft
from store.records import Draft, DraftPrompt
from store.request import Prompt
from tests.factories import CAPABILITIES, make_image, make_request
from tui.compose import draft as drafts

CURRENT = Draft(
    prompts=(DraftPrompt(text="a field", weight=0.5),),
    engine="stability",
    model="m",
    seed=5,
    seed_locked=True,
    previous_seeds=(3, 4),
    steps=11,
    cfg_scale=1.0,
    sampler="ddim",
    width=256,
    height=256,
    style_preset="anime",
    images=3,
    pending={"parameters.steps": "1"},
    place={"part": "prompts", "row": 0},
)
IMAGE = make_image(
    request=make_request(
        Prompt(text="a harbour"), Prompt(text="fog", weight=-1.0, enabled=False), seed=99
    )
)
PROMPT_FIELDS = {"prompts", "parent_id"}
PARAMETER_FIELDS = {
    "engine",
    "model",
    "steps",
    "cfg_scale",
    "sampler",
    "width",
    "height",
    "style_preset",
}
SEED_FIELDS = {"seed", "previous_seeds"}


@pytest.mark.parametrize(
    ("parts", "fields"),
    [
        ("all", PROMPT_FIELDS | PARAMETER_FIELDS | SEED_FIELDS),
        ("all but seed", PROMPT_FIELDS | PARAMETER_FIELDS),
        ("prompts", PROMPT_FIELDS),
        ("parameters", PARAMETER_FIELDS),
        ("seed", SEED_FIELDS),
    ],
)
def test_merging_changes_exactly_the_chosen_parts(parts: str, fields: set[str]) -> None:
    merged = drafts.merge_draft(CURRENT, IMAGE, parts)
    changed = {
        name
        for name in Draft.__struct_fields__
        if getattr(merged, name) != getattr(CURRENT, name) and name != "pending"
    }
    assert changed == fields
    assert merged.pending == {}


def test_a_merged_draft_stands_for_the_image_again() -> None:
    merged = drafts.merge_draft(CURRENT, IMAGE, "all")
    request = IMAGE.request
    assert msgspec.to_builtins(merged.prompts) == msgspec.to_builtins(request.stack.prompts)
    assert (merged.engine, merged.model) == (request.engine, request.model)
    resolved = resolve_draft(merged, CAPABILITIES)[0]
    assert resolved.parameters == request.parameters
    assert merged.previous_seeds == (3, 4, 5)
    assert merged.parent_id == IMAGE.id


def test_other_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="colours"):
        drafts.merge_draft(CURRENT, IMAGE, "colours")


def test_weights_step_in_clean_tenths_and_stop_at_ten() -> None:
    weight = -0.3
    seen = []
    for _ in range(6):
        weight = drafts.step_weight(weight, 1)
        seen.append(weight)
    assert seen == [-0.2, -0.1, 0.0, 0.1, 0.2, 0.3]
    assert str(seen[2]) == "0.0"
    assert drafts.step_weight(9.95, 1) == 10
    assert drafts.step_weight(-10, -1) == -10
    assert drafts.step_weight(1.25, -1) == 1.15


def test_removing_the_last_prompt_leaves_an_empty_one() -> None:
    assert drafts.remove_prompt(CURRENT, 0).prompts == (DraftPrompt(),)


def test_moving_keeps_every_prompt() -> None:
    draft = Draft(prompts=tuple(DraftPrompt(text=text) for text in "abc"))
    assert [p.text for p in drafts.move_prompt(draft, 0, 1).prompts] == ["b", "a", "c"]
    assert [p.text for p in drafts.move_prompt(draft, 2, 5).prompts] == ["a", "b", "c"]
    assert [p.text for p in drafts.move_prompt(draft, 2, -2).prompts] == ["c", "a", "b"]


def test_a_locked_seed_stays_and_an_unlocked_one_is_kept_among_the_previous() -> None:
    assert drafts.advance_seed(CURRENT) == CURRENT
    unlocked = msgspec.structs.replace(CURRENT, seed_locked=False)
    advanced = drafts.advance_seed(unlocked)
    assert advanced.seed != 5
    assert advanced.previous_seeds == (3, 4, 5)


def test_going_back_walks_round_all_seeds() -> None:
    draft, seen = CURRENT, []
    for _ in range(3):
        draft = drafts.recall_seed(draft)
        seen.append(draft.seed)
    assert seen == [4, 3, 5]
    assert draft == CURRENT


def test_what_was_typed_ahead_is_kept_beside_the_draft() -> None:
    typed = Draft(prompts=(DraftPrompt(text="fast fingers"),), place={"state": "typing"})
    assert drafts.merge_typed_ahead(Draft(seed=4), typed).prompts == typed.prompts
    merged = drafts.merge_typed_ahead(CURRENT, typed)
    assert merged.prompts == (*CURRENT.prompts, *typed.prompts)
    assert merged.place["row"] == 1
    assert drafts.merge_typed_ahead(CURRENT, Draft()) == CURRENT
