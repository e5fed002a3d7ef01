"""The compare screen: two images beside or over each other, and what differs between them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen
from textual.timer import Timer

from engines.bisection import Trial
from engines.pixel_difference import PEAK
from store.errors import SafelightError
from store.records import Image, Job
from tui.compare.bisection import BisectRun
from tui.compare.drawing import (
    AMPLIFICATIONS,
    PairPixels,
    choose_amplification,
    draw_amplified,
    draw_wipe,
    read_pixels,
)
from tui.compare.lines import Line, describe_explanation, describe_pair, describe_trial
from tui.compare.pair import ImagePair, LoadedImage, load_pair
from tui.compare.view import DifferenceView
from tui.darkroom import Darkroom
from tui.dialogs import ChoiceScreen
from tui.keys import Reasoned, Released, Said, bind_steps
from tui.terminal.detect import get_display
from tui.text import show_first_prompt
from tui.widgets.cell import Cell
from tui.widgets.key_line import KeyLine
from tui.widgets.picture import Picture
from tui.widgets.text_lines import fit_text
from tui.words import show_moment
from tui.work import start_work

VIEWS = ("side", "flicker", "wipe", "difference")
NAMES = {"side": "side by side", "flicker": "flicker", "wipe": "wipe", "difference": "difference"}
FLICKER_SECONDS = 0.8
WIPE_STEP = 0.05
NOT_READ = "The images are being read."


class CompareScreen(Reasoned, Screen[None]):
    """Image A (`one`) and image B (`other`), given by their ids.

    Above the images in one of four views, below only what differs. `keymap` holds keys by binding
    id.
    """

    CSS_PATH = "compare.tcss"
    BINDING_GROUP_TITLE = "while comparing"
    LEADING: ClassVar[tuple[str, ...]] = (
        "compare.leave",
        "compare.side",
        "compare.flicker",
        "compare.wipe",
        "compare.difference",
        "compare.less",
        "compare.more",
        "compare.bisect",
        "help",
        "compare.swap",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "back", tooltip="Go back", id="compare.leave"),
        Binding(
            "s",
            "view('side')",
            "side",
            tooltip="Show the images side by side",
            id="compare.side",
        ),
        Binding(
            "f,space",
            "flicker",
            "flicker",
            tooltip="Flicker: show one image in the other's place, and back with each press",
            id="compare.flicker",
        ),
        Binding(
            "t",
            "turn_timer",
            "by itself",
            tooltip="Flicker by itself, or stop; each turn is sent to the terminal",
            show=False,
            id="compare.timer",
        ),
        Binding(
            "w",
            "view('wipe')",
            "wipe",
            tooltip="Wipe: A left of a line and B right of it; left and right move the line",
            id="compare.wipe",
        ),
        Binding(
            "d",
            "view('difference')",
            "difference",
            tooltip="Show the difference as an image; + and - change how much it is amplified",
            id="compare.difference",
        ),
        *bind_steps(
            "compare",
            "step",
            "line, scale",
            "Move the line of the wipe left, or amplify the difference less",
            "Move the line of the wipe right, or amplify the difference more",
        ),
        Binding(
            "b",
            "bisect",
            "bisect",
            tooltip="Bisect: make images in between until the change that explains the difference "
            "is found; once more ends it",
            id="compare.bisect",
        ),
        Binding("x", "swap", "swap", tooltip="Swap A and B", id="compare.swap"),
        Binding(
            "n",
            "take_partner(False)",
            "older A",
            tooltip="Compare with another image: as A the one made before it",
            id="compare.older",
        ),
        Binding(
            "p",
            "take_partner(True)",
            "newer A",
            tooltip="Compare with another image: as A the one made after it",
            id="compare.newer",
        ),
        Binding(
            "A",
            "load(0)",
            "load A",
            tooltip="Load the whole image A into the editor",
            id="compare.load_one",
        ),
        Binding(
            "B",
            "load(1)",
            "load B",
            tooltip="Load the whole image B into the editor",
            id="compare.load_other",
        ),
        Binding(
            "z",
            "turn_size",
            "size",
            tooltip="Give all the room to the images, to what differs, or to both",
            show=False,
            id="compare.size",
        ),
    ]

    view: var[str] = var("side")
    shows_other: var[bool] = var(False, toggle_class="-other")
    share: var[float] = var(0.5)
    times: var[int] = var(1)
    pair: var[ImagePair | None] = var(None)

    class ImageLoaded(Message):
        """The whole of `image` is wanted in the editor."""

        def __init__(self, image: Image) -> None:
            super().__init__()
            self.image = image

    def __init__(
        self,
        darkroom: Darkroom,
        one: str,
        other: str,
        keymap: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.darkroom = darkroom
        self._wanted = (one, other)
        self._has_answer = False
        self._pixels: PairPixels | None = None
        self._timer: Timer | None = None
        self._room = ""
        self._run: BisectRun | None = None
        self._lines: list[Line] = []
        self._found: list[Line] = []
        self._trials: list[Line] = []
        # Held, not looked for: what was on its way when the screen is left finds them still.
        self.one, self.other = Picture(id="compare-one"), Picture(id="compare-other")
        self.made = Picture(id="compare-made")
        self.details = DifferenceView(id="compare-details")
        self._head, self._caption = Cell(id="compare-head"), Cell(id="compare-caption")
        self._keys = KeyLine(keymap)

    def compose(self) -> ComposeResult:
        """Which two, the images, what is shown of them, what differs, the keys."""
        yield self._head
        with Container(id="compare-images"):
            yield self.one
            yield self.other
            yield self.made
        yield self._caption
        yield self.details
        yield self._keys

    def on_mount(self) -> None:
        """Read both images."""
        self.details.border_title = "what differs, from A to B"
        self.details.focus()
        self._show_view()
        start_work(self, self._load, "load", is_exclusive=True)

    # The two images

    def is_holding(self, event: events.Key | events.Paste) -> bool:
        """Whether what was pressed waits: until the images are read, or cannot be read."""
        is_leaving = isinstance(event, events.Key) and event.key == "escape"
        return self.is_running and not self._has_answer and not is_leaving

    async def _load(self) -> None:
        try:
            await self._read_pair()
        except SafelightError as error:
            self.say(str(error))
        self._has_answer = True
        self.post_message(Released())

    async def _read_pair(self) -> None:
        pair = await load_pair(self.darkroom, *self._wanted)
        self._pixels = await asyncio.to_thread(read_pixels, pair)
        self._lines = await asyncio.to_thread(describe_pair, pair, has_unicode=self._has_unicode)
        measured = pair.differences.pixels
        self.times = choose_amplification(measured.maximum) if measured else 1
        self.pair = pair

    def watch_pair(self, pair: ImagePair | None) -> None:
        """Show two other images."""
        if pair is None:
            return
        for picture, name, loaded in ((self.one, "A", pair.one), (self.other, "B", pair.other)):
            caption = f"{name}  {loaded.fault or show_first_prompt(loaded.image.request)}"
            picture.show_image(loaded.data, caption=caption)
        self._found, self._trials = [], []
        self._show_details()
        self.details.scroll_home(animate=False)
        self._show_view()
        self.refresh_bindings()

    def action_swap(self) -> None:
        """A becomes B, and B becomes A."""
        self._take(self._wanted[1], self._wanted[0])

    async def action_take_partner(self, is_newer: bool) -> None:
        """Compare B with the image next to A, passing by B itself."""
        if (pair := self.pair) is None:
            return
        partner: Image | None = pair.one.image
        try:
            while partner is not None:
                partner = await self.darkroom.find_neighbour(partner, is_newer=is_newer)
                if partner is None or partner.id != pair.other.image.id:
                    break
        except SafelightError as error:
            self.say(str(error))
            return
        if partner is None:
            self.say(f"There is no {'newer' if is_newer else 'older'} image to compare with.")
        else:
            self._take(partner.id, pair.other.image.id)

    def _show_details(self) -> None:
        self.details.show_lines([*self._found, *self._lines, *self._trials])

    @property
    def _has_unicode(self) -> bool:
        return get_display(self.app).has_unicode

    def _take(self, one: str, other: str) -> None:
        self._wanted = (one, other)
        self._has_answer = False
        self._end_bisecting()
        start_work(self, self._load, "load", is_exclusive=True)

    def action_load(self, place: int) -> None:
        """Load A (0) or B (1) into the editor."""
        if (pair := self.pair) is not None:
            self.post_message(self.ImageLoaded((pair.one, pair.other)[place].image))

    # Views

    def why_not(self, action: str) -> str:
        """Why something cannot be done now."""
        if self.pair is None:
            waits = ("swap", "take_partner", "load", "turn_timer", "bisect")
            return NOT_READ if action in waits else ""
        if action == "step" and self.view not in ("wipe", "difference"):
            return "In the wipe it moves the line, in the difference it changes the scale."
        return ""

    def explain_view(self, view: str) -> str:
        """Why the images cannot be shown in this view; "" when they can."""
        pair = self.pair
        if view not in ("wipe", "difference") or pair is None or self._pixels is not None:
            return ""
        if fault := pair.one.fault or pair.other.fault:
            return fault
        (width, height), (other_width, other_height) = pair.differences.sizes
        return (
            f"No {NAMES[view]}: A is {width} x {height}, B {other_width} x {other_height}, and "
            "neither is scaled."
        )

    def action_view(self, view: str) -> None:
        """Show the images so."""
        if reason := self.explain_view(view):
            self.say(reason)
        else:
            self.view = view

    def action_flicker(self) -> None:
        """Show one image in the other's place."""
        if self.view == "flicker":
            self.shows_other = not self.shows_other
        else:
            self.view = "flicker"

    def action_turn_timer(self) -> None:
        """Flicker by itself, or stop."""
        if self._timer is not None:
            self._stop_timer()
        else:
            self.view = "flicker"
            self._timer = self.set_interval(FLICKER_SECONDS, self.action_flicker)
            self._show_caption()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
            self._show_caption()

    def action_step(self, steps: int) -> None:
        """Move the line of the wipe, or change how much the difference is amplified."""
        if self.view == "wipe":
            self.share = round(max(0.0, min(1.0, self.share + steps * WIPE_STEP)), 2)
        elif self.view == "difference":
            place = AMPLIFICATIONS.index(self.times) + steps
            self.times = AMPLIFICATIONS[max(0, min(len(AMPLIFICATIONS) - 1, place))]

    def action_turn_size(self) -> None:
        """All the room to the images, to what differs, or to both."""
        rooms = ("", "-images", "-details")
        self.remove_class(*filter(None, rooms))
        self._room = rooms[(rooms.index(self._room) + 1) % len(rooms)]
        if self._room:
            self.add_class(self._room)

    def watch_view(self) -> None:
        """Another view."""
        if self.view != "flicker":
            self._stop_timer()
        self.shows_other = False
        self._show_view()
        self.refresh_bindings()

    def watch_shows_other(self) -> None:
        """The other image in this one's place."""
        self._show_caption()

    def watch_share(self) -> None:
        """The line of the wipe stands elsewhere."""
        self._show_view()

    def watch_times(self) -> None:
        """Another amplification."""
        self._show_view()

    def _show_view(self) -> None:
        if not self.is_mounted:
            return
        if self.explain_view(self.view):
            self.view = "side"
            return
        for view in VIEWS:
            self.set_class(view == self.view, f"-{view}")
        if self.view in ("wipe", "difference"):
            start_work(self, self._make, "made", is_exclusive=True)
        self._show_caption()

    async def _make(self) -> None:
        """Draw the wipe or the difference."""
        pixels, pair = self._pixels, self.pair
        if pixels is None or pair is None:
            return
        if self.view == "wipe":
            data = await asyncio.to_thread(draw_wipe, pixels, self.share)
        else:
            data = await asyncio.to_thread(draw_amplified, pixels, self.times)
        self.made.show_image(data, caption=self._describe_view(pair))

    def on_resize(self) -> None:
        """Captions end elsewhere; the halves stay of one width."""
        self.set_class(self.app.size.width % 2 == 0, "-even")
        self._show_caption()

    def _show_caption(self) -> None:
        pair, width = self.pair, self.app.size.width
        if not self.is_mounted:
            return
        if pair is None:
            self._head.put(Content.assemble((" compare  reading the images", "bold")))
            return
        room = width // 2 - 1 if self.view == "side" else width - 1
        one, other = _name_image("A", pair.one, room), _name_image("B", pair.other, room)
        title = f" compare  {NAMES[self.view]}"
        both = f"A {pair.one.image.id[:8]}  B {pair.other.image.id[:8]} "
        self._head.put(
            Content.assemble(
                (fit_text(title, max(0, width - len(both))), "bold"), (both, "$role-quiet")
            )
        )
        if self.view == "side":
            half = width // 2
            text = fit_text(f" {one}", half) + fit_text(f" {other}", width - half)
        elif self.view == "flicker":
            shown = other if self.shows_other else one
            how = "by itself; t stops" if self._timer else "space shows the other, t by itself"
            text = f" {shown}  ({how})"
        else:
            text = f" {self._describe_view(pair)}"
        self._caption.put(Content.assemble((fit_text(text, width), "$role-quiet")))

    def _describe_view(self, pair: ImagePair) -> str:
        if self.view == "wipe":
            share = round(100 * self.share)
            one, other = pair.one.image.id[:8], pair.other.image.id[:8]
            return f"A {one} left of {share} %, B {other} right of it"
        measured = pair.differences.pixels
        if measured is None or measured.is_equal:
            return "difference: every pixel is the same, so all is black"
        shown = min(PEAK, measured.maximum * self.times)
        clipped = ", more is white" if measured.maximum * self.times > PEAK else ""
        return (
            f"difference x{self.times}: black is equal, the largest {measured.maximum} is shown "
            f"as {shown}{clipped}"
        )

    # Bisecting

    def action_bisect(self) -> None:
        """Find the change that explains the difference, or end the search."""
        if self._run is not None:
            self._end_bisecting()
            self.say("Ended. What was made is kept in the trash: b goes on from there.")
            return
        if (pair := self.pair) is None:
            return
        run = BisectRun(self.darkroom, pair)
        try:
            run.check()
        except SafelightError as error:
            self.say(str(error))
            return
        if price := run.describe_price():
            self._ask(run, price)
        else:
            self._begin_bisecting(run)

    def _ask(self, run: BisectRun, price: str) -> None:
        """Search only where the person says that it may cost so much."""
        spend = "spend it"
        dialog = ChoiceScreen(f"bisect: {price}", ("leave it", spend), "leave it")

        def take(chosen: str | None) -> None:
            if chosen == spend:
                self._begin_bisecting(run)

        self.app.push_screen(dialog, take)

    def _begin_bisecting(self, run: BisectRun) -> None:
        self._run, self._trials = run, []
        self._tell_progress()
        start_work(self, self._bisect, "bisect", is_exclusive=True)

    def _end_bisecting(self) -> None:
        if self._run is not None:
            self._run = None
            self._found = []
            self.workers.cancel_group(self, "bisect")
            self._show_details()

    async def _bisect(self) -> None:
        if (run := self._run) is None:
            return
        unicode = self._has_unicode
        try:
            async for found in run.search():
                if isinstance(found, Trial):
                    line = describe_trial(found, *run.requests, has_unicode=unicode)
                    self._trials.append(line)
                    self._tell_progress()
                    continue
                lines = describe_explanation(found.explanation, *run.requests, has_unicode=unicode)
                kept = f"{found.image.id[:8]}, in the history: A with only that"
                self._found = [*lines, Line("image", ((kept, ""),))]
                self._run = None
                self._show_details()
        except SafelightError as error:
            self._run, self._found = None, [Line("bisect", ((str(error), ""),))]
            self._show_details()

    async def update(self) -> None:
        """Show how far the image in between is. Raises `SafelightError`."""
        if self._run is not None and self._run.job is not None:
            self._tell_progress(await self.darkroom.get_job(self._run.job.id))

    def _tell_progress(self, job: Job | None = None) -> None:
        if self._run is None or not self.is_attached:
            return
        said = f"trial {len(self._trials) + 1}"
        if job is not None and not job.state.is_final:
            said += f": step {job.step} of {job.steps}" if job.step else ": its image waits"
        self._found = [Line("bisect", ((f"{said}; b ends it", "quiet"),))]
        self._show_details()

    # What is said

    def say(self, text: str) -> None:
        """Show `text` in the last line until the next key."""
        self.post_message(Said(text))

    def action_leave(self) -> None:
        """Go back."""
        self.workers.cancel_node(self)
        self.dismiss()


def _name_image(name: str, loaded: LoadedImage, room: int) -> str:
    """The image in a line, with the moment that it was made where there is room for that."""
    image = loaded.image
    text = f"{name} {image.id[:8]}  seed {image.seed}  {image.width}x{image.height}"
    moment = f"  {show_moment(image.created_at, has_year=False)}"
    return text + moment if len(text) + len(moment) <= room else text
