"""Jobs in words: one line each, and the whole story of one. Pure text, no widget."""

from __future__ import annotations

from textual.content import Content

from store.records import Job, JobState, Purpose
from tui.history.record_text import show_moment
from tui.text import show_first_prompt, show_safely

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
_STYLES = {
    JobState.RUNNING: "$accent",
    JobState.FAILED: "$error",
    JobState.UNKNOWN: "$error",
    JobState.SET_ASIDE: "$error",
}
_ADVICE = {
    JobState.FAILED: "R tries it again with the same seed.",
    JobState.CANCELLED: "R runs it after all.",
    JobState.UNKNOWN: "It reached a paid service and no answer was recorded: it may have been "
    "charged. R sends it again.",
    JobState.SET_ASIDE: "It ended its worker twice. R tries once more.",
}
_DOING = {
    Purpose.GENERATE: "generate",
    Purpose.REGENERATE: "regenerate",
    Purpose.VERIFY: "verify",
}


def describe_job(job: Job, *, has_blocks: bool = True) -> Content:
    """One job in one line: sign and state, what for, progress or when, seed, first prompt."""
    sign = _SIGNS[job.state][0 if has_blocks else 1]
    style = _STYLES.get(job.state, "")
    state = job.state.value.replace("_", " ")
    if job.cancel_requested and not job.state.is_final:
        state = "stopping"
    prompt = show_first_prompt(job.request)
    progress = _show_progress(job, has_blocks)
    when = (progress, style) if progress else (show_moment(job.created_at), "$secondary")
    parts: list[str | tuple[str, str]] = [
        (f"{sign} {state:<10} ", style),
        f"{_DOING[job.purpose]:<11}",
        (f"{when[0]:<{_BAR + 8}}", when[1]),
        f"{job.request.parameters.seed:>10}  {prompt}",
        (f"  {job.request.engine}", "$secondary"),
    ]
    return Content.assemble(*parts)


def _show_progress(job: Job, has_blocks: bool) -> str:
    if job.state.is_final or not job.steps:
        return ""
    full, empty = ("━", "·") if has_blocks else ("#", ".")
    done = round(_BAR * job.step / job.steps)
    return f"{full * done}{empty * (_BAR - done)} {job.step}/{job.steps}"


def explain_job(job: Job) -> Content:
    """All that is known of a job, and what can be done about it."""
    parts: list[str | tuple[str, str]] = [
        (f"{job.state.value.replace('_', ' ')}  ", "bold"),
        (f"job {job.id[:8]}, engine {job.request.engine}", "$secondary"),
    ]
    if job.attempts > 1:
        parts.append((f", attempt {job.attempts}", "$secondary"))
    if job.seconds_left is not None and not job.state.is_final:
        parts.append(f"\nabout {job.seconds_left:.1f} s left")
    if job.error:
        parts.append((f"\n{show_safely(job.error, lines=True)}", "$error"))
    if job.warning:
        parts.append(f"\n{show_safely(job.warning, lines=True)}")
    if advice := _ADVICE.get(job.state):
        parts.append((f"\n{advice}", "$secondary"))
    elif not job.state.is_final:
        parts.append(("\nx stops it within one step.", "$secondary"))
    return Content.assemble(*parts)
