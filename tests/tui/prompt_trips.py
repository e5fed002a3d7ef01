"""The ways of a prompt into a request and back: command line, shell, document, screen."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence

import msgspec
from textual import events

from store.errors import RequestError
from store.records import DraftPrompt
from store.request import Prompt, PromptStack, Request
from tests.factories import make_request
from tests.tui.pilot import make_key, press_key
from tests.waiting import wait_for
from tui.app import SafelightApp
from tui.cli.inputs import read_prompts
from tui.compose.prompts import PromptStack as PromptList
from tui.shell_command import VERBATIM, make_command
from tui.text import clean_paste

FENCE = "\x1e"
"""Between the lines of what a shell read; no argument can hold it."""


def enter_command(text: str) -> Request | None:
    """What `safelight generate -- TEXT` asks for, None where it is refused."""
    try:
        return gather(read_prompts([text], None))
    except RequestError:
        return None


def gather(prompts: Sequence[DraftPrompt]) -> Request | None:
    """The request for `prompts` and one that draws something; None where one is no prompt."""
    try:
        rows = [Prompt(text=row.text, weight=row.weight, enabled=row.enabled) for row in prompts]
        return make_request(*rows, Prompt(text="drawn"), cfg_scale=7.25, seed=77)
    except RequestError:
        return None


def read_lines(
    lines: Sequence[str], shell: Sequence[str], *, is_utf8: bool = True
) -> list[Request]:
    """What `safelight` would be asked for by each of `lines`, read by one run of `shell`."""
    script = "safelight() { printf '%s\\0' \"$@\"; printf '\\036'; }\n" + "\n".join(lines) + "\n"
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8" if is_utf8 else "C"}
    done = subprocess.run(
        shell, input=script.encode(), env=environ, capture_output=True, check=True
    )
    assert done.stderr == b""
    parts = done.stdout.decode().split(FENCE)
    assert parts.pop() == ""
    return [read_words(part.split("\0")[:-1]) for part in parts]


def read_words(words: list[str]) -> Request:
    """The request that the arguments of `generate` ask for: its prompts, with a usual rest."""
    arguments = words[words.index("--") + 1 :]
    stack = read_prompts(arguments, None, is_verbatim=VERBATIM in words)
    rows = (Prompt(text=row.text, weight=row.weight, enabled=row.enabled) for row in stack)
    given = {name: words[words.index(name) + 1] for name in ("-S", "-C")}
    request = make_request(seed=int(given["-S"]), cfg_scale=float(given["-C"]))
    return msgspec.structs.replace(request, stack=PromptStack(prompts=tuple(rows)))


def write_line(request: Request, encoding: str = "utf-8") -> str:
    """The line of `show --command`, checked to be harmless where it is shown."""
    line = make_command(request, encoding=encoding)
    assert line.replace("\n", "").isprintable()
    assert encoding == "utf-8" or line.isascii()
    return line


def read_document(text: str) -> Request:
    """The request in a document of `show --json`."""
    return Request.from_json(json.dumps(json.loads(text)["request"]))


async def enter_screen(app: SafelightApp, text: str) -> Request | None:
    """What the compose screen asks for once `text` was pasted and accepted; None if refused."""
    screen = app.compose_screen
    stack = screen.query_one(PromptList)
    blank = msgspec.structs.replace(screen.draft, prompts=(DraftPrompt(),), pending={}, place={})
    screen.editor.change(blank)
    screen.set_focus(stack)
    await wait_for(lambda: len(stack.rows) == 1, "one row")
    await press_key(app, make_key("enter"))
    assert stack.open_row is not None
    count = app.key_queue.taken
    app.post_message(events.Paste(text))
    await wait_for(lambda: app.key_queue.taken > count and app.key_queue.is_idle, "the paste")
    await press_key(app, make_key("enter"))
    if stack.open_row is not None:
        await press_key(app, make_key("escape"))
        assert screen.draft.prompts[0].text == clean_paste(text)
        return None
    return gather(screen.draft.prompts)
