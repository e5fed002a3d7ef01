"""Everything that is known of one image, as text for the screen. Pure, no widget."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from textual.content import Content

from store.records import Image, Job, JobState, Purpose, Relation, Stage, Verification
from store.request import Prompt
from tui.text import show_safely
from tui.widgets.text_lines import hang
from tui.words import STYLES, describe_extras, describe_verdict, mark_verdict

LABEL = 10
_QUIET = "$secondary"
_RELATIONS = {
    None: "edited from",
    Relation.EDIT: "edited from",
    Relation.VARIATION: "a variation of",
    Relation.INITIAL_IMAGE: "started from",
    Relation.UPSCALE: "made larger from",
}
_MINUS = "\u2212"

Part = str | tuple[str, str]


class Line(NamedTuple):
    """One entry: a label, and what it labels; `indent` more cells before wrapped lines."""

    label: str
    value: Content
    indent: int = 0


def describe_record(
    image: Image,
    verifications: Sequence[Verification] = (),
    jobs: Sequence[Job] = (),
    *,
    width: int = 80,
    has_unicode: bool = True,
) -> list[Content]:
    """The whole record, by lines: verdicts, then what made the image, then how and where.

    `jobs` are the image's own, newest first: one that runs shows its progress, the newest
    one that failed its reason. Nothing is cut: what is longer than `width` goes on below.
    """
    lines = _describe_certainty(image, verifications, jobs, has_unicode)
    lines += _describe_request(image, has_unicode)
    lines += _describe_origin(image)
    lines += _describe_digests(image)
    lines += _describe_environment(image)
    lines += _describe_older(verifications, has_unicode)
    return [laid for line in lines for laid in _lay(line, width)]


def _lay(line: Line, width: int) -> list[Content]:
    """The entry in lines of at most `width` cells, those after the first one indented."""
    text = Content.assemble((f"{line.label:<{LABEL}}", _QUIET), line.value)
    return hang(text, width, LABEL + line.indent)


def _line(label: str, *parts: Part, indent: int = 0) -> Line:
    return Line(label, Content.assemble(*parts), indent)


_GAP = Line("", Content(""))


def _describe_certainty(
    image: Image, verifications: Sequence[Verification], jobs: Sequence[Job], has_unicode: bool
) -> list[Line]:
    newest = verifications[0] if verifications else None
    verdict = newest.verdict if newest else image.verdict
    where = newest.first_difference if newest else image.first_difference
    sign = mark_verdict(verdict, has_unicode=has_unicode)
    words = show_safely(describe_verdict(verdict, where))
    lines = [_line("verdict", (f"{sign} {words}", STYLES[verdict]))]
    if newest and newest.detail:
        lines.append(_line("", show_safely(newest.detail)))
    if newest and newest.psnr_db is not None:
        lines.append(_line("", f"{newest.psnr_db:.1f} dB against the first pixels"))
    if newest:
        lines.append(_line("", (f"verified {show_moment(newest.created_at)}", _QUIET)))
    if job := _find_telling_job(jobs, newest):
        lines += _describe_job(job)
    if image.is_damaged:
        said = "this record no longer fits its digest: what is shown may not be what was run"
        lines.append(_line("damaged", (said, "bold $error")))
    if image.warning:
        lines.append(_line("warning", (show_safely(image.warning), "bold")))
    if image.finish_reason != "success":
        lines.append(_line("finish", (image.finish_reason.value, "bold")))
    return lines


def _find_telling_job(jobs: Sequence[Job], newest: Verification | None) -> Job | None:
    """The newest job, unless its verdict is shown already or it needs no word."""
    if not jobs or jobs[0].state is JobState.DONE:
        return None
    if newest and jobs[0].verification_number == newest.number:
        return None
    return jobs[0]


def _describe_job(job: Job) -> list[Line]:
    doing = "verifying" if job.purpose is Purpose.VERIFY else "regenerating"
    if not job.state.is_final:
        step = f"step {job.step} of {job.steps}" if job.step else job.state.value
        return [_line("now", f"{doing}: {step}")]
    lines = [_line("last", f"{doing}: {job.state.value.replace('_', ' ')}")]
    if job.error:
        lines.append(_line("", show_safely(job.error)))
    return lines


def _describe_request(image: Image, has_unicode: bool) -> list[Line]:
    parameters = image.request.parameters
    lines = [_GAP]
    for place, prompt in enumerate(image.request.stack.prompts):
        weight, style = _show_weight(prompt, has_unicode)
        label = "prompts" if place == 0 else ""
        text = show_safely(prompt.text)
        body = (text, _QUIET if weight == "off" else "")
        lines.append(_line(label, (f"{weight:>5}  ", style), body, indent=7))
    lines += [
        _GAP,
        _line("seed", str(parameters.seed)),
        _line("steps", str(parameters.steps)),
        _line("cfg", f"{parameters.cfg_scale:g}"),
        _line("sampler", parameters.sampler),
        _line("size", f"{parameters.width} x {parameters.height}"),
        _line("style", parameters.style_preset or "none"),
        _line("engine", f"{image.request.engine}, model {image.request.model}"),
    ]
    for label, sentences in describe_extras(parameters):
        lines += [
            _line(label if place == 0 else "", sentence) for place, sentence in enumerate(sentences)
        ]
    return lines


def _show_weight(prompt: Prompt, has_unicode: bool) -> tuple[str, str]:
    if not prompt.enabled:
        return "off", _QUIET
    digits = f"{abs(prompt.weight):.4f}".rstrip("0")
    digits += "0" if digits.endswith(".") else ""
    if prompt.weight < 0:
        return (_MINUS if has_unicode else "-") + digits, "$error"
    return f"+{digits}", ""


def _describe_origin(image: Image) -> list[Line]:
    lines = [_GAP]
    if image.parent_id:
        how = {
            Purpose.REGENERATE: "made again from",
            Purpose.GENERATE: _RELATIONS[image.relation],
            Purpose.VERIFY: "verified from",
        }[image.purpose]
        lines.append(_line("lineage", f"{how} {image.parent_id}"))
    else:
        lines.append(_line("lineage", "the first of its line"))
    lines.append(_line("made", f"{show_moment(image.created_at)}, {image.seconds:.1f} s"))
    if image.session:
        lines.append(_line("session", show_safely(image.session)))
    return lines


def _describe_digests(image: Image) -> list[Line]:
    return [
        _line("image", image.id),
        _line("request", image.request_digest),
        _line("pixels", image.pixels_sha256),
        _line("file", image.file_sha256),
        _line("", f"{image.mime}, {image.file_bytes:,} bytes, {image.width} x {image.height}"),
        _line("path", show_safely(str(image.path))),
    ]


def _describe_environment(image: Image) -> list[Line]:
    lines = [_GAP, _line("made by", image.environment_digest)]
    values = image.environment.values if image.environment else {}
    lines += [
        _line("", (f"{show_safely(name)}: ", _QUIET), show_safely(value))
        for name, value in sorted(values.items())
    ]
    lines += [
        _line("", (f"{show_safely(name)}: ", _QUIET), show_safely(value))
        for name, value in sorted(image.meta.items())
    ]
    if image.stages:
        lines += _describe_stages(image.stages)
    return lines


def _describe_stages(stages: Sequence[Stage]) -> list[Line]:
    """Name and digest of each, so that two records can be compared by eye."""
    lines = []
    for place, stage in enumerate(stages):
        name = f"{stage.name} {stage.step}" if stage.step else stage.name
        label = "stages" if place == 0 else ""
        digest = (stage.sha256[:16], _QUIET)
        lines.append(_line(label, f"{show_safely(name)}  ", digest))
    return lines


def _describe_older(verifications: Sequence[Verification], has_unicode: bool) -> list[Line]:
    if not verifications:
        return []
    lines = [_GAP]
    for place, row in enumerate(verifications):
        sign = mark_verdict(row.verdict, has_unicode=has_unicode)
        words = show_safely(describe_verdict(row.verdict, row.first_difference))
        label = "verified" if place == 0 else ""
        when = f"{show_moment(row.created_at)}  "
        lines.append(_line(label, (when, _QUIET), (f"{sign} {words}", STYLES[row.verdict])))
    return lines


def show_moment(seconds: float) -> str:
    """Local date and time to the minute."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
