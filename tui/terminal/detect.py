"""What the terminal can show, told by its environment and by what it answers.

A widget asks the app that it is in: `get_display(self.app)` gives a `Display` with
`glyphs`, `has_unicode`, `colours` and `image_protocol`. There is an app from `compose` and
`on_mount` on, not yet in `__init__`, so ask where something is drawn, or on mount. The app
settles it, first in its own `__init__`: `self.terminal_display = read_display(…)`. An app without
that attribute (the bare hosts of tests) counts as one in the terminal of `os.environ`. No widget
reads the environment.

What the person has set wins, then what the terminal answered (`tui.terminal.probe`), then what its
environment tells. Nothing here imports Textual, so it can run before Textual reads its own
settings at import.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from typing import Literal, cast

import msgspec

from tui.terminal.answers import NO_ANSWERS, Answers
from tui.terminal.glyphs import ASCII, UNICODE, Glyphs

ImageProtocol = Literal["kitty", "sixel", "cells", "none"]
"""How images reach the terminal: two pixel protocols, coloured characters, not at all."""

Colours = Literal["truecolor", "256", "16", "none"]
"""How many colours may be sent."""

IMAGE_SETTINGS: tuple[str, ...] = ("auto", "kitty", "sixel", "cells", "none")
"""Values of `[interface] images`."""

COLOUR_SETTINGS: tuple[str, ...] = ("auto", "truecolor", "256", "16", "none")
"""Values of `[interface] colours`."""

_KITTY_TERMS = ("xterm-kitty", "xterm-ghostty")
_KITTY_PROGRAMS = ("ghostty",)
_PLACEHOLDER_NAMES = ("kitty", "ghostty")
"""How terminals name themselves that show images in the place of characters.

