"""The parameters as fields: what each shows, what it accepts, how it steps and is reset.

A parameter of the compose screen is one class here and its place in `FIELDS` or `PART_FIELDS`.
What is wrong with a typed value is a `RequestError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from engines.capabilities import LEFT_TO_SERVER, Capabilities, Span
from engines.resolve import END_SCHEDULE, START_SCHEDULE, VARIATION_STRENGTH
from store.errors import RequestError
from store.limits import (
    SEED_MAXIMUM,
    SEED_MINIMUM,
    WEIGHT_MAXIMUM,
    WEIGHT_MINIMUM,
    check_range,
    check_seed,
    check_side,
    check_weight,
    following_seed,
    parse_number,
    parse_whole,
    suggest,
)
from store.records import Draft
from store.request import Parameters
from tui.compose.draft import name_input, remove_initial_image
from tui.words import describe_sampler

NO_STYLE = "none"
NO_MASK = "none"
IMAGES_MAXIMUM = 10

_SIZE = re.compile(r"\s*(\d{1,6})\s*[x×*, ]\s*(\d{1,6})\s*", re.IGNORECASE)

Changes = dict[str, Any]
"""Fields of a `Draft` and their new values."""


class Context(msgspec.Struct, frozen=True):
    """The draft, what its engine accepts, and the engines there are.

    `sizes`: of the kept image files, as far as they are known (width, height in pixels).
    """

    draft: Draft
    capabilities: Capabilities
    engines: tuple[str, ...]
    sizes: Mapping[str, tuple[int, int]] = {}


class Field:
    """A parameter as a row of the compose screen. As it stands, its value is one of `choices`.

    `label` is what the screen calls it, `meaning` what it is, for who reads it for the first time.
    `request_names` are the ends of the dotted names in a
    `RequestError` that are about it. `part` names, in words, the part of the draft that
    resetting leaves out. `is_choice`: chosen from a list, never typed. `is_file`: it holds an
    image file, which a screen of its own fills.

    The value is the `attribute` of the draft, or of its part `owner`. `follows_engine`: None
    in the draft stands for the engine's default, so another engine may need another value.
    """

    name: ClassVar[str]
    meaning: ClassVar[str]
    attribute: ClassVar[str]
    owner: ClassVar[str] = ""
    part: ClassVar[str] = ""
    request_names: ClassVar[tuple[str, ...]] = ()
    is_choice: ClassVar[bool] = False
    is_file: ClassVar[bool] = False
    follows_engine: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """What the screen calls it."""
        return self.name

    def is_there(self, draft: Draft) -> bool:
        """Whether `draft` has the field."""
        return not self.owner or getattr(draft, self.owner) is not None

    def read(self, context: Context) -> Any:
        """The value in effect: the draft's, or the engine's default; None where there is none."""
        draft = context.draft
        holder = getattr(draft, self.owner) if self.owner else draft
        value = None if holder is None else getattr(holder, self.attribute)
        return self.get_default(context) if value is None and self.follows_engine else value

    def get_default(self, context: Context) -> Any:
        """What the engine takes where the draft says nothing."""
        return next(iter(self.choices(context)), None)

    def show(self, context: Context) -> str:
        """The value in effect, as it is written and can be typed."""
        value = self.read(context)
        return "" if value is None else str(value)

    def range(self, context: Context) -> str:
        """What the field is or accepts, in a few words."""
        number = len(self.choices(context))
        return "the only one" if number == 1 else f"{number} to choose from"

    def choices(self, context: Context) -> tuple[str, ...]:
        """The values that the field offers, as they are shown; empty for a plain number."""
        return ()

    def describe(self, choice: str) -> str:
        """What one of the choices is, in a few words; "" where its name says it."""
        return ""

    def parse(self, text: str, context: Context) -> Changes:
        """What `text`, typed into the field, changes in the draft. Raises `RequestError`."""
        return self.change(self.parse_value(text.strip(), context), context.draft)

    def parse_value(self, text: str, context: Context) -> Any:
        """The value that `text`, without space around it, stands for. Raises `RequestError`."""
        choices = self.choices(context)
        if text not in choices:
            hint = suggest(text, choices) if choices else ""
            raise RequestError(self.name, text, f"Unknown {self.name} {text!r}.", hint)
        return text

    def change(self, value: Any, draft: Draft) -> Changes:
        """What makes `value` the field's; nothing where `draft` has no such part."""
        if not self.owner:
            return {self.attribute: value}
        holder = getattr(draft, self.owner)
        if holder is None:
            return {}
        return {self.owner: msgspec.structs.replace(holder, **{self.attribute: value})}

    def step(self, steps: int, context: Context) -> Changes:
        """What `steps` steps up or down change: numbers stop at their ends, choices go round."""
        choices = self.choices(context)
        if not choices:
            return {}
        now = self.show(context)
        at = choices.index(now) if now in choices else (-1 if steps > 0 else 0)
        return self.parse(choices[(at + steps) % len(choices)], context)

    def reset(self, draft: Draft) -> Changes:
        """What brings the default back, or leaves the field's part out; {} without either."""
        if self.part:
            return {self.owner: None}
        return self.change(None, draft) if self.follows_engine else {}

    def is_default(self, draft: Draft) -> bool:
        """Whether the field follows the engine's default."""
        return self.follows_engine and all(
            getattr(draft, name) is None for name in self.reset(draft)
        )

    def is_removable(self, draft: Draft) -> bool:
        """Whether resetting the field leaves a part of `draft` out."""
        return bool(self.part) and getattr(draft, self.owner) is not None


