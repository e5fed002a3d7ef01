"""The whole record of one image: what is known of it in words, and the text that scrolls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from engines.base import Weight
from engines.cost import describe_cost
from store.records import (
    Image,
    Job,
    JobState,
    Stage,
    Verification,
)
from tui.keys import bind_move
from tui.marks import describe_marks
from tui.outlook import describe_changes_since, describe_outlook
from tui.terminal.detect import get_display
from tui.text import show_safely
from tui.widgets.text_lines import hang
from tui.words import (
    PIXELS_DROPPED,
    STYLES,
    describe_changes,
    describe_extras,
    describe_grade,
    describe_lineage,
    describe_purpose,
    describe_unread,
    describe_verdict,
    find_certainty,
    mark_verdict,
    name_finish,
    name_state,
    show_moment,
    write_known,
    write_seconds,
    write_size,
    write_weight,
)

if TYPE_CHECKING:
    from engines.outlook import Preflight

LABEL = 10
METADATA_SHOWN = 4000
"""Most characters of the metadata of another program that are shown."""

_QUIET = "$role-quiet"
_WEIGHTS = {
    Weight.PREVENTS: "bold $role-negative",
    Weight.DECIDES: "bold $role-negative",
    Weight.DOES_NOT_DECIDE: _QUIET,
}

Part = str | tuple[str, str]


class Line(NamedTuple):
    """One entry: a label, and what it labels; `indent` more cells before wrapped lines."""

    label: str
    value: Content
    indent: int = 0


class RecordView(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows what `describe_record` says, its lines as long as there is room.

    It draws its own lines, so that another record, or one more step of a verification, lays
    nothing out anew and sends only the lines in sight.
    """

    BINDING_GROUP_TITLE = "on the record of an image"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind_move("up,k", "scroll_lines(-1)", "record.up", "Scroll up by a line"),
        bind_move("down,j", "scroll_lines(1)", "record.down", "Scroll down by a line"),
        bind_move("pageup", "scroll_pages(-1)", "record.page_up", "Scroll up by a page"),
        bind_move("pagedown", "scroll_pages(1)", "record.page_down", "Scroll down by a page"),
        bind_move("home", "scroll_to_top", "record.top", "Scroll to the beginning"),
        bind_move("end,G", "scroll_to_end", "record.end", "Scroll to the end"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._facts: tuple[Image, Sequence[Verification], Sequence[Job]] | None = None
        self._outlook: Preflight | None = None
        self._lines: list[Content] = []
        self._width = 0

    @property
    def text(self) -> str:
        """What is shown."""
        return "\n".join(line.plain for line in self._lines)

    def show_record(
        self, image: Image | None, verifications: Sequence[Verification], jobs: Sequence[Job]
    ) -> None:
        """Show the record of `image`, or nothing. Another image is shown from its beginning."""
        before = self._facts[0].id if self._facts else None
        self._facts = (image, verifications, jobs) if image else None
        if image is None or (self._outlook is not None and self._outlook.image_id != image.id):
            self._outlook = None
        if image is None or image.id != before:
            self.scroll_home(animate=False)
        self._write()

    def show_outlook(self, outlook: Preflight) -> None:
        """Also show what is other now than when the image was made, if it is the one shown."""
        if self._facts is not None and self._facts[0].id == outlook.image_id:
            self._outlook = outlook
            self._write()

    def _write(self) -> None:
        lines: list[Content] = []
        if self._facts:
            self._width = self.scrollable_content_region.width or 60
            has_unicode = get_display(self.app).has_unicode
            lines = describe_record(
                *self._facts, outlook=self._outlook, width=self._width, has_unicode=has_unicode
            )
        before, self._lines = self._lines, lines
        if len(lines) != len(before):
            self.virtual_size = Size(self.scrollable_content_region.width, len(lines))
        for place in range(max(len(lines), len(before))):
            if place >= min(len(lines), len(before)) or lines[place] != before[place]:
                self.refresh_line(place)

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        """Lines end elsewhere."""
        self._write()

    def render_line(self, y: int) -> Strip:
        """One line of the record."""
        width = self.scrollable_content_region.width
        if self._facts and width != self._width:
            # A line that is longer than the room would lose its end.
            self.call_later(self._write)
        place = y + self.scroll_offset.y
        if place >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        strips = Visual.to_strips(self, self._lines[place], width, 1, self.visual_style, pad=True)
        return strips[0] if strips else Strip.blank(width, self.rich_style)

    def action_scroll_lines(self, lines: int) -> None:
        """Scroll by lines."""
        self.scroll_relative(y=lines, animate=False)

    def action_scroll_pages(self, pages: int) -> None:
        """Scroll by what is in sight, but for one line."""
        self.scroll_relative(y=pages * max(1, self.size.height - 1), animate=False)

    def action_scroll_to_top(self) -> None:
        """Scroll to the beginning."""
        self.scroll_home(animate=False)

    def action_scroll_to_end(self) -> None:
        """Scroll to the end."""
        self.scroll_end(animate=False)


# In words


def describe_record(
    image: Image,
    verifications: Sequence[Verification] = (),
    jobs: Sequence[Job] = (),
    *,
    outlook: Preflight | None = None,
    width: int = 80,
    has_unicode: bool = True,
) -> list[Content]:
    """The whole record, by lines: verdicts, then what made the image, then how and where.

    `jobs` are the image's own, newest first: one that runs shows its progress, the newest
    one that failed its reason. `outlook`: what is other now. Nothing is cut: what is longer than
    `width` goes on below.
    """
    lines = _describe_certainty(image, verifications, jobs, has_unicode)
    if outlook is not None:
        lines += _describe_since(outlook)
    lines += _describe_said(image, has_unicode)
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
    verdict, words = find_certainty(image, newest)
    sign = mark_verdict(verdict, has_unicode=has_unicode)
    lines = [_line("verdict", (f"{sign} {show_safely(words)}", STYLES[verdict]))]
    if changes := describe_changes(image):
        lines.append(_line("record", (show_safely(changes), "bold $role-negative")))
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
        lines.append(_line("damaged", (said, "bold $role-negative")))
    if image.warning:
        lines.append(_line("warning", (show_safely(image.warning), "bold")))
    if image.is_thinned:
        lines.append(_line("thinned", PIXELS_DROPPED))
    if image.finish_reason != "success":
        lines.append(_line("finish", (name_finish(image.finish_reason), "bold")))
    return lines


def _describe_since(outlook: Preflight) -> list[Line]:
    """What is other now than when it was made, before it is made again."""
    lines = [_line("since", describe_outlook(outlook))]
    for weight, text in describe_changes_since(outlook):
        lines.append(_line("", (text, _WEIGHTS.get(weight, ""))))
    if outlook.cost != 0:
        lines.append(_line("", f"making it again takes {describe_cost(outlook.cost)}"))
    return lines


def _find_telling_job(jobs: Sequence[Job], newest: Verification | None) -> Job | None:
    """The newest job, unless its verdict is shown already or it needs no word."""
    if not jobs or jobs[0].state is JobState.DONE:
        return None
    if newest and jobs[0].verification_number == newest.number:
        return None
    return jobs[0]


def _describe_job(job: Job) -> list[Line]:
    doing = describe_purpose(job.purpose)
    if not job.state.is_final:
        step = f"step {job.step} of {job.steps}" if job.step else name_state(job.state)
        return [_line("now", f"{doing}: {step}")]
    lines = [_line("last", f"{doing}: {name_state(job.state)}")]
    if job.error:
        lines.append(_line("", show_safely(job.error)))
    return lines


def _describe_said(image: Image, has_unicode: bool) -> list[Line]:
    """What a person said of it."""
    lines = []
    if said := describe_marks(image, has_unicode=has_unicode):
        lines.append(_line("marked", show_safely(said)))
    for place, text in enumerate((image.note or "").splitlines()):
        lines.append(_line("note" if place == 0 else "", show_safely(text)))
    return lines


def _describe_request(image: Image, has_unicode: bool) -> list[Line]:
    parameters = image.request.parameters
    size = write_size(parameters.width, parameters.height)
    model = write_known(image, "model", image.request.model)
    lines = [_GAP]
    for place, prompt in enumerate(image.request.stack.prompts):
        weight = write_weight(prompt.weight, prompt.enabled, has_unicode=has_unicode, decimals=4)
        is_quiet = not prompt.enabled
        style = _QUIET if is_quiet else "$role-negative" if prompt.weight < 0 else ""
        label = "prompts" if place == 0 else ""
        text = show_safely(prompt.text)
        body = (text, _QUIET if is_quiet else "")
        lines.append(_line(label, (f"{weight:>5}  ", style), body, indent=7))
    lines += [
        _GAP,
        _line("seed", write_known(image, "seed", str(parameters.seed))),
        _line("steps", write_known(image, "steps", str(parameters.steps))),
        _line("cfg", write_known(image, "cfg_scale", f"{parameters.cfg_scale:g}")),
        _line("sampler", write_known(image, "sampler", parameters.sampler)),
        _line("size", write_known(image, "size", size)),
        _line("style", parameters.style_preset or "none"),
        _line("engine", f"{image.request.engine}, model {model}"),
    ]
    for label, sentences in describe_extras(parameters):
        lines += [
            _line(label if place == 0 else "", sentence) for place, sentence in enumerate(sentences)
        ]
    return lines


def _describe_origin(image: Image) -> list[Line]:
    lines = [_GAP]
    lines.append(_line("lineage", describe_lineage(image)))
    lines += _describe_imported(image)
    lines.append(_line("made", f"{show_moment(image.created_at)}, {write_seconds(image.seconds)}"))
    if image.session:
        lines.append(_line("session", show_safely(image.session)))
    return lines


def _describe_imported(image: Image) -> list[Line]:
    """Whose image it is, and what of its metadata is not in the request, to the last word."""
    if (imported := image.imported) is None:
        return []
    lines = [_line("imported", show_safely(describe_grade(imported)))]
    lines += [
        _line("unread" if place == 0 else "", show_safely(text))
        for place, text in enumerate(describe_unread(imported))
    ]
    if imported.text and imported.dialect != "safelight":
        lines += [
            _line("metadata" if place == 0 else "", (show_safely(text), _QUIET))
            for place, text in enumerate(imported.text[:METADATA_SHOWN].split("\n"))
        ]
    return lines


def _describe_digests(image: Image) -> list[Line]:
    size = write_size(image.width, image.height)
    return [
        _line("image", image.id),
        _line("request", image.request_digest),
        _line("pixels", image.pixels_sha256),
        _line("file", image.file_sha256),
        _line("", f"{image.mime}, {image.file_bytes:,} bytes, {size}"),
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
