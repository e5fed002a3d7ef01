"""What is told of a terminal by its environment."""

from __future__ import annotations

import pytest

from tui.terminal.detect import (
    choose_image_protocol,
    describe_terminal,
    find_colours,
    get_display,
    has_unicode,
    prepare_environment,
    read_display,
)
from tui.terminal.glyphs import ASCII

UTF8 = {"LANG": "en_US.UTF-8"}


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
        ({"TERM": "xterm-kitty", "SSH_CONNECTION": "::1 1 ::1 22"}, "cells"),
        ({"TERM": "xterm-kitty", "LANG": "C"}, "cells"),
        ({"TERM": "dumb"}, "none"),
        ({}, "none"),
    ],
)
def test_pixels_only_where_the_terminal_is_known_to_have_them(
    environ: dict[str, str], protocol: str
) -> None:
    assert choose_image_protocol({**UTF8, **environ}, "auto") == protocol


@pytest.mark.parametrize("setting", ["kitty", "sixel", "cells", "none"])
def test_the_setting_wins(setting: str) -> None:
    assert choose_image_protocol({"TERM": "tmux-256color", "TMUX": "x"}, setting) == setting


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
    assert find_colours(environ) == colours


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


def test_kitty_pictures_force_all_colours_because_the_number_of_the_picture_is_a_colour() -> None:
    environ = {"TERM": "xterm-kitty"}
    prepare_environment(environ, "kitty")
    assert environ["TEXTUAL_COLOR_SYSTEM"] == "truecolor"


def test_what_the_person_set_stays() -> None:
    environ = {"TERM": "xterm-kitty", "TEXTUAL_COLOR_SYSTEM": "256", "SSH_TTY": "/dev/pts/0"}
    prepare_environment(environ, "kitty")
    assert environ["TEXTUAL_COLOR_SYSTEM"] == "256"
    assert environ["TEXTUAL_ANIMATIONS"] == "none"


def test_the_facts_say_what_was_chosen_and_why() -> None:
    facts = describe_terminal({"TERM": "tmux-256color", "TMUX": "x", "LANG": "C.UTF-8"}, "auto")
    assert facts["terminal"] == "tmux-256color"
    assert facts["pictures"].startswith("cells: inside tmux")
    assert facts["colours"].startswith("256")
    assert facts["multiplexer"] == "tmux"
    assert facts["locale"] == "LANG=C.UTF-8"
    assert facts["glyphs"] == "Unicode"
    assert "kitty" in describe_terminal({"TERM": "dumb"}, "kitty")["pictures"]


class Settled:
    """An app that knows what its terminal shows."""

    terminal_display = read_display({"TERM": "vt100", "LANG": "C.UTF-8"}, "none")


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
    assert find_colours(environ) == "256"
    assert "TEXTUAL_COLOR_SYSTEM" in describe_terminal(environ)["colours"]
    assert find_colours(environ | {"NO_COLOR": "1"}) == "none"