# Kinds of fields


class ChoiceField(Field):
    """A value that is chosen from a list."""

    is_choice = True


class MaskChoice(ChoiceField):
    """How a mask is meant: one of `values`. Resetting goes back to the first."""

    owner = "mask"
    values: ClassVar[tuple[str, ...]]

    def is_there(self, draft: Draft) -> bool:
        """With the mask of an initial image."""
        return draft.initial_image is not None and super().is_there(draft)

    def choices(self, context: Context) -> tuple[str, ...]:
        """The same for every engine."""
        return self.values

    def reset(self, draft: Draft) -> Changes:
        """The first of the values."""
        return self.change(self.values[0], draft)


class Number(Field):
    """A number in a span: from 0 to 1 in steps of 0.05 where a field says nothing else."""

    is_whole: ClassVar[bool] = False

    def get_span(self, context: Context) -> Span:
        """The numbers that are accepted."""
        return Span(low=0, high=1, step=0.05, default=0)

    def get_default(self, context: Context) -> Any:
        """The default of the span."""
        return self._round(self.get_span(context).default)

    def range(self, context: Context) -> str:
        """The ends of the span."""
        return self.get_span(context).words

    def parse_value(self, text: str, context: Context) -> Any:
        """The number, when it is in the span."""
        span = self.get_span(context)
        parse = parse_whole if self.is_whole else parse_number
        number = parse(self.name, self.name, text, span.low, span.high)
        check_range(self.name, self.name, number, span.low, span.high)
        return self._round(number)

    def step(self, steps: int, context: Context) -> Changes:
        """As far as the span goes."""
        number = self.read(context)
        if number is None:
            return {}
        stepped = step_number(number, steps, self.get_span(context))
        return self.change(self._round(stepped), context.draft)

    def _round(self, number: float) -> float:
        return int(number) if self.is_whole else number


class Share(Number):
    """A number from 0 to 1 of a part of the draft; resetting goes back to `default`."""

    default: ClassVar[float]

    def show(self, context: Context) -> str:
        """Two places, more where there are more."""
        value = self.read(context)
        if value is None:
            return ""
        return f"{value:.10g}" if round(value, 2) != value else f"{value:.2f}"

    def reset(self, draft: Draft) -> Changes:
        """The number that a new part has."""
        return self.change(self.default, draft)


