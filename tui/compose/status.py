"""What is being made and what was made, in one line each. Pure text, no widget."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from store.records import FinishReason, Image, Job, JobState, Purpose, Verdict
from tui.terminal.glyphs import Glyphs
from tui.text import show_safely
from tui.words import describe_verdict, mark_verdict

_STATES = {
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.UNKNOWN: "outcome unknown",
    JobState.SET_ASIDE: "set aside: it ended its worker twice",
}
_ADVICE = {
    JobState.UNKNOWN: "It may have been charged. R sends it again, nothing else does.",
    JobState.SET_ASIDE: "R tries it once more.",
    JobState.CANCELLED: "R runs it again with the same seed.",
}
_STYLES = {
    None: "$role-quiet",
    Verdict.IDENTICAL: "$role-proven",
    Verdict.DIFFERENT: "$role-negative",
}
_PURPOSES = {Purpose.GENERATE: "", Purpose.REGENERATE: "regenerating", Purpose.VERIFY: "verifying"}


def describe_image(image: Image, place: int | None, glyphs: Glyphs) -> Content:
    """`seed 1229080980 · 0.6 s · ✓ identical · @1 3f9c`, and a warning below where there is one.

    `place` counts from 1 for the newest image, None when it is not known.
    """
    dot = f" {glyphs.dot} "
    sign = mark_verdict(image.verdict, has_unicode=glyphs.has_unicode)
    words = show_safely(describe_verdict(image.verdict, image.first_difference))
    place_text = "" if place is None else f"@{place} "
    parts: list[Content | str | tuple[str, str]] = [
        ("seed ", "$role-quiet"),
        str(image.seed),
        (f"{dot}{image.seconds:.1f} s{dot}", "$role-quiet"),
        (words if image.verdict is None else f"{sign} {words}", _STYLES.get(image.verdict, "")),
        (f"{dot}{place_text}{image.id[:4]}", "$role-quiet"),
    ]
    if image.finish_reason is FinishReason.FILTER:
        text = image.warning or "The service withheld or blurred this image."
        parts += ["\n", _warn(f"filtered{dot}{text}", glyphs)]
    elif image.warning:
        parts += ["\n", _warn(image.warning, glyphs)]
    return Content.assemble(*parts)


def _warn(text: str, glyphs: Glyphs) -> tuple[str, str]:
    return (f"{glyphs.warning} {show_safely(text)}", "bold $role-text")


def describe_jobs(jobs: Sequence[Job], glyphs: Glyphs, cost: str = "") -> Content:
    """`step 18 of 50 · 0.3 s left · x cancel` for unfinished jobs, oldest first.

    `cost` says what they may cost together, "" where they are free.
    """
    job = jobs[0]
    dot = f" {glyphs.dot} "
    purpose = _PURPOSES[job.purpose]
    if job.cancel_requested:
        said = "stopping"
    elif job.state is JobState.WAITING:
        said = "waiting for the worker"
    elif not job.step:
        said = "starting"
    else:
        said = f"step {job.step} of {job.steps}"
    parts: list[str | tuple[str, str]] = [(f"{purpose}{dot}", "$role-quiet")] if purpose else []
    parts.append(said)
    if job.seconds_left is not None and job.step:
        parts.append((f"{dot}{job.seconds_left:.1f} s left", "$role-quiet"))
    if len(jobs) > 1:
        parts.append((f"{dot}{len(jobs) - 1} more", "$role-quiet"))
    if cost:
        parts.append((f"{dot}{cost}", "$role-quiet"))
    if not job.cancel_requested:
        parts.append((f"{dot}x cancel", "$role-quiet"))
    return Content.assemble(*parts)


def describe_ended(job: Job, glyphs: Glyphs) -> Content:
    """Why a job made nothing, and what to do about it."""
    dot = f" {glyphs.dot} "
    state = _STATES.get(job.state, str(job.state))
    is_withheld = job.error_kind == "filtered"
    style = "bold $role-text" if is_withheld else "bold $role-negative"
    head = "filtered" if is_withheld else state
    parts: list[str | tuple[str, str]] = [(f"{glyphs.warning} {head}", style)]
    parts.append((f"{dot}seed {job.request.parameters.seed}", "$role-quiet"))
    if job.error:
        parts += ["\n", show_safely(job.error, lines=True)]
    advice = _ADVICE.get(job.state) or ("" if is_withheld else "R runs it again.")
    if advice:
        parts += ["\n", (advice, "$role-quiet")]
    return Content.assemble(*parts)


def describe_losses(losses: Sequence[str], glyphs: Glyphs) -> Content:
    """What the engine cannot honour of the draft, a line each."""
    return Content("\n").join(Content.assemble(_warn(text, glyphs)) for text in losses)


def describe_trouble(message: str, hint: str, glyphs: Glyphs) -> Content:
    """An error in place: what is wrong and what to do."""
    parts: list[str | tuple[str, str]] = [
        (f"{glyphs.warning} ", "bold $role-negative"),
        show_safely(message, lines=True),
    ]
    if hint:
        parts += ["\n", (show_safely(hint, lines=True), "$role-quiet")]
    return Content.assemble(*parts)
