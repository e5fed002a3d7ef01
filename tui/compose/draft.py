"""The draft: pure changes to it, and the editor that makes them with undo, redo, write-through."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from engines.resolve import VARIATION_STRENGTH, make_initial_image
from store.limits import WEIGHT_MAXIMUM, WEIGHT_MINIMUM, draw_seed
from store.records import EXTRAS, Draft, DraftPrompt, Image, Relation
from store.request import Mask, Parameters, Prompt, Request, Variation
from tui.darkroom import Darkroom

WEIGHT_STEP = 0.1
PREVIOUS_SEEDS_KEPT = 100
UNDO_KEPT = 200
_NAME_LENGTH = 80
_DIGEST_SHOWN = 8
_INPUT = "input "

PlaceValue = str | int | bool | None


class DraftOwner(Protocol):
    """What holds the draft: the compose screen."""

    draft: Draft


class Undoable(msgspec.Struct, frozen=True):
    """What can be taken back: a change, by the draft before it, or jobs that were queued."""

    label: str
    before: Draft | None = None
    jobs: tuple[str, ...] = ()


class DraftEditor:
    """Changes the draft of its owner, at once, with undo and redo, and writes each one through.

    `session` is the one that the draft belongs to; before it is known nothing is written.
    """

    def __init__(self, owner: DraftOwner, darkroom: Darkroom) -> None:
        self._owner = owner
        self._darkroom = darkroom
        self._undo: list[Undoable] = []
        self._redo: list[Undoable] = []
        self.session: str | None = None

    def begin(self, session: str) -> None:
        """Go on with the draft of another session: nothing of the one before can be undone."""
        if self.session is not None and session != self.session:
            self._undo, self._redo = [], []
        self.session = session

    @property
    def draft(self) -> Draft:
        """The draft as it is now."""
        return self._owner.draft

    @property
    def has_undo(self) -> bool:
        """Whether there is a change or a job to take back."""
        return bool(self._undo)

    @property
    def has_redo(self) -> bool:
        """Whether there is a change that was taken back, and nothing was changed since."""
        return bool(self._redo)

    def change(self, draft: Draft, label: str = "") -> None:
        """Make `draft` the draft. With a `label` the change can be undone."""
        before = self._owner.draft
        if draft == before:
            return
        if label:
            self.remember(label, before)
        self._owner.draft = draft
        if self.session is not None:
            self._darkroom.save_draft(self.session, draft)

    def change_on(self, draft: Draft, label: str) -> None:
        """Like `change`, but changes of the same label in a row are taken back at once."""
        self.change(draft, "" if self._undo and self._undo[-1].label == label else label)

    def note_text(self, row: int, text: str, line: int, column: int) -> None:
        """Keep what is typed in the prompt in `row`, and where the cursor is in it."""
        draft = self._owner.draft
        if draft.prompts[row].text != text:
            draft = change_prompt(draft, row, text=text)
        place = {**draft.place, "line": line, "column": column}
        self.change(msgspec.structs.replace(draft, place=place))

    def remember(self, label: str, before: Draft) -> None:
        """Note that what was just changed can be taken back to `before`; it ends the redo."""
        self._undo = [*self._undo, Undoable(label, before)][-UNDO_KEPT:]
        self._redo = []

    def remember_jobs(self, label: str, jobs: Sequence[str]) -> None:
        """Note that the jobs with these ids were queued, as the newest thing to take back."""
        self._undo = [*self._undo, Undoable(label, jobs=tuple(jobs))][-UNDO_KEPT:]

    def take_jobs(self) -> Undoable | None:
        """The jobs that are the newest thing to take back, and are so no more; else None."""
        return self._undo.pop() if self._undo and self._undo[-1].before is None else None

    def undo(self) -> str | None:
        """Take back the last remembered change; its label, or None when there is none.

        Seeds and place stay as they are.
        """
        return self._go(self._undo, self._redo)

    def redo(self) -> str | None:
        """Make the change again that was taken back last, as `undo` does the other way."""
        return self._go(self._redo, self._undo)

    def _go(self, source: list[Undoable], target: list[Undoable]) -> str | None:
        """Go to the newest draft of `source` that is another one; `target` leads back."""
        while source:
            label, other = source[-1].label, source.pop().before
            now = self.draft
            if other is None or has_same_content(other, now):
                continue
            target.append(Undoable(label, now))
            self.change(
                msgspec.structs.replace(
                    other,
                    seed=now.seed,
                    seed_locked=now.seed_locked,
                    previous_seeds=now.previous_seeds,
                    pending={},
                    place=now.place,
                )
            )
            return label
        return None

    def set_place(self, **places: PlaceValue) -> None:
        """Remember where the person is."""
        draft = self.draft
        self.change(msgspec.structs.replace(draft, place={**draft.place, **places}))

    def set_pending(self, field: str, text: str | None) -> None:
        """Remember a half-typed value; None when the field is closed."""
        draft = self.draft
        pending = {name: value for name, value in draft.pending.items() if name != field}
        if text is not None:
            pending[field] = text
        self.change(msgspec.structs.replace(draft, pending=pending))


class Parts(StrEnum):
    """Which parts of a past image go into the draft."""

    ALL = "all"
    ALL_BUT_SEED = "all but seed"
    PROMPTS = "prompts"
    PARAMETERS = "parameters"
    SEED = "seed"

    @property
    def has_prompts(self) -> bool:
        """Whether the prompts are among them: what is made then comes from that image."""
        return self in (Parts.ALL, Parts.ALL_BUT_SEED, Parts.PROMPTS)

    @property
    def has_parameters(self) -> bool:
        """Whether all but prompts and seed is among them."""
        return self in (Parts.ALL, Parts.ALL_BUT_SEED, Parts.PARAMETERS)

    @property
    def has_seed(self) -> bool:
        """Whether the seed is among them."""
        return self in (Parts.ALL, Parts.SEED)


def merge_draft(current: Draft, image: Image, parts: str) -> Draft:
    """`current` with `parts` (see `Parts`) of what made `image`.

    `parameters` are engine, model and everything but prompts and seed. The seed that was
    shown goes to the previous ones. The image becomes the parent, except when only its
    seed or its parameters are taken. Half-typed values are dropped. Of an image that was only
    made larger the model and the size are left out: they draw nothing. Raises `ValueError` for
    other parts.
    """
    draft = merge_request(current, image.request, parts)
    if Parts(parts).has_prompts:
        draft = msgspec.structs.replace(draft, parent_id=image.id, relation=None)
    return draft


def merge_request(current: Draft, request: Request, parts: str) -> Draft:
    """`current` with `parts` (see `Parts`) of `request`, as `merge_draft` of no image."""
    part = Parts(parts)
    draft = msgspec.structs.replace(current, pending={})
    if part.has_prompts:
        draft = take_prompts(draft, request)
    if part.has_parameters:
        parameters = request.parameters
        is_drawn = parameters.upscale is None
        draft = msgspec.structs.replace(
            draft,
            engine=request.engine,
            model=request.model if is_drawn else None,
            steps=parameters.steps,
            cfg_scale=parameters.cfg_scale,
            sampler=parameters.sampler,
            width=parameters.width if is_drawn else None,
            height=parameters.height if is_drawn else None,
            style_preset=parameters.style_preset,
            **_read_extras(parameters),
        )
    if part.has_seed:
        draft = set_seed(draft, request.parameters.seed)
    return draft


def take_prompts(draft: Draft, request: Request) -> Draft:
    """`draft` with the stack of `request`."""
    prompts = tuple(
        DraftPrompt(text=prompt.text, weight=prompt.weight, enabled=prompt.enabled)
        for prompt in request.stack.prompts
    )
    return msgspec.structs.replace(draft, prompts=prompts)


def _read_extras(parameters: Parameters) -> dict[str, Any]:
    """The optional parameters as a draft has them, its own default for one that is absent."""
    absent = {
        field.name: field.default
        for field in msgspec.structs.fields(Parameters)
        if not field.required
    }
    blank = Draft()
    values = {name: getattr(parameters, name) for name in EXTRAS}
    return {
        name: getattr(blank, name) if value == absent[name] else value
        for name, value in values.items()
    }


# Prompts


def insert_prompt(draft: Draft, index: int, prompt: DraftPrompt | None = None) -> Draft:
    """`draft` with `prompt` (an empty one when None) at `index`."""
    prompts = [*draft.prompts]
    prompts.insert(index, DraftPrompt() if prompt is None else prompt)
    return msgspec.structs.replace(draft, prompts=tuple(prompts))


def remove_prompt(draft: Draft, index: int) -> Draft:
    """`draft` without the prompt at `index`; the last one leaves an empty prompt behind."""
    prompts = draft.prompts[:index] + draft.prompts[index + 1 :]
    return msgspec.structs.replace(draft, prompts=prompts or (DraftPrompt(),))


def move_prompt(draft: Draft, index: int, places: int) -> Draft:
    """`draft` with the prompt at `index` moved by `places`, as far as the stack goes."""
    target = min(max(index + places, 0), len(draft.prompts) - 1)
    prompts = [*draft.prompts]
    prompts.insert(target, prompts.pop(index))
    return msgspec.structs.replace(draft, prompts=tuple(prompts))


def change_prompt(draft: Draft, index: int, **changes: str | float | bool) -> Draft:
    """`draft` with `text`, `weight` or `enabled` of the prompt at `index` changed."""
    prompts = [*draft.prompts]
    prompts[index] = msgspec.structs.replace(prompts[index], **changes)
    return msgspec.structs.replace(draft, prompts=tuple(prompts))


def replace_prompt(draft: Draft, index: int, prompts: Sequence[Prompt]) -> Draft:
    """`draft` with `prompts` in the place of the one at `index`, off where that was off."""
    enabled = draft.prompts[index].enabled
    rows = [DraftPrompt(text=row.text, weight=row.weight, enabled=enabled) for row in prompts]
    return msgspec.structs.replace(
        draft, prompts=(*draft.prompts[:index], *rows, *draft.prompts[index + 1 :])
    )


def step_weight(weight: float, steps: int) -> float:
    """`weight` plus `steps` tenths, within [-10, 10], without the dust of binary fractions."""
    stepped = round(weight + steps * WEIGHT_STEP, 6)
    return min(max(stepped, WEIGHT_MINIMUM), WEIGHT_MAXIMUM) + 0.0


# Seeds


def set_seed(draft: Draft, seed: int) -> Draft:
    """`draft` with `seed`; the one that was shown becomes the newest of the previous ones."""
    previous = draft.previous_seeds
    if draft.seed is not None and draft.seed != seed:
        previous = (*previous, draft.seed)[-PREVIOUS_SEEDS_KEPT:]
    return msgspec.structs.replace(draft, seed=seed, previous_seeds=previous)


def show_seed(draft: Draft) -> Draft:
    """`draft` with a drawn seed when it has none."""
    return draft if draft.seed is not None else msgspec.structs.replace(draft, seed=draw_seed())


def renew_seed(draft: Draft) -> Draft:
    """`draft` with a newly drawn seed."""
    return set_seed(draft, draw_seed())


def recall_seed(draft: Draft) -> Draft:
    """`draft` with the newest previous seed; the one that was shown goes to the other end.

    So that going back again and again walks round all of them and loses none.
    """
    if not draft.previous_seeds:
        return draft
    *older, seed = draft.previous_seeds
    shown = () if draft.seed is None else (draft.seed,)
    return msgspec.structs.replace(draft, seed=seed, previous_seeds=(*shown, *older))


def advance_seed(draft: Draft) -> Draft:
    """The draft after its run was queued: a new seed, unless it is locked."""
    return draft if draft.seed_locked else renew_seed(draft)


# What was typed before the session was read


def merge_typed_ahead(loaded: Draft, typed: Draft) -> Draft:
    """The session's draft with what was typed while it was being read.

    Into an untouched first prompt it goes as it stands, else as prompts of its own at the end.
    """
    written = tuple(prompt for prompt in typed.prompts if prompt.text)
    if not written:
        return loaded
    untouched = loaded.prompts == (DraftPrompt(),)
    prompts = written if untouched else (*loaded.prompts, *written)
    place = {**loaded.place, **typed.place, "row": len(prompts) - 1}
    return msgspec.structs.replace(loaded, prompts=prompts, place=place)


def has_same_content(one: Draft, other: Draft) -> bool:
    """Whether two drafts stand for the same work: all but place, half-typed values and seeds."""
    return _strip(one) == _strip(other)


def _strip(draft: Draft) -> Draft:
    return msgspec.structs.replace(
        draft, place={}, pending={}, previous_seeds=(), seed=None, seed_locked=False
    )


# Initial image, mask and variation


def start_from(draft: Draft, sha256: str, name: str, parent: Image | None = None) -> Draft:
    """`draft` with the kept file `sha256` as its initial image, without a mask.

    `name` is what the person knows it by. `parent` is the past image whose file it is.
    """
    past = draft.initial_image
    initial = make_initial_image(
        sha256,
        None if past is None else past.start_schedule,
        None if past is None else past.end_schedule,
    )
    draft = remove_initial_image(draft)
    if parent is not None:
        draft = msgspec.structs.replace(draft, parent_id=parent.id, relation=Relation.INITIAL_IMAGE)
    return _note_name(msgspec.structs.replace(draft, initial_image=initial), sha256, name)


def remove_initial_image(draft: Draft) -> Draft:
    """`draft` without initial image, and without what belongs to one."""
    draft = msgspec.structs.replace(draft, initial_image=None, mask=None, adapter=None)
    if draft.relation is Relation.INITIAL_IMAGE:
        draft = msgspec.structs.replace(draft, parent_id=None, relation=None)
    return draft


def set_mask(draft: Draft, sha256: str, name: str) -> Draft:
    """`draft` with the kept file `sha256` as its mask: what is black there is made anew.

    What lies there before the first step stays as it was chosen for a mask before.
    """
    area_init = "original" if draft.mask is None else draft.mask.area_init
    mask = Mask(sha256=sha256, replaces="black", area_init=area_init)
    return _note_name(msgspec.structs.replace(draft, mask=mask), sha256, name)


def set_variation(draft: Draft) -> Draft:
    """`draft` with a drawn second seed; the strength stays what it was."""
    past = draft.variation
    strength = VARIATION_STRENGTH if past is None else past.strength
    variation = Variation(seed=draw_seed(), strength=strength)
    return msgspec.structs.replace(draft, variation=variation)


def name_input(draft: Draft, sha256: str) -> str:
    """What the person knows a kept file by: a file's name, an image's id, else its digest."""
    name = draft.place.get(_place(sha256))
    return name if isinstance(name, str) and name else sha256[:_DIGEST_SHOWN]


def _note_name(draft: Draft, sha256: str, name: str) -> Draft:
    return msgspec.structs.replace(
        draft, place={**draft.place, _place(sha256): name[:_NAME_LENGTH]}
    )


def _place(sha256: str) -> str:
    return f"{_INPUT}{sha256[:16]}"


# Places


def read_place(draft: Draft, name: str, default: str = "") -> str:
    """A text in the draft's place."""
    value = draft.place.get(name)
    return value if isinstance(value, str) else default


def read_row(draft: Draft) -> int:
    """The row of the cursor on the prompt stack."""
    row = draft.place.get("row")
    return min(max(row if isinstance(row, int) else 0, 0), len(draft.prompts) - 1)


def read_cursor(draft: Draft) -> tuple[int, int] | None:
    """Line and column of the cursor in the open text, None when they are not known."""
    line, column = draft.place.get("line"), draft.place.get("column")
    return (line, column) if isinstance(line, int) and isinstance(column, int) else None


def read_moment(draft: Draft) -> int | None:
    """When the end of a job was seen last, in seconds of 1970; None where none was."""
    looked = draft.place.get("looked")
    return looked if isinstance(looked, int) and not isinstance(looked, bool) else None


def take_settings(draft: Draft) -> Draft:
    """The draft without prompts, half-typed values and where the person is.

    It is what the parameters show; of the place only the names of image files stay.
    """
    names = {name: value for name, value in draft.place.items() if name.startswith(_INPUT)}
    return msgspec.structs.replace(draft, prompts=(), place=names, pending={})