class SeedNumber(Field):
    """A seed, 1 to 4294967294; stepping goes on at 1 after the highest."""

    attribute = "seed"

    def parse_value(self, text: str, context: Context) -> Any:
        """The seed, when it is one."""
        seed = parse_whole(self.name, self.label, text, SEED_MINIMUM, SEED_MAXIMUM)
        return check_seed(seed, self.name)

    def step(self, steps: int, context: Context) -> Changes:
        """The seeds that follow or come before."""
        seed = self.read(context)
        stepped = SEED_MINIMUM if seed is None else following_seed(seed, steps)
        return self.change(stepped, context.draft)


class ImageFile(Field):
    """A kept image file, shown by what the person knows it by. Nothing can be typed."""

    attribute = "sha256"
    is_file = True

    def show(self, context: Context) -> str:
        """The file's name, or its image's id."""
        sha256 = self.read(context)
        return "" if sha256 is None else name_input(context.draft, sha256)


# The fields that are always there


class Seed(SeedNumber):
    """The seed of the next image."""

    name = "seed"
    meaning = "the number that the noise is drawn from; the same one makes the same image"
    request_names = ("seed",)

    def range(self, context: Context) -> str:
        """The keys of the seed, and whether it is locked."""
        lock = "locked" if context.draft.seed_locked else "l lock"
        return f"{lock}   n new   p previous"


class Steps(Number):
    """How many steps the sampler takes."""

    name = "steps"
    meaning = "how many times the noise is made less"
    attribute = "steps"
    request_names = ("steps",)
    is_whole = True
    follows_engine = True

    def get_span(self, context: Context) -> Span:
        """The engine's."""
        return context.capabilities.steps


class CfgScale(Number):
    """How strongly the prompts guide."""

    name = "cfg"
    meaning = "how strongly the prompts guide each step (cfg scale)"
    attribute = "cfg_scale"
    request_names = ("cfg_scale",)
    follows_engine = True

    def get_span(self, context: Context) -> Span:
        """The engine's."""
        return context.capabilities.cfg_scale

    def show(self, context: Context) -> str:
        """With a place after the point at least."""
        value = self.read(context)
        return f"{value:.10g}" if value % 1 else f"{value:.1f}"


class Sampler(ChoiceField):
    """The sampler."""

    name = "sampler"
    meaning = "how each step is taken"
    attribute = "sampler"
    request_names = ("sampler",)
    follows_engine = True

    def get_default(self, context: Context) -> Any:
        """The engine's, which need not be the first."""
        return context.capabilities.default_sampler

    def range(self, context: Context) -> str:
        """How many there are, if the choice is not the server's."""
        if context.capabilities.samplers == (LEFT_TO_SERVER,):
            return "the server decides"
        return super().range(context)

    def choices(self, context: Context) -> tuple[str, ...]:
        """The engine's samplers."""
        return context.capabilities.samplers

    def describe(self, choice: str) -> str:
        """What the sampler is."""
        return describe_sampler(choice)

    def parse_value(self, text: str, context: Context) -> Any:
        """The engine's name of it, also for the names that other programs have."""
        return context.capabilities.find_sampler(text)


class Size(Field):
    """Width and height in pixels: typed, or turned through the ones that are offered."""

    name = "size"
    meaning = "width and height in pixels"
    request_names = ("width", "height", "size")
    follows_engine = True

    def read(self, context: Context) -> Any:
        """Each side, the engine's where the draft has none."""
        width, height = context.capabilities.sizes.default
        return (context.draft.width or width, context.draft.height or height)

    def show(self, context: Context) -> str:
        """Like 192x128."""
        width, height = self.read(context)
        return f"{width}x{height}"

    def range(self, context: Context) -> str:
        """How many there are, or what a side is."""
        sizes = context.capabilities.sizes
        if sizes.only:
            return super().range(context)
        return f"sides {sizes.low} to {sizes.high} by {sizes.multiple}"

    def choices(self, context: Context) -> tuple[str, ...]:
        """The only ones, or those that are suggested."""
        sizes = context.capabilities.sizes
        return tuple(f"{width}x{height}" for width, height in sizes.only or sizes.suggested)

    def parse_value(self, text: str, context: Context) -> Any:
        """Width and height, when the engine makes that size."""
        return parse_size(text, context.capabilities)

    def change(self, value: Any, draft: Draft) -> Changes:
        """Both sides at once."""
        width, height = value or (None, None)
        return {"width": width, "height": height}


