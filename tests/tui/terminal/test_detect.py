"""What a terminal can show, by its environment and its answers."""

from __future__ import annotations

from typing import Any

import pytest

from tui.terminal.answers import Answers
from tui.terminal.detect import (
    Surroundings,
    Tmux,
    describe_terminal,
    explain_colours,
    explain_image_protocol,
    get_display,
    has_unicode,
    note_colours,
    prepare_environment,
    read_display,
)
from tui.terminal.glyphs import ASCII

UTF8 = {"LANG": "en_US.UTF-8"}
REMOTE = {"SSH_CONNECTION": "::1 1 ::1 22"}
XTERM = {**UTF8, "TERM": "xterm-256color"}
KITTY = Answers(name="kitty(0.42.1)", has_kitty=True, is_whole=True)
SIXEL = Answers(name="XTerm(390)", has_sixel=True, is_whole=True)


def choose(environ: dict[str, str], **known: Any) -> str:
    return explain_image_protocol(Surroundings(environ=environ, **known))[0]


def count(environ: dict[str, str], **known: Any) -> str:
    return explain_colours(Surroundings(environ=environ, **known))[0]


@pytest.mark.parametrize(
    ("environ", "protocol"),
    [
        ({"TERM": "xterm-256color"}, "cells"),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "sixel"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "tmux-256color", "TERM_PROGRAM": "ghostty"}, "cells"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, "cells"),
        ({"TERM": "screen.xterm-kitty"}, "cells"),
        ({"TERM": "xterm-kitty", "SSH_CONNECTION": "::1 1 ::1 22"}, "kitty"),
        ({"TERM": "foot", "SSH_CONNECTION": "::1 1 ::1 22"}, "cells"),
        ({"TERM": "xterm-kitty", "LANG": "C"}, "cells"),
        ({"TERM": "dumb"}, "none"),
        ({}, "none"),
    ],
)
def test_pixels_only_where_the_terminal_is_known_to_have_them(
    environ: dict[str, str], protocol: str
) -> None:
    assert choose({**UTF8, **environ}) == protocol


@pytest.mark.parametrize("setting", ["kitty", "sixel", "cells", "none"])
def test_the_setting_wins(setting: str) -> None:
    assert choose({"TERM": "tmux-256color", "TMUX": "x"}, images=setting) == setting


@pytest.mark.parametrize(
    ("environ", "colours"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "truecolor"),
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "xterm-kitty"}, "truecolor"),
        ({"TERM": "tmux-256color", "TERM_PROGRAM": "WezTerm"}, "256"),
        ({"TERM": "xterm"}, "16"),
        ({"TERM": "linux"}, "16"),
        ({"TERM": "dumb"}, "none"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": ""}, "none"),
    ],
)
def test_colours(environ: dict[str, str], colours: str) -> None:
    assert count(environ) == colours


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LANG": "en_US.UTF-8"}, True),
        ({"LANG": "de_DE.utf8"}, True),
        ({"LANG": "C"}, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),
        ({"LANG": "C.UTF-8"}, True),
        ({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, False),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "C"}, True),
        ({"LANG": "en_US.ISO-8859-1"}, False),
        ({}, True),
        ({"LANG": "en_US.UTF-8", "TERM": "linux"}, False),
    ],
)
def test_signs_beyond_ascii_need_a_utf8_locale(environ: dict[str, str], expected: bool) -> None:
    assert has_unicode(environ) is expected


@pytest.mark.parametrize(
    ("answers", "here", "over_ssh"),
    [
        (KITTY, "kitty", "kitty"),
        (Answers(name="ghostty 1.2", has_kitty=True, is_whole=True), "kitty", "kitty"),
        # These have the protocol without its characters that stand for an image.
        (
            Answers(name="WezTerm", has_kitty=True, has_sixel=True, is_whole=True),
            "sixel",
            "cells",
        ),
        (Answers(name="Konsole 24", has_kitty=True, is_whole=True), "cells", "cells"),
        (Answers(name="kitty(0.26.5)", has_kitty=True, is_whole=True), "cells", "cells"),
        (Answers(name="kitty(1.0.0)", has_kitty=True, is_whole=True), "kitty", "kitty"),
        (SIXEL, "sixel", "cells"),
        (Answers(name="VTE(7600)", is_whole=True), "cells", "cells"),
        (Answers(), "cells", "cells"),
    ],
)
def test_what_the_terminal_answers_decides_about_pixels(
    answers: Answers, here: str, over_ssh: str
) -> None:
    assert choose(XTERM, answers=answers) == here
    assert choose(XTERM | REMOTE, answers=answers) == over_ssh
    assert choose(XTERM | {"LANG": "C"}, answers=answers) == "cells"
    assert choose(XTERM | {"TERM": "screen"}, answers=answers) == "cells"


