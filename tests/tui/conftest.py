"""One kind of terminal for every test of a screen, whatever the tests themselves run in."""

from __future__ import annotations

from typing import Any

import pytest
from textual.css.stylesheet import Stylesheet

_parsed: dict[tuple[Any, ...], Any] = {}
_parse_rules = Stylesheet._parse_rules


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "LC_ALL", "LC_CTYPE", "TMUX", "STY", "TERM_PROGRAM", "SSH_TTY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("LANG", "C.UTF-8")


@pytest.fixture(autouse=True)
def _styles_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each app parses the same hundred styles; a process parses them once for each theme."""

    def parse_rules(self: Stylesheet, css: str, read_from: Any, *rest: Any, **named: Any) -> Any:
        variables = tuple(sorted(self._variables.items()))
        key = (variables, css, read_from, rest, tuple(sorted(named.items())))
        if key not in _parsed:
            _parsed[key] = _parse_rules(self, css, read_from, *rest, **named)
        return _parsed[key]

    monkeypatch.setattr(Stylesheet, "_parse_rules", parse_rules)