class Images(Number):
    """How many images a run makes. No engine has a default for it."""

    name = "images"
    meaning = "how many are made in one go, each with a seed of its own"
    attribute = "images"
    request_names = ("images",)
    is_whole = True

    def get_span(self, context: Context) -> Span:
        """The same for every engine."""
        return Span(low=1, high=IMAGES_MAXIMUM, step=1, default=1)

    def reset(self, draft: Draft) -> Changes:
        """One image."""
        return self.change(1, draft)


class Style(ChoiceField):
    """The style preset, or none."""

    name = "style"
    meaning = "a preset of the engine that goes with the prompts"
    attribute = "style_preset"
    request_names = ("style_preset",)
    follows_engine = True

    def choices(self, context: Context) -> tuple[str, ...]:
        """None, which is the default, and the engine's presets."""
        return (NO_STYLE, *context.capabilities.style_presets)

    def parse_value(self, text: str, context: Context) -> Any:
        """The preset; None for none."""
        style = super().parse_value(text, context)
        return None if style == NO_STYLE else style


class Engine(ChoiceField):
    """The engine."""

    name = "engine"
    meaning = "what makes the images: on this machine, or a service"
    attribute = "engine"
    request_names = ("engine",)

    def choices(self, context: Context) -> tuple[str, ...]:
        """The engines there are."""
        return context.engines

    def change(self, value: Any, draft: Draft) -> Changes:
        """Another engine has other models: its default one is taken."""
        return {"engine": value, "model": None}


class Model(ChoiceField):
    """The model."""

    name = "model"
    meaning = "the weights that the engine draws with"
    attribute = "model"
    request_names = ("model",)
    follows_engine = True

    def choices(self, context: Context) -> tuple[str, ...]:
        """The engine's models, the default one first."""
        return context.capabilities.models

    def read(self, context: Context) -> Any:
        """The model with its revision, also where the draft names none."""
        value = super().read(context)
        return value if value is None else context.capabilities.pin(value)

    def parse_value(self, text: str, context: Context) -> Any:
        """A model; without a revision it is the engine's own choice of one."""
        return super().parse_value(context.capabilities.pin(text), context)


# The fields of an initial image, its mask and a variation


class InitialImageFile(ImageFile):
    """The image to start from."""

    name = "from"
    meaning = "the image that the next ones are drawn over (img2img)"
    owner = "initial_image"
    part = "initial image"
    request_names = ("initial_image",)

    def range(self, context: Context) -> str:
        """Its size, as soon as that is known."""
        size = context.sizes.get(self.read(context) or "")
        return "d takes it out" if size is None else f"{size[0]}x{size[1]}  d takes out"

    def reset(self, draft: Draft) -> Changes:
        """The draft without it, and without what belongs to one."""
        bare = remove_initial_image(draft)
        names = ("initial_image", "mask", "adapter", "parent_id", "relation")
        return {name: getattr(bare, name) for name in names}


class StartSchedule(Share):
    """Where the schedule starts. The end is never above it, so it comes down with it."""

    name = "start"
    meaning = "how much of it is noise at first: 0 keeps the image, 1 ignores it"
    owner = "initial_image"
    attribute = "start_schedule"
    request_names = ("start_schedule",)
    default = START_SCHEDULE

    def range(self, context: Context) -> str:
        """What the ends of the span mean."""
        return "0 keeps, 1 ignores"

    def change(self, value: Any, draft: Draft) -> Changes:
        """The start, and the end where it would be above."""
        initial = draft.initial_image
        if initial is None:
            return {}
        end = min(initial.end_schedule, value)
        changed = msgspec.structs.replace(initial, start_schedule=value, end_schedule=end)
        return {"initial_image": changed}