Others answer that they have the protocol and lack that part, without which an image stays where
it was put when the screen changes around it.
"""

_KITTY_VERSION = re.compile(r"kitty\((\d{1,6})\.(\d{1,6})")
_PLACEHOLDERS_SINCE = (0, 28)
"""The first kitty that has them."""

_TRUECOLOR_NAMES = (
    *_PLACEHOLDER_NAMES,
    *("wezterm", "foot", "iterm2", "vte", "konsole", "contour", "mintty", "windows terminal"),
)
_CELL = (10, 20)

IMAGE_BYTES = 4 * 1024 * 1024
REMOTE_IMAGE_BYTES = 96 * 1024
"""How large an image may be that is sent in pixels, here and over a link."""
_SIXEL_TERMS = ("foot", "foot-extra", "mlterm", "contour", "contour-latest")
_SIXEL_PROGRAMS = ("WezTerm", "iTerm.app", "mintty")
_TRUECOLOR_TERMS = (*_KITTY_TERMS, *_SIXEL_TERMS, "alacritty", "wezterm", "tmux-direct")
_TRUECOLOR_PROGRAMS = (*_KITTY_PROGRAMS, *_SIXEL_PROGRAMS, "vscode", "Hyper")
_TEXT_TERMS = ("linux", "dumb", "vt100", "vt102", "vt220", "ansi")
_COLOUR_SYSTEMS: dict[str, Colours] = {"truecolor": "truecolor", "256": "256", "standard": "16"}
_TEXTUAL_SYSTEMS = {own: textual for textual, own in _COLOUR_SYSTEMS.items()}
_COERCED_CTYPES = ("C.UTF-8", "C.utf8", "UTF-8")


class Display(msgspec.Struct, frozen=True, kw_only=True):
    """What one terminal can show: signs, colours, images.

    `cell`: width and height of a cell in pixels. `is_wrapped`: what tmux does not know has to be
    wrapped for it. `image_bytes`: how large an image may be that is sent in pixels.
    """

    glyphs: Glyphs
    colours: Colours
    image_protocol: ImageProtocol
    cell: tuple[int, int] = _CELL
    is_wrapped: bool = False
    image_bytes: int = IMAGE_BYTES

    @property
    def has_unicode(self) -> bool:
        """Whether block elements and signs such as ✓ can be shown."""
        return self.glyphs.has_unicode


class Tmux(msgspec.Struct, frozen=True, kw_only=True):
    """The tmux around us: whether it passes on what it does not know, and its own terminal."""

    has_passthrough: bool = False
    features: tuple[str, ...] = ()
    term: str = ""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """All by which it is decided what to show: settings, answers, environment."""

    environ: Mapping[str, str] = os.environ
    images: str = "auto"
    colours: str = "auto"
    answers: Answers = NO_ANSWERS
    tmux: Tmux | None = None

    @property
    def is_remote(self) -> bool:
        """Whether the terminal is at the far end of a link."""
        return bool(self.environ.get("SSH_CONNECTION") or self.environ.get("SSH_TTY"))


def read_display(surroundings: Surroundings | None = None) -> Display:
    """What the terminal can show; by `os.environ` alone if nothing else is known."""
    around = surroundings or Surroundings()
    protocol = explain_image_protocol(around)[0]
    return Display(
        glyphs=choose_glyphs(around.environ),
        colours=explain_colours(around)[0],
        image_protocol=protocol,
        cell=around.answers.cell or _CELL,
        is_wrapped=protocol == "kitty" and bool(around.environ.get("TMUX")),
        image_bytes=REMOTE_IMAGE_BYTES if around.is_remote else IMAGE_BYTES,
    )


def get_display(app: object) -> Display:
    """What `app` has settled on as `terminal_display`; without that, what `os.environ` tells."""
    settled = getattr(app, "terminal_display", None)
    return settled if isinstance(settled, Display) else read_display()


def choose_glyphs(environ: Mapping[str, str]) -> Glyphs:
    """The set of signs that the terminal can show."""
    return UNICODE if has_unicode(environ) else ASCII


def explain_image_protocol(around: Surroundings) -> tuple[ImageProtocol, str]:
    """How to show images in this terminal, and why so, in words.

    A setting other than `auto` wins. A pixel protocol is used only where the terminal is known to
    have all of it. Over a link that is kitty's alone: it takes a small image as it is, where the
    others want each pixel of the screen.
    """
    environ, answers = around.environ, around.answers
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if around.images in IMAGE_SETTINGS and around.images != "auto":
        return cast(ImageProtocol, around.images), "the setting interface.images says so"
    if term in ("", "dumb"):
        return "none", f"TERM is {term or 'not set'}"
    if not has_unicode(environ):
        return "cells", "the locale is not UTF-8"
    if (colours := explain_colours(around)[0]) in ("16", "none"):
        return "cells", f"pixels need 256 colours, and there are {colours}"
    if multiplexer := find_multiplexer(environ):
        return _explain_multiplexed(multiplexer, around)
    if answers.is_whole:
        named = f"{answers.name or 'the terminal'} answers"
        if answers.has_kitty and _has_placeholders(answers.name):
            return "kitty", f"{named} that it has kitty graphics"
        if answers.has_sixel and around.is_remote:
            return "cells", "over SSH an image in sixels is ten times larger"
        if answers.has_sixel:
            return "sixel", f"{named} that it has sixel graphics"
        return "cells", f"{named} that it has no pixel protocol that is known here"
    if term in _KITTY_TERMS or program in _KITTY_PROGRAMS:
        return "kitty", f"{program or term} has the kitty graphics protocol"
    if around.is_remote:
        return "cells", "over SSH an image in pixels is ten times larger"
    if term in _SIXEL_TERMS or program in _SIXEL_PROGRAMS:
        return "sixel", f"{program or term} has sixel graphics"
    return "cells", "no pixel protocol is known for this terminal"


def _has_placeholders(name: str) -> bool:
    """Whether the terminal of this name shows images in the place of characters."""
    if found := _KITTY_VERSION.match(name):
        return (int(found[1]), int(found[2])) >= _PLACEHOLDERS_SINCE
    return name.lower().startswith(_PLACEHOLDER_NAMES)


def _explain_multiplexed(name: str, around: Surroundings) -> tuple[ImageProtocol, str]:
    if around.tmux is None or around.tmux.term not in _KITTY_TERMS:
        return "cells", f"inside {name}, which may not pass pixels on"
    if not around.tmux.has_passthrough:
        return "cells", "tmux passes no pixels on: `set -g allow-passthrough on` lets it"
    return "kitty", f"tmux passes pixels on to {around.tmux.term}"


def find_multiplexer(environ: Mapping[str, str]) -> str:
    """`tmux`, `screen` or an empty text. TERM tells it also at the far end of a link."""
    term = environ.get("TERM", "")
    if environ.get("TMUX") or term.startswith("tmux"):
        return "tmux"
    if environ.get("STY") or term.startswith("screen"):
        return "screen"
    return ""


def explain_colours(around: Surroundings) -> tuple[Colours, str]:
    """How many colours may be sent, and why so, in words.

    By NO_COLOR, the setting, TEXTUAL_COLOR_SYSTEM (by which Textual itself decides), what the
    terminal or its tmux says, COLORTERM, TERM_PROGRAM and TERM.
    """
    environ, answers = around.environ, around.answers
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if "NO_COLOR" in environ:
        return "none", "NO_COLOR is set"
    if around.colours in COLOUR_SETTINGS and around.colours != "auto":
        return cast(Colours, around.colours), "the setting interface.colours says so"
    if term in ("", "dumb", "vt100", "vt102", "vt220"):
        return "none", f"TERM is {term or 'not set'}"
    if chosen := _COLOUR_SYSTEMS.get(environ.get("TEXTUAL_COLOR_SYSTEM", "")):
        return chosen, f"TEXTUAL_COLOR_SYSTEM is {environ['TEXTUAL_COLOR_SYSTEM']}"
    if answers.has_truecolor:
        return "truecolor", f"{answers.name or 'the terminal'} answers that it keeps any colour"
    if around.tmux is not None and "RGB" in around.tmux.features:
        return "truecolor", "tmux says that its terminal has any colour"
    if answers.name.lower().startswith(_TRUECOLOR_NAMES):
        return "truecolor", f"{answers.name} has any colour"
    if environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit"):
        return "truecolor", f"COLORTERM is {environ['COLORTERM']}"
    by_term: Colours = "256" if "256" in term else "16"
    told = "told by TERM (COLORTERM is not set)"
    if find_multiplexer(environ):
        return by_term, told
    if term in _TRUECOLOR_TERMS or program in _TRUECOLOR_PROGRAMS or term.endswith("-direct"):
        return "truecolor", f"{program or term} has any colour"
    return by_term, told


def is_text_terminal(environ: Mapping[str, str]) -> bool:
    """Whether the terminal is one of those that may show what they do not understand."""
    return environ.get("TERM", "") in ("", *_TEXT_TERMS)


def has_unicode(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether block elements and signs such as ✓ can be shown.

    Decided by the locale that the person chose. Python itself sets LC_CTYPE to a UTF-8 one
    at start when LANG is C, so that value does not count beside `LANG=C`. The Linux console
    and old terminals have no such glyphs whatever the locale.
    """
    if environ.get("TERM", "") in _TEXT_TERMS:
        return False
    language = environ.get("LANG", "")
    ctype = environ.get("LC_CTYPE", "")
    if ctype in _COERCED_CTYPES and language in ("C", "POSIX"):
        ctype = ""
    chosen = environ.get("LC_ALL") or ctype or language
    return not chosen or "utf-8" in chosen.lower() or "utf8" in chosen.lower()


