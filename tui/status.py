"""Images and jobs as lines that are drawn: what is being made, what was made, what failed.

Content with styles, no widget. What the words are is in `words.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.content import Content

from store.records import (
    FinishReason,
    Image,
    Job,
    JobState,
    Purpose,
    RunState,
    Series,
    VerificationRun,
)
from tui.terminal.glyphs import Glyphs
from tui.text import show_safely, show_words
from tui.words import (
    FOR_OTHERS_ADVICE,
    PIXELS_DROPPED,
    STOPPING,
    STYLES,
    WITHHELD,
    advise,
    count_things,
    describe_counts,
    describe_purpose,
    explain_wait,
    find_certainty,
    mark_verdict,
    name_finish,
    name_purpose,
    name_run_state,
    name_state,
    show_moment,
    write_ordinal,
    write_seconds,
    write_seed,
)

_BAR = 12
_SIGNS = {
    JobState.WAITING: (" ", " "),
    JobState.RUNNING: ("▶", ">"),
    JobState.DONE: ("✓", "="),
    JobState.FAILED: ("✗", "x"),
    JobState.CANCELLED: ("–", "-"),
    JobState.UNKNOWN: ("?", "?"),
    JobState.SET_ASIDE: ("!", "!"),
}
_RUN_SIGNS = {
    RunState.PREPARING: (" ", " "),
    RunState.RUNNING: ("▶", ">"),
    RunState.PAUSED: ("‖", "|"),
    RunState.DONE: ("✓", "="),
    RunState.CANCELLED: ("–", "-"),
}
_STYLES = {
    JobState.RUNNING: "$role-focus",
    JobState.FAILED: "$role-negative",
    JobState.UNKNOWN: "$role-negative",
    JobState.SET_ASIDE: "$role-negative",
}
_QUIET = "$role-quiet"

Part = str | tuple[str, str]


# In a line or two, below the image


def describe_image(image: Image, place: int | None, glyphs: Glyphs) -> Content:
    """`seed 1229080980 · 0.6 s · ✓ identical · @1 3f9c`, and a warning below where there is one.

    `place` counts from 1 for the newest image, None when it is not known.
    """
    dot = f" {glyphs.dot} "
    verdict, words = find_certainty(image)
    words = show_safely(words)
    sign = mark_verdict(verdict, has_unicode=glyphs.has_unicode)
    place_text = "" if place is None else f"@{place} "
    parts: list[Content | Part] = [
        ("seed ", _QUIET),
        write_seed(image),
        (f"{dot}{write_seconds(image.seconds)}{dot}", _QUIET),
        (words if verdict is None else f"{sign} {words}", STYLES[verdict]),
        (f"{dot}{place_text}{image.id[:4]}", _QUIET),
    ]
    if image.finish_reason is FinishReason.FILTER:
        text = f"{name_finish(image.finish_reason)}{dot}{image.warning or WITHHELD}"
        parts += ["\n", _warn(text, glyphs)]
    elif image.warning:
        parts += ["\n", _warn(image.warning, glyphs)]
    if image.is_thinned:
        parts += ["\n", (PIXELS_DROPPED, _QUIET)]
    return Content.assemble(*parts)


def _warn(text: str, glyphs: Glyphs) -> tuple[str, str]:
    return (f"{glyphs.warning} {show_safely(text)}", "bold $role-text")


def describe_jobs(jobs: Sequence[Job], glyphs: Glyphs, cost: str = "") -> Content:
    """`step 18 of 50 · 0.3 s left · x cancel` for unfinished jobs, oldest first.

    `cost` says what they may cost together, "" where they are free.
    """
    job = jobs[0]
    dot = f" {glyphs.dot} "
    if job.cancel_requested:
        said = STOPPING
    elif job.state is JobState.WAITING:
        said = explain_wait(job) or "waiting for the worker"
    elif not job.step:
        said = "starting"
    else:
        said = f"step {job.step} of {job.steps}"
    parts: list[Part] = []
    if job.purpose is not Purpose.GENERATE:
        parts.append((f"{describe_purpose(job.purpose)}{dot}", _QUIET))
    parts.append(said)
    if job.seconds_left is not None and job.step:
        parts.append((f"{dot}{write_seconds(job.seconds_left)} left", _QUIET))
    if len(jobs) > 1:
        parts.append((f"{dot}{len(jobs) - 1} more", _QUIET))
    if cost:
        parts.append((f"{dot}{cost}", _QUIET))
    if not job.cancel_requested:
        parts.append((f"{dot}x cancel", _QUIET))
    return Content.assemble(*parts)


def describe_ended(job: Job, glyphs: Glyphs) -> Content:
    """Why a job made nothing, and what to do about it."""
    dot = f" {glyphs.dot} "
    is_withheld = job.error_kind == "filtered"
    style = "bold $role-text" if is_withheld else "bold $role-negative"
    head = name_finish(FinishReason.FILTER) if is_withheld else name_state(job.state)
    parts: list[Part] = [(f"{glyphs.warning} {head}", style)]
    parts.append((f"{dot}seed {job.request.parameters.seed}", _QUIET))
    if job.error:
        parts += ["\n", show_safely(job.error, lines=True)]
    # A filter finds again what it found: the same seed once more changes nothing.
    if not is_withheld and (advice := advise(job.state)):
        parts += ["\n", (advice, _QUIET)]
    return Content.assemble(*parts)


def describe_losses(losses: Sequence[str], glyphs: Glyphs) -> Content:
    """What the engine cannot honour of the draft, a line each: of the next images, none shown."""
    return Content("\n").join(Content.assemble(_warn(f"next: {text}", glyphs)) for text in losses)


def describe_trouble(message: str, hint: str, glyphs: Glyphs) -> Content:
    """An error in place: what is wrong and what to do."""
    parts: list[Part] = [
        (f"{glyphs.warning} ", "bold $role-negative"),
        show_safely(message, lines=True),
    ]
    if hint:
        parts += ["\n", (show_safely(hint, lines=True), _QUIET)]
    return Content.assemble(*parts)


# In the list of jobs


def describe_job(job: Job, *, has_blocks: bool = True) -> Content:
    """One job in one line: sign and state, what for, progress or when, seed, first prompt."""
    signs = _RUN_SIGNS[RunState.PAUSED] if job.is_paused else _SIGNS[job.state]
    sign = signs[0 if has_blocks else 1]
    style = _STYLES.get(job.state, "")
    is_stopping = job.cancel_requested and not job.state.is_final
    state = STOPPING if is_stopping else name_state(job.state)
    prompt = show_words(job)
    progress = _show_place(job) or _show_progress(job, has_blocks)
    when = (progress, style) if progress else (show_moment(job.created_at), _QUIET)
    parts: list[Part] = [
        (f"{sign} {state:<10} ", style),
        f"{name_purpose(job.purpose):<11}",
        (f"{when[0]:<{_BAR + 8}}", when[1]),
        f"{job.request.parameters.seed:>10}  {prompt}",
        (f"  {job.request.engine}", _QUIET),
    ]
    return Content.assemble(*parts)


def _show_place(job: Job) -> str:
    """`next`, `2nd` … for a job whose place in the queue is known."""
    if job.place is None:
        return ""
    return "next" if job.place == 1 else f"{write_ordinal(job.place)} to come"


def _show_progress(job: Job, has_blocks: bool) -> str:
    if job.state.is_final or not job.steps:
        return ""
    return _draw_bar(job.step, job.steps, has_blocks)


def _draw_bar(count: int, total: int, has_blocks: bool) -> str:
    full, empty = ("━", "·") if has_blocks else ("#", ".")
    done = round(_BAR * count / total) if total else 0
    return f"{full * done}{empty * (_BAR - done)} {count}/{total}"


def describe_run(
    run: VerificationRun, verdicts: Mapping[str, int], *, has_blocks: bool = True
) -> Content:
    """One run of verifications in one line: sign and state, progress, verdicts, what chose it."""
    sign = _RUN_SIGNS[run.state][0 if has_blocks else 1]
    style = "$role-focus" if run.state is RunState.RUNNING else ""
    parts: list[Part] = [
        (f"{sign} {name_run_state(run.state):<10} ", style),
        f"{'verify all':<11}",
        (f"{_draw_bar(run.done, run.total, has_blocks):<{_BAR + 8}}", style),
        f"  {describe_counts(verdicts)}",
        (f"  {show_safely(run.search)}", _QUIET),
    ]
    return Content.assemble(*parts)


def explain_run(run: VerificationRun, verdicts: Mapping[str, int]) -> Content:
    """All that is known of a run of verifications, and what can be done about it."""
    parts: list[Part] = [
        (f"{name_run_state(run.state)}  ", "bold"),
        (f"run {run.id[:8]}, begun {show_moment(run.created_at)}: ", _QUIET),
        show_safely(run.search),
        f"\n{run.done:,} of {run.total:,} images: {describe_counts(verdicts)}",
    ]
    advice = {
        RunState.PREPARING: "It is being put together; x ends one that was interrupted at that.",
        RunState.RUNNING: "It goes on when no other job waits. p pauses it, x ends it.",
        RunState.PAUSED: "p goes on with it, x ends it.",
    }
    said = advice.get(run.state, f"safelight runs {run.id[:8]} prints its verdicts.")
    parts.append((f"\n{said}", _QUIET))
    return Content.assemble(*parts)


def describe_series(series: Series, *, has_blocks: bool = True) -> Content:
    """One series in one line: sign and state, until when, how many jobs it had, first prompt."""
    sign = _RUN_SIGNS[series.state][0 if has_blocks else 1]
    style = "$role-focus" if series.state is RunState.RUNNING else ""
    parts: list[Part] = [
        (f"{sign} {name_run_state(series.state):<10} ", style),
        f"{'series':<11}",
        (f"{f'until {show_moment(series.until, has_year=False)}':<{_BAR + 8}}", style),
        f"{count_things(series.taken, 'job'):>10}  ",
        show_safely(series.first.stack.prompts[0].text),
        (f"  {series.first.engine}", _QUIET),
    ]
    return Content.assemble(*parts)


def explain_series(series: Series) -> Content:
    """All that is known of a series, and what can be done about it."""
    parts: list[Part] = [
        (f"{name_run_state(series.state)}  ", "bold"),
        (f"series {series.id[:8]}, begun {show_moment(series.created_at)}, ", _QUIET),
        f"until {show_moment(series.until)}",
        f"\n{count_things(series.taken, 'job')} so far, "
        f"{count_things(series.requests, 'image')} a round, each round with other seeds",
    ]
    if series.error:
        parts.append((f"\n{show_safely(series.error, lines=True)}", "$role-negative"))
    advice = {
        RunState.RUNNING: "It goes on when no other job waits. p pauses it, x ends it.",
        RunState.PAUSED: "p goes on with it, x ends it.",
    }
    said = advice.get(series.state, "What it made is in the history; safelight report sums it up.")
    parts.append((f"\n{said}", _QUIET))
    return Content.assemble(*parts)


def explain_job(job: Job) -> Content:
    """All that is known of a job, and what can be done about it."""
    parts: list[Part] = [
        (f"{name_state(job.state)}  ", "bold"),
        (f"job {job.id[:8]}, engine {job.request.engine}", _QUIET),
    ]
    if job.attempts > 1:
        parts.append((f", attempt {job.attempts}", _QUIET))
    if job.seconds_left is not None and not job.state.is_final:
        parts.append(f"\nabout {write_seconds(job.seconds_left)} left")
    if job.error:
        parts.append((f"\n{show_safely(job.error, lines=True)}", "$role-negative"))
    if job.warning:
        parts.append(f"\n{show_safely(job.warning, lines=True)}")
    if job.is_for_others:
        parts.append((f"\n{FOR_OTHERS_ADVICE}", _QUIET))
    if job.is_paused:
        parts.append("\nThe queue is paused: it is not begun before p goes on with the queue.")
    if advice := advise(job.state):
        parts.append((f"\n{advice}", _QUIET))
    elif job.state is JobState.WAITING:
        said = "x stops it; t makes it the next one, K and J move it earlier and later."
        parts.append((f"\n{said}", _QUIET))
    elif not job.state.is_final:
        parts.append(("\nx stops it within one step.", _QUIET))
    return Content.assemble(*parts)