class EndSchedule(Share):
    """Where the schedule ends, at most at its start."""

    name = "end"
    meaning = "how much of it is noise at last: above 0 the last steps are left out"
    owner = "initial_image"
    attribute = "end_schedule"
    request_names = ("end_schedule",)
    default = END_SCHEDULE

    def get_span(self, context: Context) -> Span:
        """Up to the start."""
        span, initial = super().get_span(context), context.draft.initial_image
        high = span.high if initial is None else initial.start_schedule
        return msgspec.structs.replace(span, high=high)

    def range(self, context: Context) -> str:
        """The start as it is written beside its own field."""
        return f"0 to {get_field('start').show(context)}"


class MaskFile(ImageFile):
    """Which part of the initial image is made anew. Every initial image may have one."""

    name = "mask"
    meaning = "which part of the initial image is made anew (inpainting)"
    owner = "mask"
    part = "mask"
    request_names = ("mask",)

    def is_there(self, draft: Draft) -> bool:
        """Wherever there is an initial image."""
        return draft.initial_image is not None

    def show(self, context: Context) -> str:
        """The file's name, or that there is none."""
        return super().show(context) or NO_MASK

    def range(self, context: Context) -> str:
        """What enter does."""
        return "enter makes one" if context.draft.mask is None else "enter changes it"


class Replaces(MaskChoice):
    """The colour of the mask where the image is made anew."""

    name = "replaces"
    meaning = "the colour of the mask where the image is made anew"
    attribute = "replaces"
    values = ("black", "white")

    def range(self, context: Context) -> str:
        """What becomes of the other colour."""
        other = {"black": "white", "white": "black"}
        return f"{other.get(self.show(context), '')} stays"


class Area(MaskChoice):
    """What lies in the masked area before the first step."""

    name = "area"
    meaning = "what lies in that part before the first step"
    attribute = "area_init"
    values = ("original", "random", "zero")

    def range(self, context: Context) -> str:
        """What the choice stands for."""
        words = {"original": "the image", "random": "noise", "zero": "nothing"}
        return f"{words.get(self.show(context), '')} first"


class VariationSeed(SeedNumber):
    """The second seed, whose noise is blended into the first one's."""

    name = "vary"
    meaning = "a second seed, some of whose noise is mixed in"
    owner = "variation"
    part = "second seed"
    request_names = ("variation", "variation.seed")

    @property
    def label(self) -> str:
        """Which seed it is."""
        return "vary seed"

    def range(self, context: Context) -> str:
        """What it is."""
        return "a second seed   d takes out"


class VariationStrength(Share):
    """How much of the second seed's noise is blended in."""

    name = "strength"
    meaning = "how much of the second seed is mixed in"
    owner = "variation"
    attribute = "strength"
    request_names = ("variation.strength",)
    default = VARIATION_STRENGTH

    def range(self, context: Context) -> str:
        """What the ends of the span mean."""
        return "0 nothing of it, 1 it alone"


FIELDS: tuple[Field, ...] = (
    Seed(),
    Steps(),
    CfgScale(),
    Sampler(),
    Size(),
    Images(),
    Style(),
    Engine(),
    Model(),
)
"""The fields that are always there."""

PART_FIELDS: tuple[Field, ...] = (
    InitialImageFile(),
    StartSchedule(),
    EndSchedule(),
    MaskFile(),
    Replaces(),
    Area(),
    VariationSeed(),
    VariationStrength(),
)
"""The fields of parts that a draft may have."""

ALL_FIELDS = (*FIELDS, *PART_FIELDS)

