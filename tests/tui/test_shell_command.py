"""The command that makes an image again, read back by a shell and by the program."""

from __future__ import annotations

import shlex
import subprocess

import msgspec
import pytest

from store.prompts import parse_prompt
from store.records import Relation
from store.request import InitialImage, Prompt, PromptStack, Upscale
from tests.factories import make_plain, make_png, make_request
from tests.tui.memory_darkroom import MemoryDarkroom
from tui.shell_command import make_command, make_pipe, write_command

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


async def test_a_parent_that_is_gone_leaves_its_file() -> None:
    darkroom = MemoryDarkroom()
    kept = await darkroom.add_input(make_png(1, 128))
    start = InitialImage(sha256=kept.sha256, start_schedule=0.6, end_schedule=0.0)
    request = make_request("castle", initial_image=start)
    facts = {"parent_id": "ab" * 16, "relation": Relation.INITIAL_IMAGE}
    line = await write_command(darkroom, darkroom.add_image(request, **facts))
    assert f"--init-image=/nowhere/inputs/{kept.sha256}" in line


@pytest.mark.parametrize(
    ("style", "prompts", "size", "is_written_out"),
    [
        ("anime", ("castle",), (256, 256), True),
        (None, ("castle",), (256, 256), False),
        ("anime", (), (256, 256), False),
        ("anime", ("castle",), (256, 250), False),
        ("anime", ("castle",), (128, 128), False),
    ],
)
async def test_what_upscale_would_take_from_the_image_goes_as_a_whole_request(
    style: str | None, prompts: tuple[str, ...], size: tuple[int, int], is_written_out: bool
) -> None:
    darkroom = MemoryDarkroom()
    kept = await darkroom.add_input(make_plain())
    source = darkroom.add_image(
        make_request("castle", style_preset="anime"), data=make_plain(), file_sha256=kept.sha256
    )
    request = make_request(
        "castle",
        style_preset=style,
        upscale=Upscale(sha256=kept.sha256, upscaler="rgb"),
        width=size[0],
        height=size[1],
    )
    if not prompts:
        request = msgspec.structs.replace(request, stack=PromptStack(prompts=()))
    facts = {"parent_id": source.id, "relation": Relation.UPSCALE}
    line = await write_command(darkroom, darkroom.add_image(request, **facts))
    assert (line == make_pipe(request)) != is_written_out
    assert line.endswith(f" {source.id}") == is_written_out
