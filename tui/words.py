"""What things are called, on screen and on the command line. Plain text, no styles, no widget.

Verdicts, states of jobs with what to do about them, purposes, origins, parameters and the other
features of a request, moments, numbers. Lines that are drawn of images and jobs are in
`status.py`, what differs between two requests in `diff.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from store.records import (
    FinishReason,
    Image,
    Imported,
    Job,
    JobState,
    Purpose,
    Relation,
    RunState,
    Verdict,
    Verification,
)
from store.request import Adapter, FineTune, Guidance, InitialImage, Mask, Parameters, Upscale

if TYPE_CHECKING:
    from store.outcomes import Ended
from tui.text import show_safely

# Verdicts


class VerdictWords(NamedTuple):
    """A verdict's sign with and without Unicode, and the theme's role for its colour."""

    sign: str
    ascii_sign: str
    role: str


_VERDICTS: dict[Verdict | None, VerdictWords] = {
    None: VerdictWords("·", ".", "muted"),
    Verdict.IDENTICAL: VerdictWords("✓", "=", "success"),
    Verdict.LATENTS_DRIFTED: VerdictWords("≈", "~", "warning"),
    Verdict.DIFFERENT: VerdictWords("≠", "!", "error"),
    Verdict.CANNOT_RUN: VerdictWords("?", "?", "warning"),
    Verdict.NOT_VERIFIABLE: VerdictWords("?", "?", "muted"),
}

ROLES: dict[Verdict | None, str] = {verdict: words.role for verdict, words in _VERDICTS.items()}
"""The theme's role for a verdict's colour; the colour only repeats the sign."""

_ROLE_STYLES = {
    "muted": "$role-quiet",
    "success": "$role-proven",
    "warning": "bold",
    "error": "$role-negative",
}
STYLES: dict[Verdict | None, str] = {verdict: _ROLE_STYLES[role] for verdict, role in ROLES.items()}
"""The same as styles for content."""


def mark_verdict(verdict: Verdict | None, *, has_unicode: bool = True) -> str:
    """One character: `✓` identical, `≈` latents drifted, `≠` differs, `?`, `·` unverified.

    Without Unicode: `=`, `~`, `!`, `?`, `.`.
    """
    words = _VERDICTS[verdict]
    return words.sign if has_unicode else words.ascii_sign


def describe_verdict(verdict: Verdict | None, first_difference: str | None = None) -> str:
    """In words: `identical`, `differs at step 7`, `cannot run: model`, `unverified` …"""
    where = first_difference or ""
    match verdict:
        case None:
            return "unverified"
        case Verdict.DIFFERENT:
            return f"differs at {where}" if where else "differs"
        case Verdict.CANNOT_RUN:
            return f"cannot run: {where}" if where else "cannot run"
        case Verdict.LATENTS_DRIFTED:
            return f"pixels identical, latents drifted at {where}" if where else verdict.value
        case _:
            return verdict.value


class Certainty(NamedTuple):
    """How sure an image is: its verdict (None without one), and that in words."""

    verdict: Verdict | None
    words: str


def find_certainty(image: Image, newest: Verification | None = None) -> Certainty:
    """How sure `image` is, by its `newest` verification where that is known already.

    One whose record was changed after it was written is sure of nothing, whatever was found
    before: `differs at width`. One that was made again and never verified itself is as sure as
    the comparison with its parent was: `identical to 0239`.
    """
    if image.changes:
        words = describe_verdict(Verdict.DIFFERENT, ", ".join(image.changes))
        return Certainty(Verdict.DIFFERENT, words)
    if newest is not None:
        return Certainty(newest.verdict, describe_verdict(newest.verdict, newest.first_difference))
    if image.verdict is None and image.comparison is not None and image.parent_id is not None:
        difference = image.comparison_difference
        words = describe_comparison(image.comparison, difference, image.parent_id)
        return Certainty(image.comparison, words)
    return Certainty(image.verdict, describe_verdict(image.verdict, image.first_difference))


def describe_changes(image: Image) -> str:
    """What was changed in the record: `changed after it was written: width, meta`; or ""."""
    return f"changed after it was written: {', '.join(image.changes)}" if image.changes else ""


def describe_comparison(verdict: Verdict, first_difference: str | None, image_id: str) -> str:
    """What an image that was made again is beside the first one: `identical to 0239`."""
    first = image_id[:4]
    where = f" at {first_difference}" if first_difference else ""
    match verdict:
        case Verdict.IDENTICAL:
            return f"identical to {first}"
        case Verdict.LATENTS_DRIFTED:
            return f"identical to {first} in its pixels, its latents drifted{where}"
        case Verdict.DIFFERENT:
            return f"different from {first}{where}"
        case Verdict.CANNOT_RUN:
            return f"not compared with {first}: it cannot run{where}"
        case Verdict.NOT_VERIFIABLE:
            return f"not comparable with {first}"


def describe_counts(verdicts: Mapping[str, int]) -> str:
    """How many images have which verdict: `197 identical, 3 different`; `-` before the first."""
    if not verdicts:
        return "-"
    order = [*Verdict, *(name for name in verdicts if name not in list(Verdict))]
    said = (f"{verdicts[name]:,} {name}" for name in order if verdicts.get(name))
    return ", ".join(said)


def name_run_state(state: RunState) -> str:
    """Where a run of verifications is: `preparing`, `running`, `paused`, `done`, `cancelled`."""
    return state.value


PIXELS_DROPPED = "pixels dropped to save space; r restores them"
"""What stands under the thumbnail of an image that was thinned."""

# Terms, for who reads them for the first time


TERMS: Sequence[tuple[str, str]] = (
    ("prompt stack", "the prompts of one image, each with a weight; all of them count at once"),
    ("weight", "how much a prompt counts: 1 is usual, 0 is nothing, below 0 means: avoid this"),
    ("8/77", "tokens (pieces of words) of the prompt; what is behind the 77th has no effect"),
    ("unverified", "nobody has made this image again and compared it yet: v does"),
    ("identical", "it was made again, and every pixel is the same"),
    ("differs", "it was made again, and something is not the same: where it begins is told"),
    ("cannot run", "it could not be made again here: what is missing is told"),
    ("not verifiable", "its engine cannot make the same image twice, or takes no seed"),
    ("@1", "the newest image, @2 the one before; commands take it where they take an id"),
    ("3f9c", "the beginning of an image's id, as much as tells it from the others"),
    ("job", "one image that is to be made; it waits, runs and ends in the list of jobs (j)"),
    ("worker", "the process that makes the images, also while the darkroom is closed"),
    ("worker asleep", "there was nothing to do for a while; the next job wakes it"),
    ("session", "a piece of work with a name: its stack, its parameters, its images"),
    ("history", "all images that were ever made, with all that made them"),
)
"""Words of the screen, and what they mean."""


# Jobs


_ADVICE = {
    JobState.FAILED: "{retry} tries it again with the same seed.",
    JobState.CANCELLED: "{retry} runs it after all, with the same seed.",
    JobState.UNKNOWN: (
        "It reached a paid service and no answer was recorded: it may have been charged. "
        "{retry} sends it again, nothing else does."
    ),
    JobState.SET_ASIDE: "It ended its worker twice. {retry} tries it once more.",
}
_DOING = {
    Purpose.GENERATE: "generating",
    Purpose.REGENERATE: "regenerating",
    Purpose.VERIFY: "verifying",
    Purpose.RESTORE: "restoring",
    Purpose.IMPORT: "importing",
}
STOPPING = "stopping"
NO_WORKER = "no worker runs; one comes with the next image or the darkroom"
PAUSED = "the queue is paused"
FOR_OTHERS = "waiting for the settings it was queued with"
FOR_OTHERS_ADVICE = (
    "It was queued with other settings (host, key) or by a newer program. Queue another one so, "
    "or cancel it and try it again from here."
)
WITHHELD = "The service withheld or blurred this image."


def describe_ends(ended: Ended) -> str:
    """`3 images made, 2 verified, 1 failed`."""
    parts = [f"{count_things(ended.made, 'image')} made"] if ended.made else []
    parts += [f"{ended.verified:,} verified"] if ended.verified else []
    parts += [f"{ended.failed:,} failed"] if ended.failed else []
    return ", ".join(parts)


def name_state(state: JobState) -> str:
    """`waiting`, `running`, `done`, `failed`, `cancelled`, `unknown` or `set aside`."""
    return state.value.replace("_", " ")


def explain_wait(job: Job) -> str:
    """What a job that waits waits for, other than its turn; "" for nothing else."""
    if job.is_paused:
        return PAUSED
    return FOR_OTHERS if job.is_for_others else ""


def name_purpose(purpose: Purpose) -> str:
    """What a job is for: `generate`, `regenerate`, `verify`, `restore`, `import`."""
    return purpose.value


def describe_purpose(purpose: Purpose) -> str:
    """What a job is doing: `generating`, `regenerating`, `verifying`, `restoring` …"""
    return _DOING[purpose]


def advise(state: JobState, *, retry: str = "R") -> str:
    """What to do about a job that ended so; "" where nothing is to be done.

    `retry` is the key that queues it again.
    """
    return _ADVICE.get(state, "").format(retry=retry)


def name_finish(reason: FinishReason) -> str:
    """How the engine ended: `success`, `filtered`, `error`."""
    return "filtered" if reason is FinishReason.FILTER else reason.value


# Where an image came from


_RELATIONS = {
    None: "edited from",
    Relation.EDIT: "edited from",
    Relation.VARIATION: "a variation of",
    Relation.INITIAL_IMAGE: "started from",
    Relation.UPSCALE: "made larger from",
}


def describe_lineage(image: Image) -> str:
    """`started from ID`, `made again from ID`, `the first of its line` …"""
    if image.imported is not None and not image.parent_id:
        return f"imported from {show_safely(image.imported.file_name) or 'a file'}"
    if not image.parent_id:
        return "the first of its line"
    match image.purpose:
        case Purpose.REGENERATE:
            how = "made again from"
        case Purpose.VERIFY | Purpose.RESTORE:
            how = "verified from"
        case Purpose.GENERATE | Purpose.IMPORT:
            how = _RELATIONS[image.relation]
    return f"{how} {image.parent_id}"


_GRADES = {
    "exact": "all of its record is there",
    "mapped": "all that it says is in the request",
    "partial": "some of it is not in the request",
    "text only": "little more than a text is known",
}


def describe_grade(imported: Imported) -> str:
    """Whose metadata an imported image had, and how much of it is known: `A1111, mapped: …`."""
    said = _GRADES.get(imported.grade)
    return f"{imported.dialect}, {imported.grade}" + (f": {said}" if said else "")


def describe_arrival(name: str, image: Image, *, is_new: bool) -> str:
    """What became of an imported file: `Imported x.png as 5d35: A1111, partial, 2 unread.`."""
    if not is_new:
        return f"{name} is in the history already, as {image.id[:4]}."
    said = ""
    if (imported := image.imported) is not None:
        unread = len(describe_unread(imported))
        said = f": {imported.dialect}, {imported.grade}" + (f", {unread} unread" if unread else "")
    return f"Imported {name} as {image.id[:4]}{said}."


NOT_KNOWN = "not known"


def describe_unsaid(imported: Imported) -> str:
    """The names of what its file did not say, where the request holds stand-ins; or ""."""
    return ", ".join(name_parameter(name) for name in imported.unsaid)


def write_known(image: Image, field: str, text: str) -> str:
    """`text`, the value of a field of its request, or that it is not known: `steps`, `model` …"""
    return text if _is_known(image, field) else NOT_KNOWN


def write_seed(image: Image) -> str:
    """The seed, or `-` where the file of an imported image did not say it."""
    return str(image.seed) if _is_known(image, "seed") else "-"


def _is_known(image: Image, field: str) -> bool:
    return image.imported is None or field not in image.imported.unsaid


def describe_unread(imported: Imported) -> list[str]:
    """What was not understood, or has no place in a request, a line each."""
    return [
        value if name == "note" else f"{name}: {value}"
        for name, value in imported.unread
        if value is not None
    ]


def describe_origin(image: Image) -> str:
    """What the first image of a line came from; "" where that is another image."""
    if image.imported is not None:
        return f"imported from {image.imported.file_name} ({image.imported.dialect})"
    if image.parent_id:
        return ""
    parameters = image.request.parameters
    if parameters.upscale is not None:
        return f"made larger from the file {_shorten(parameters.upscale.sha256)}"
    if parameters.initial_image is not None:
        return f"started from the file {_shorten(parameters.initial_image.sha256)}"
    return "the first of its line"


_STEPS = {
    None: "edited",
    Relation.EDIT: "edited",
    Relation.VARIATION: "varied",
    Relation.INITIAL_IMAGE: "started from it",
    Relation.UPSCALE: "made larger",
}


def name_step(image: Image) -> str:
    """How `image` came from its parent: `edited`, `varied`, `made again`, `made larger` …"""
    return "made again" if image.purpose is Purpose.REGENERATE else _STEPS[image.relation]


# Parameters


LABELS: Mapping[str, str] = {
    "prompts": "prompts",
    "seed": "seed",
    "steps": "steps",
    "cfg_scale": "cfg",
    "sampler": "sampler",
    "size": "size",
    "images": "images",
    "style_preset": "style",
    "engine": "engine",
    "model": "model",
    "initial_image": "from",
    "start_schedule": "start",
    "end_schedule": "end",
    "mask": "mask",
    "replaces": "replaces",
    "area_init": "area",
    "variation": "vary seed",
    "strength": "strength",
    "guidance": "guidance",
    "weight_method": "weights",
    "adapter": "adapter",
    "fine_tunes": "tuned by",
    "content_credentials": "signed",
    "upscale": "larger",
}
"""How a field of a request or draft is called before its value: at most 9 characters."""

_SAMPLER_WORDS = {
    "ddim": "DDIM: 1 prediction a step, no fresh noise",
    "ddpm": "DDPM, PLMS: 1 prediction a step, fresh noise",
    "k_euler": "Euler: 1 prediction a step, no fresh noise",
    "k_euler_ancestral": "Euler a: 1 prediction a step, fresh noise",
    "k_heun": "Heun: 2 predictions a step, no fresh noise",
    "k_dpm_2": "DPM2: 2 predictions a step, no fresh noise",
    "k_dpm_2_ancestral": "DPM2 a: 2 predictions a step, fresh noise",
    "k_dpmpp_2s_ancestral": "DPM++ 2S a: 2 predictions, fresh noise",
    "k_dpmpp_2m": "DPM++ 2M: 1 prediction, the last reused",
    "k_dpmpp_sde": "DPM++ SDE: 2 predictions, fresh noise",
    "k_lms": "LMS: 1 prediction, the last 3 reused",
}


def describe_sampler(name: str) -> str:
    """What a sampler is: as other programs call it, and what a step of it takes; or ""."""
    return _SAMPLER_WORDS.get(name, "")


_NAMES = {
    "initial_image": "initial image",
    "replaces": "mask replaces",
    "area_init": "mask area",
    "weight_method": "weights by",
    "content_credentials": "credentials",
    "upscale": "made larger",
    "upscaler": "enlarged by",
}
_OPTIONAL = (
    "initial_image",
    "mask",
    "variation",
    "guidance",
    "adapter",
    "fine_tunes",
    "content_credentials",
    "upscale",
)
_AREAS = {
    "original": "from the image that lies there",
    "random": "from noise",
    "zero": "from nothing",
}
_DIGEST_SHOWN = 8


def name_parameter(field: str) -> str:
    """How a field of a request is called where its value follows: `cfg`, `mask area`."""
    return _NAMES.get(field) or LABELS.get(field) or field.replace("_", " ")


def name_feature(field: str) -> str:
    """What a request may have and an engine may take, as a noun: `initial image`, `variation`."""
    return field.replace("_", " ")


def name_extras(parameters: Parameters) -> str:
    """The optional parameters that are set, as nouns, joined by commas; empty without any."""
    return ", ".join(name_feature(name) for name in _OPTIONAL if getattr(parameters, name))


def describe_extras(parameters: Parameters) -> list[tuple[str, list[str]]]:
    """The optional parameters that are set: a label, and sentences about it."""
    found: list[tuple[str, list[str]]] = []

    def tell(name: str, *sentences: str) -> None:
        found.append((LABELS[name], list(sentences)))

    if (initial := parameters.initial_image) is not None:
        tell("initial_image", *_describe_initial(initial))
    if (mask := parameters.mask) is not None:
        tell("mask", _describe_mask(mask))
    if (upscale := parameters.upscale) is not None:
        tell("upscale", _describe_upscale(upscale, parameters))
    if (variation := parameters.variation) is not None:
        tell("variation", f"{variation.seed}, {variation.strength:g} of it mixed in")
    if (guidance := parameters.guidance) is not None:
        tell("guidance", *_describe_guidance(guidance))
    if parameters.weight_method != "text_encoder":
        tell("weight_method", f"by {parameters.weight_method.replace('_', ' ')}")
    if (adapter := parameters.adapter) is not None:
        tell("adapter", _describe_adapter(adapter))
    if parameters.fine_tunes:
        tell("fine_tunes", *map(_describe_fine_tune, parameters.fine_tunes))
    if parameters.content_credentials is not None:
        tell("content_credentials", show_safely(parameters.content_credentials.replace("_", " ")))
    return found


def _shorten(sha256: str) -> str:
    return sha256[:_DIGEST_SHOWN]


def _describe_initial(initial: InitialImage) -> list[str]:
    kept = f"start {initial.start_schedule:g} (0 keeps it, 1 ignores it)"
    if initial.end_schedule:
        kept += f", end {initial.end_schedule:g}"
    return [f"the image file {_shorten(initial.sha256)}", kept]


def _describe_mask(mask: Mask) -> str:
    return f"{_shorten(mask.sha256)}: {mask.replaces} is made anew, {_AREAS[mask.area_init]}"


def _describe_upscale(upscale: Upscale, parameters: Parameters) -> str:
    size = write_size(parameters.width, parameters.height)
    return f"the image {_shorten(upscale.sha256)} made {size}, enlarged by {upscale.upscaler}"


def _describe_guidance(guidance: Guidance) -> list[str]:
    parts = [guidance.preset.replace("_", " ")]
    if guidance.strength is not None:
        parts.append(f"strength {guidance.strength:g}")
    if guidance.cuts is not None:
        parts.append(f"{guidance.cuts} cuts")
    lines = [", ".join(parts)]
    if guidance.models:
        lines.append(f"models: {show_safely(', '.join(guidance.models))}")
    if guidance.prompt is not None:
        lines.append(f"prompt: {show_safely(guidance.prompt)}")
    return lines


def _describe_adapter(adapter: Adapter) -> str:
    of = "of the initial image" if adapter.init == "image" else "that the initial image is already"
    return f"{adapter.kind} {of}, strength {adapter.strength:g}"


def _describe_fine_tune(tune: FineTune) -> str:
    weight = "" if tune.weight is None else f", weight {tune.weight:g}"
    return f"{show_safely(tune.model)}{weight}"


# Moments and numbers


def show_moment(seconds: float, has_year: bool = True) -> str:
    """Local date and time to the minute: `2026-11-27 16:48`, or without the year."""
    form = "%Y-%m-%d %H:%M" if has_year else "%m-%d %H:%M"
    return datetime.fromtimestamp(seconds).strftime(form)


def write_seconds(seconds: float) -> str:
    """How long something takes: `0.6 s`."""
    return f"{seconds:.1f} s"


def write_size(width: int, height: int) -> str:
    """Pixels: `128 x 192`."""
    return f"{width} x {height}"


def write_weight(
    weight: float, enabled: bool = True, *, has_unicode: bool = True, decimals: int = 3
) -> str:
    """`+1.0`, `−1.0`, `0.0` or `off`; at least one decimal, at most `decimals`."""
    if not enabled:
        return "off"
    digits = f"{abs(weight):.{decimals}f}".rstrip("0")
    digits = digits + "0" if digits.endswith(".") else digits
    minus = "\u2212" if has_unicode else "-"
    return ("" if weight == 0 else minus if weight < 0 else "+") + digits


def count_things(number: int, thing: str) -> str:
    """`1 image`, `1,024 images`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def write_ordinal(number: int) -> str:
    """`1st`, `2nd`, `3rd`, `4th`, `11th`, `21st` …"""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{'th' if number % 100 in (11, 12, 13) else ending}"


def describe_open(jobs: int, runs: int) -> str:
    """What would be ended: `3 jobs and 1 run or series`."""
    said = [count_things(jobs, "job")] if jobs else []
    if runs:
        said.append(_count_runs(runs))
    return " and ".join(said)


def _count_runs(runs: int) -> str:
    """Runs of verifications and series, counted together."""
    return f"{count_things(runs, 'run')} or series"


def describe_cancelled(jobs: int, runs: int) -> str:
    """What was ended by cancelling all: `3 jobs are stopped`, and the runs and series."""
    if not jobs and not runs:
        return "nothing waits or runs"
    said = f"{count_things(jobs, 'job')} {'is' if jobs == 1 else 'are'} stopped"
    return said + (f", and {_count_runs(runs)}" if runs else "")


def name_kind(kind: str) -> str:
    """Why a job failed, in a word or two: `over budget`, `unreachable`, `unknown` …"""
    return kind.replace("_", " ")


def write_duration(seconds: float) -> str:
    """How long something took in all: `45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min"