_BY_NAME = {field.name: field for field in ALL_FIELDS}
_BY_REQUEST_NAME = {name: field for field in ALL_FIELDS for name in field.request_names}


def list_fields(draft: Draft) -> tuple[Field, ...]:
    """The fields that `draft` has, in their order."""
    return tuple(field for field in ALL_FIELDS if field.is_there(draft))


def get_field(name: str) -> Field:
    """The field `name`. Raises `KeyError` for any other name."""
    return _BY_NAME[name]


def find_field(error_name: str) -> Field | None:
    """The field that an error's dotted name (`parameters.width`, `model`) is about."""
    parts = error_name.split(".")
    return _BY_REQUEST_NAME.get(".".join(parts[-2:])) or _BY_REQUEST_NAME.get(parts[-1])


def fit_draft(context: Context) -> tuple[Draft, list[str]]:
    """The draft with what its engine does not accept set to the default, and what that was."""
    draft, notes = context.draft, []
    fitted = [field for field in FIELDS if field.follows_engine]
    # What is wrong with the model is told first: it is the larger change.
    for field in sorted(fitted, key=lambda field: field.name != "model"):
        if field.is_default(draft):
            continue
        now = msgspec.structs.replace(context, draft=draft)
        shown = field.show(now)
        try:
            field.parse(shown, now)
        except RequestError:
            draft = msgspec.structs.replace(draft, **field.reset(draft))
            default = field.show(msgspec.structs.replace(context, draft=draft))
            notes.append(f"{field.name} {shown} is now {default}")
    return _drop_extras(draft, context.capabilities, notes), notes


def _drop_extras(draft: Draft, capabilities: Capabilities, notes: list[str]) -> Draft:
    """Without the optional parameters that the engine does not take."""
    optional = {field.name for field in msgspec.structs.fields(Parameters) if not field.required}
    for field in msgspec.structs.fields(Draft):
        if field.name not in optional or field.name in capabilities.takes:
            continue
        if getattr(draft, field.name) != field.default:
            draft = msgspec.structs.replace(draft, **{field.name: field.default})
            notes.append(f"{field.name.replace('_', ' ')} is left out")
    return draft


# Numbers as they are typed and stepped


def parse_weight(text: str) -> float:
    """The weight in `text`, -10 to 10; a minus sign is as good as a hyphen."""
    try:
        number = parse_number("weight", "weight", text, WEIGHT_MINIMUM, WEIGHT_MAXIMUM)
    except RequestError as error:
        hint = f"{error.hint.rstrip('.')}, like -1 or 0.5."
        raise RequestError(error.field, text, error.message, hint) from None
    return check_weight(number)


def step_number(number: float, steps: int, span: Span) -> float:
    """`number` plus `steps` of the span's steps, as far as the span goes."""
    return min(max(round(number + steps * span.step, 6), span.low), span.high)


def parse_size(text: str, capabilities: Capabilities) -> tuple[int, int]:
    """Width and height in `text`, when the engine makes that size."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise RequestError("size", text, f"{text!r} is not a size.", "Write it like 192x128.")
    width, height = int(match[1]), int(match[2])
    sizes = capabilities.sizes
    if sizes.only and (width, height) not in sizes.only:
        known = ", ".join(f"{w}x{h}" for w, h in sizes.only)
        raise RequestError(
            "size", text, "The engine does not make this size.", f"It makes {known}."
        )
    if not sizes.only:
        for side in (width, height):
            if not sizes.low <= side <= sizes.high or side % sizes.multiple:
                raise RequestError(
                    "size",
                    text,
                    f"{side} does not fit.",
                    f"Sides are {sizes.low} to {sizes.high} in steps of {sizes.multiple}.",
                )
        if not sizes.pixels_low <= width * height <= sizes.pixels_high:
            raise RequestError(
                "size",
                text,
                f"{width * height:,} pixels do not fit.",
                f"Give {sizes.pixels_low:,} to {sizes.pixels_high:,}.",
            )
    return check_side("width", width), check_side("height", height)