def prepare_environment(environ: MutableMapping[str, str], around: Surroundings) -> None:
    """Set what Textual reads at import, where the person has not. Call before that import.

    COLORTERM does not cross SSH, so that a terminal known for 16 million colours would get
    256. Over SSH nothing moves by itself.
    """
    if around.colours in _TEXTUAL_SYSTEMS:
        environ["TEXTUAL_COLOR_SYSTEM"] = _TEXTUAL_SYSTEMS[around.colours]
    elif around.colours == "none":
        environ["NO_COLOR"] = "1"
    if around.is_remote:
        environ.setdefault("TEXTUAL_ANIMATIONS", "none")
        environ.setdefault("TEXTUAL_FPS", "30")


def note_colours(environ: MutableMapping[str, str], colours: Colours) -> None:
    """Let Textual's console and programs that are started here know of any colour."""
    if colours == "truecolor":
        environ["COLORTERM"] = "truecolor"


def describe_terminal(around: Surroundings) -> dict[str, str]:
    """Facts about the terminal, by name, each one line, for a report."""
    environ, answers = around.environ, around.answers
    locale = [
        f"{name}={environ[name]}" for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)
    ]
    program = f"{environ.get('TERM_PROGRAM', '')} {environ.get('TERM_PROGRAM_VERSION', '')}"
    return {
        "terminal": environ.get("TERM", "") or "TERM is not set",
        "program": program.strip() or "not told",
        "asked": ", ".join(answers.asked) or "nothing",
        "answered": describe_answers(answers),
        "colours": ": ".join(explain_colours(around)),
        "pictures": ": ".join(explain_image_protocol(around)),
        "glyphs": "Unicode" if has_unicode(environ) else "ASCII",
        "locale": ", ".join(locale) or "none set",
        "multiplexer": _describe_multiplexer(around),
        "link": "SSH" if around.is_remote else "local",
    }


def describe_answers(answers: Answers) -> str:
    """What the terminal answered, in one line."""
    said = [answers.name] if answers.name else []
    if answers.has_truecolor is not None:
        said.append("any colour" if answers.has_truecolor else "a palette of colours")
    said += ["kitty graphics"] * answers.has_kitty + ["sixel graphics"] * answers.has_sixel
    if answers.cell is not None:
        said.append(f"cells of {answers.cell[0]}x{answers.cell[1]} pixels")
    if not answers.is_whole:
        said.append("no end of its answers" if said else "nothing")
    when = " (remembered)" if answers.is_remembered else ""
    return f"{', '.join(said) or 'nothing that is known here'}{when}"


def _describe_multiplexer(around: Surroundings) -> str:
    name = find_multiplexer(around.environ) or "none"
    if around.tmux is None:
        return name
    passes = "passes on" if around.tmux.has_passthrough else "does not pass on"
    return f"{name} in {around.tmux.term or 'no terminal'}, {passes} what it does not know"
