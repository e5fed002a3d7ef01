"""What the terminal is told beside the screen: a bell, a notification, its title.

Facts: OSC 9 (iTerm2, WezTerm, Ghostty), OSC 777 (rxvt-unicode, foot) and OSC 99 (kitty's desktop
notifications); OSC 2 is the title, `CSI 22;2 t` and `CSI 23;2 t` keep it and bring it back
(xterm's control sequences). tmux takes titles itself; the rest it passes on where it may.
"""

from __future__ import annotations

from collections.abc import Mapping

from tui.terminal.detect import Surroundings, find_multiplexer, is_text_terminal
from tui.terminal.passthrough import wrap_for

BELL = "\x07"
KEEP_TITLE = "\x1b[22;2t"
BRING_TITLE_BACK = "\x1b[23;2t"
TITLE_LENGTH = 80
NOTICE_LENGTH = 200

NOTIFICATIONS: Mapping[str, str] = {
    "osc9": "\x1b]9;{text}\x07",
    "osc777": "\x1b]777;notify;safelight;{text}\x07",
    "osc99": "\x1b]99;;{text}\x1b\\",
}
"""What shows a notification, by how it is called in the configuration."""

_BY_NAME = {"kitty": "osc99", "foot": "osc777", "rxvt": "osc777"}
_BY_NAME |= dict.fromkeys(("iterm2", "wezterm", "ghostty", "contour"), "osc9")
_BY_PROGRAM = {"iTerm.app": "osc9", "WezTerm": "osc9", "ghostty": "osc9"}
_BY_TERM = {"xterm-kitty": "osc99", "xterm-ghostty": "osc9", "wezterm": "osc9", "foot": "osc777"}


def choose_notification(around: Surroundings) -> str:
    """Which of `NOTIFICATIONS` the terminal has; `bell` where none is known."""
    environ, answers = around.environ, around.answers
    named = answers.name.lower()
    found = next((how for name, how in _BY_NAME.items() if named.startswith(name)), None)
    term = environ.get("TERM", "")
    if found is None and around.tmux is not None:
        term = around.tmux.term
    found = found or _BY_PROGRAM.get(environ.get("TERM_PROGRAM", "")) or _BY_TERM.get(term)
    return found or "bell"


def write_notice(text: str, how: str, around: Surroundings) -> str:
    """What shows `text`: one of `NOTIFICATIONS` and a bell, or `bell` alone; "" for `none`."""
    if how == "none":
        return ""
    how = choose_notification(around) if how == "auto" else how
    if how not in NOTIFICATIONS or is_text_terminal(around.environ):
        return BELL
    shown = _make_plain(text, NOTICE_LENGTH).replace(";", ",")
    sequence = NOTIFICATIONS[how].format(text=shown).encode()
    # tmux tells of a bell in a window that nobody looks at; the terminal shows the notice.
    multiplexer = find_multiplexer(around.environ)
    return wrap_for(multiplexer, sequence).decode() + (BELL if multiplexer else "")


def write_title(text: str, environ: Mapping[str, str]) -> str:
    """What makes `text` the terminal's title; "" where it would be shown."""
    if is_text_terminal(environ):
        return ""
    return f"\x1b]2;{_make_plain(text, TITLE_LENGTH)}\x07"


def _make_plain(text: str, length: int) -> str:
    """What cannot end the sequence that it stands in."""
    return "".join(sign if sign.isprintable() else " " for sign in text)[:length]
