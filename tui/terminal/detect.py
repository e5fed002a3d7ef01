"""What the terminal can show, told by its environment alone.

A widget asks the app that it is in: `get_display(self.app)` gives a `Display` with
`glyphs`, `has_unicode`, `colours` and `image_protocol`. There is an app from `compose` and
`on_mount` on, not yet in `__init__`, so ask where something is drawn, or on mount. The app
settles it once, in its own `__init__`: `self.terminal_display = read_display(environ, images)`
with `images` the setting `[interface] images`. An app without that attribute (the bare hosts
of tests) counts as one in the terminal of `os.environ`. No widget reads the environment.

Nothing is asked of the terminal: a question that crosses a slow link is answered late, and
the answer lands in the text that the person types. Nothing here imports Textual, so it can
run before Textual reads its own settings at import.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from typing import Literal, cast

import msgspec

from tui.terminal.glyphs import ASCII, UNICODE, Glyphs

ImageProtocol = Literal["kitty", "sixel", "cells", "none"]
"""How images reach the terminal: two pixel protocols, coloured characters, not at all."""

Colours = Literal["truecolor", "256", "16", "none"]
"""How many colours may be sent."""

IMAGE_SETTINGS: tuple[str, ...] = ("auto", "kitty", "sixel", "cells", "none")
"""Values of `[interface] images`."""

_KITTY_TERMS = ("xterm-kitty", "xterm-ghostty")
_KITTY_PROGRAMS = ("ghostty",)
_SIXEL_TERMS = ("foot", "foot-extra", "mlterm", "contour", "contour-latest")
_SIXEL_PROGRAMS = ("WezTerm", "iTerm.app", "mintty")
_TRUECOLOR_TERMS = (*_KITTY_TERMS, *_SIXEL_TERMS, "alacritty", "wezterm", "tmux-direct")
_TRUECOLOR_PROGRAMS = (*_KITTY_PROGRAMS, *_SIXEL_PROGRAMS, "vscode", "Hyper")
_TEXT_TERMS = ("linux", "dumb", "vt100", "vt102", "vt220", "ansi")
_COLOUR_SYSTEMS: dict[str, Colours] = {"truecolor": "truecolor", "256": "256", "standard": "16"}
_COERCED_CTYPES = ("C.UTF-8", "C.utf8", "UTF-8")


class Display(msgspec.Struct, frozen=True, kw_only=True):
    """What one terminal can show: signs, colours, images."""

    glyphs: Glyphs
    colours: Colours
    image_protocol: ImageProtocol

    @property
    def has_unicode(self) -> bool:
        """Whether block elements and signs such as ✓ can be shown."""
        return self.glyphs.has_unicode


def read_display(environ: Mapping[str, str] = os.environ, images: str = "auto") -> Display:
    """What the terminal of `environ` can show; `images` is the setting of that name."""
    return Display(
        glyphs=choose_glyphs(environ),
        colours=find_colours(environ),
        image_protocol=choose_image_protocol(environ, images),
    )


def get_display(app: object) -> Display:
    """What `app` has settled on as `terminal_display`; without that, what `os.environ` tells."""
    settled = getattr(app, "terminal_display", None)
    return settled if isinstance(settled, Display) else read_display()


def choose_glyphs(environ: Mapping[str, str]) -> Glyphs:
    """The set of signs that the terminal can show."""
    return UNICODE if has_unicode(environ) else ASCII


def choose_image_protocol(environ: Mapping[str, str], setting: str = "auto") -> ImageProtocol:
    """How to show images in this terminal; see `explain_image_protocol`."""
    return explain_image_protocol(environ, setting)[0]


def explain_image_protocol(
    environ: Mapping[str, str], setting: str = "auto"
) -> tuple[ImageProtocol, str]:
    """How to show images in this terminal, and why so, in words.

    `setting` other than `auto` wins. Otherwise a pixel protocol is used only where the
    terminal is known to have it, is not reached through tmux or screen, and is not at the
    far end of a link, where one image in pixels weighs about 1 MB against 0.1 MB in cells.
    """
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if setting in IMAGE_SETTINGS and setting != "auto":
        return cast(ImageProtocol, setting), "the setting interface.images says so"
    if term in ("", "dumb"):
        return "none", f"TERM is {term or 'not set'}"
    if multiplexer := find_multiplexer(environ):
        return "cells", f"inside {multiplexer}, which may not pass pixels on"
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return "cells", "over SSH an image in pixels is ten times larger"
    if not has_unicode(environ):
        return "cells", "the locale is not UTF-8"
    if term in _KITTY_TERMS or program in _KITTY_PROGRAMS:
        return "kitty", f"{program or term} has the kitty graphics protocol"
    if term in _SIXEL_TERMS or program in _SIXEL_PROGRAMS:
        return "sixel", f"{program or term} has sixel graphics"
    return "cells", "no pixel protocol is known for this terminal"


def find_multiplexer(environ: Mapping[str, str]) -> str:
    """`tmux`, `screen` or an empty text. TERM tells it also at the far end of a link."""
    term = environ.get("TERM", "")
    if environ.get("TMUX") or term.startswith("tmux"):
        return "tmux"
    if environ.get("STY") or term.startswith("screen"):
        return "screen"
    return ""


def find_colours(environ: Mapping[str, str]) -> Colours:
    """How many colours may be sent: by NO_COLOR, COLORTERM, TERM_PROGRAM and TERM.

    TEXTUAL_COLOR_SYSTEM, by which Textual itself decides, wins over all but the first.
    """
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if "NO_COLOR" in environ or term in ("", "dumb", "vt100", "vt102", "vt220"):
        return "none"
    if chosen := _COLOUR_SYSTEMS.get(environ.get("TEXTUAL_COLOR_SYSTEM", "")):
        return chosen
    if environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit"):
        return "truecolor"
    if find_multiplexer(environ):
        return "256" if "256" in term else "16"
    if term in _TRUECOLOR_TERMS or program in _TRUECOLOR_PROGRAMS or term.endswith("-direct"):
        return "truecolor"
    return "256" if "256" in term else "16"


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


def prepare_environment(environ: MutableMapping[str, str], protocol: ImageProtocol) -> None:
    """Set what Textual reads at import, where the person has not. Call before that import.

    COLORTERM does not cross SSH, so that a terminal known for 16 million colours would get
    256; the kitty protocol even carries the image's number in a colour and shows nothing
    when that is rounded. Over SSH nothing moves by itself.
    """
    colours = find_colours(environ)
    if protocol == "kitty" or colours == "truecolor":
        environ.setdefault("TEXTUAL_COLOR_SYSTEM", "truecolor")
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        environ.setdefault("TEXTUAL_ANIMATIONS", "none")
        environ.setdefault("TEXTUAL_FPS", "30")


def describe_terminal(
    environ: Mapping[str, str] = os.environ, setting: str = "auto"
) -> dict[str, str]:
    """Facts about the terminal, by name, each one line, for a report."""
    protocol, why = explain_image_protocol(environ, setting)
    locale = [
        f"{name}={environ[name]}" for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)
    ]
    program = f"{environ.get('TERM_PROGRAM', '')} {environ.get('TERM_PROGRAM_VERSION', '')}"
    over_ssh = bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))
    return {
        "terminal": environ.get("TERM", "") or "TERM is not set",
        "program": program.strip() or "not told",
        "colours": _explain_colours(environ),
        "pictures": f"{protocol}: {why}",
        "glyphs": "Unicode" if has_unicode(environ) else "ASCII",
        "locale": ", ".join(locale) or "none set",
        "multiplexer": find_multiplexer(environ) or "none",
        "link": "SSH" if over_ssh else "local",
    }


def _explain_colours(environ: Mapping[str, str]) -> str:
    colours = find_colours(environ)
    if "NO_COLOR" in environ:
        return f"{colours}: NO_COLOR is set"
    if environ.get("TEXTUAL_COLOR_SYSTEM") in _COLOUR_SYSTEMS:
        return f"{colours}: TEXTUAL_COLOR_SYSTEM is {environ['TEXTUAL_COLOR_SYSTEM']}"
    if environ.get("COLORTERM"):
        return f"{colours}: COLORTERM is {environ['COLORTERM']}"
    return f"{colours}: told by TERM (COLORTERM is not set)"
