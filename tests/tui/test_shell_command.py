"""The command that makes an image again, read back by a shell and by the program."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from store.prompts import parse_prompt
from store.request import Prompt
from tests.factories import make_request
from tui.shell_command import make_command

NASTY = ('it\'s "quoted" $HOME `id` \\ ; & |', "two\nlines", "ends in ::2", "-n 5", "日本の夜 ✓")


@pytest.mark.parametrize("text", NASTY)
def test_a_shell_hands_every_prompt_over_to_the_character(text: str) -> None:
    request = make_request("castle")
    prompts = (Prompt(text=text, weight=-0.65), *request.stack.prompts)
    command = make_command(make_request(*(f"{prompt.text}::{prompt.weight}" for prompt in prompts)))
    shown = command.replace("safelight", "printf '%s\\0'", 1)
    output = subprocess.run(["/bin/sh", "-c", shown], capture_output=True, check=True).stdout
    words = output.decode().split("\0")[:-1]
    parsed = [parse_prompt(word) for word in words[words.index("--") + 1 :]]
    assert parsed == list(prompts)


def test_every_parameter_is_named() -> None:
    request = make_request("castle", seed=77, cfg_scale=7.25, width=192, style_preset="anime")
    words = shlex.split(make_command(request))
    assert words[:2] == ["safelight", "generate"]
    options = dict(zip(words[2:-2:2], words[3:-2:2], strict=True))
    assert options == {
        "-S": "77",
        "-s": "50",
        "-C": "7.25",
        "-A": "k_dpmpp_2m",
        "-W": "192",
        "-H": "128",
        "--style-preset": "anime",
        "-e": "builtin",
        "--model": "r1",
    }
    assert words[-2:] == ["--", "castle::1"]