def test_inside_tmux_pixels_need_its_leave_and_a_terminal_that_has_them() -> None:
    environ = {**UTF8, "TERM": "tmux-256color", "TMUX": "x"}
    allowed = Tmux(has_passthrough=True, term="xterm-kitty")
    display = read_display(Surroundings(environ=environ, tmux=allowed))
    assert (display.image_protocol, display.is_wrapped) == ("kitty", True)
    for tmux in (
        Tmux(has_passthrough=False, term="xterm-kitty"),
        Tmux(has_passthrough=True, term="xterm-256color"),
        None,
    ):
        assert choose(environ, tmux=tmux) == "cells"
    forbidden = Surroundings(environ=environ, tmux=Tmux(term="xterm-kitty"))
    assert "allow-passthrough on" in describe_terminal(forbidden)["pictures"]


def test_colours_are_those_that_the_terminal_keeps() -> None:
    assert count(XTERM, answers=Answers(has_truecolor=True)) == "truecolor"
    assert count(XTERM, answers=Answers(has_truecolor=False)) == "256"
    assert count(XTERM, answers=Answers(name="foot(1.16)")) == "truecolor"
    assert count(XTERM, tmux=Tmux(features=("clipboard", "RGB"))) == "truecolor"
    assert count(XTERM, tmux=Tmux(features=("clipboard",))) == "256"
    assert count(XTERM, answers=KITTY, colours="16") == "16"
    assert count(XTERM | {"NO_COLOR": "1"}, answers=KITTY, colours="16") == "none"


def test_textual_and_what_is_started_here_hear_of_the_colours() -> None:
    environ = dict(XTERM)
    note_colours(environ, "256")
    assert environ == XTERM
    note_colours(environ, "truecolor")
    assert environ["COLORTERM"] == "truecolor"
    for setting, system in (("16", "standard"), ("256", "256"), ("truecolor", "truecolor")):
        environ = dict(XTERM)
        prepare_environment(environ, Surroundings(environ=environ, colours=setting))
        assert environ["TEXTUAL_COLOR_SYSTEM"] == system
    prepare_environment(environ, Surroundings(environ=environ, colours="none"))
    assert "NO_COLOR" in environ


def test_what_the_person_set_stays() -> None:
    environ = {"TERM": "xterm-kitty", "TEXTUAL_COLOR_SYSTEM": "256", "SSH_TTY": "/dev/pts/0"}
    prepare_environment(environ, Surroundings(environ=environ))
    assert environ["TEXTUAL_COLOR_SYSTEM"] == "256"
    assert environ["TEXTUAL_ANIMATIONS"] == "none"


def test_the_facts_say_what_was_chosen_and_why() -> None:
    facts = describe_terminal(
        Surroundings(environ={"TERM": "tmux-256color", "TMUX": "x", "LANG": "C.UTF-8"})
    )
    assert facts["terminal"] == "tmux-256color"
    assert facts["pictures"].startswith("cells: inside tmux")
    assert facts["colours"].startswith("256")
    assert facts["multiplexer"] == "tmux"
    assert facts["locale"] == "LANG=C.UTF-8"
    assert facts["glyphs"] == "Unicode"
    assert (
        "kitty"
        in describe_terminal(Surroundings(environ={"TERM": "dumb"}, images="kitty"))["pictures"]
    )
    facts = describe_terminal(Surroundings(environ=XTERM, answers=SIXEL))
    assert facts["answered"] == "XTerm(390), sixel graphics"
    assert facts["pictures"] == "sixel: XTerm(390) answers that it has sixel graphics"


class Settled:
    """An app that knows what its terminal shows."""

    terminal_display = read_display(
        Surroundings(environ={"TERM": "vt100", "LANG": "C.UTF-8"}, images="none")
    )


def test_what_the_app_has_settled_on_holds_for_every_widget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {**UTF8, "TERM": "xterm-256color", "COLORTERM": "truecolor"}.items():
        monkeypatch.setenv(name, value)
    assert get_display(Settled()).glyphs is ASCII
    assert get_display(Settled()).colours == "none"
    assert get_display(Settled()).image_protocol == "none"
    bare = get_display(object())
    assert (bare.has_unicode, bare.colours, bare.image_protocol) == (True, "truecolor", "cells")


def test_textuals_own_setting_decides_the_colours_unless_there_shall_be_none() -> None:
    environ = {"TERM": "xterm-kitty", "TEXTUAL_COLOR_SYSTEM": "256"}
    assert count(environ) == "256"
    assert "TEXTUAL_COLOR_SYSTEM" in describe_terminal(Surroundings(environ=environ))["colours"]
    assert count(environ | {"NO_COLOR": "1"}) == "none"
