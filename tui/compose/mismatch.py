"""Whether the shown image and the stack beside it are of one request, and what differs."""

from __future__ import annotations

import msgspec

from store.errors import SafelightError
from store.records import Draft, Image, Job
from store.request import Request
from tui.compose.draft import Parts, merge_draft
from tui.darkroom import Darkroom
from tui.diff import describe_change

_ROOMY = 30
"""Cells from which on what is cut at its end says first what it is about."""


class Mismatch(msgspec.Struct, frozen=True):
    """What differs between an image and the stack, in a few words; "" where nothing does.

    `is_next_seed`: only the seed, which is not locked: it is the one of the next image.
    """

    change: str = ""
    is_next_seed: bool = False

    def describe(self, width: int, dot: str) -> str:
        """The title of the image, in the longest words that fit into `width` cells."""
        if self.is_next_seed:
            forms = [f"image {dot} the same but for the seed", f"image {dot} other seed"]
        elif self.change:
            forms = [
                f"image {dot} stack differs: {self.change}",
                f"stack differs: {self.change}",
                f"differs: {self.change}",
            ]
        else:
            return "image"
        cut = forms[1 if width >= _ROOMY else -1]
        return next((form for form in forms if len(form) <= width), cut)


class Comparator:
    """Compares drafts with what is shown; of that it keeps the request that it would be now."""

    def __init__(self, darkroom: Darkroom) -> None:
        self._darkroom = darkroom
        self._shown: Image | Job | None = None
        self._request: Request | None = None

    def compare(self, draft: Draft, shown: Image | Job | None, *, has_unicode: bool) -> Mismatch:
        """What differs between `shown` (an image, or the job whose preview it is) and `draft`.

        Cheap: it may be asked for at each key.
        """
        if shown is not self._shown:
            self._shown, self._request = shown, None if shown is None else self._settle(shown)
        theirs = self._request
        if theirs is None:
            return Mismatch()
        ours = self._resolve(draft)
        if ours is None:
            is_empty = not any(prompt.text.strip() for prompt in draft.prompts)
            return Mismatch("no prompt yet" if is_empty else "not complete")
        has_other_seed = ours.parameters.seed != theirs.parameters.seed
        if has_other_seed and not draft.seed_locked:
            seed = theirs.parameters.seed
            parameters = msgspec.structs.replace(ours.parameters, seed=seed)
            ours = msgspec.structs.replace(ours, parameters=parameters)
        if ours.stack == theirs.stack and ours.to_json() == theirs.to_json():
            return Mismatch(is_next_seed=has_other_seed)
        return Mismatch(describe_change(theirs, ours, has_unicode=has_unicode))

    def _settle(self, shown: Image | Job) -> Request | None:
        """What the editor would ask for if `shown` were loaded into it."""
        if isinstance(shown, Job):
            return None if shown.request.parameters.upscale is not None else shown.request
        pinned = msgspec.structs.replace(shown, request=self._darkroom.pin(shown))
        loaded = self._resolve(merge_draft(Draft(), pinned, Parts.ALL))
        if loaded is not None:
            return loaded
        return None if pinned.request.parameters.upscale is not None else pinned.request

    def _resolve(self, draft: Draft) -> Request | None:
        """The request of `draft` without its empty prompts, None where it is not complete."""
        prompts = tuple(prompt for prompt in draft.prompts if prompt.text.strip())
        try:
            whole = msgspec.structs.replace(draft, prompts=prompts, images=1)
            return self._darkroom.resolve(whole)[0]
        except SafelightError:
            return None
