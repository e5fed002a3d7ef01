"""`generate --from`: a list of prompts becomes jobs, or every wrong line of it is told."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from engines.settings import Settings
from store import queue
from store.batches import divide
from store.database import Database
from store.errors import RequestError
from store.records import Job
from store.request import Request
from tests.factories import make_png
from tests.tui.cli.invoking import invoke
from tui import darkroom
from tui.cli import prompt_list
from tui.cli.prompt_list import read_lines

HEAD = ["generate", "--from", "-", "--no-wait"]


def list_jobs(home: Path) -> list[Job]:
    """What was queued, the first one first."""
    with Database.open(home / "safelight" / "data") as database:
        return queue.list_jobs(database)[::-1]


def read_stack(job: Job) -> list[tuple[str, float, bool]]:
    return [(each.text, each.weight, each.enabled) for each in job.request.stack.prompts]


def test_each_line_is_a_stack_and_comments_are_none(home: Path) -> None:
    given = b"\xef\xbb\xbfa cat\r\n\r\n  # later: a horse\na dog::2 fog::-1\n"
    done = invoke([*HEAD, "-S", "7", "-s", "9"], given)
    assert done.exit_code == 0
    first, second = list_jobs(home)
    assert read_stack(first) == [("a cat", 1, True)]
    assert read_stack(second) == [("a dog", 2, True), ("fog", -1, True)]
    assert [job.request.parameters.seed for job in (first, second)] == [7, 7]
    assert [job.request.parameters.steps for job in (first, second)] == [9, 9]
    assert done.stdout.splitlines() == [f"queued {job.id[:8]}  seed 7" for job in (first, second)]


def test_a_line_of_json_has_the_flags_as_keys(home: Path, tmp_path: Path) -> None:
    (tmp_path / "start.png").write_bytes(make_png(1, 64))
    lines = [
        {"prompt": "a cat::2 rain::-1", "seed": 5, "cfg_scale": 4.5, "size": "128x192"},
        {"prompts": ["plain::x", {"text": "off", "weight": 0.5, "enabled": False}], "images": 2},
        {"prompt": "b", "init-image": str(tmp_path / "start.png"), "start_schedule": 0.4},
        {"prompt": "c", "style": None, "width": 64, "height": "64", "seed": "@1"},
    ]
    given = "\n".join(json.dumps(line) for line in lines[:3]).encode()
    done = invoke([*HEAD, "blurry::-1", "-s", "6"], given)
    assert done.exit_code == 0, done.stderr
    cat, plain, follower, started = list_jobs(home)
    blurry = ("blurry", -1, True)
    assert read_stack(cat) == [("a cat", 2, True), ("rain", -1, True), blurry]
    own = cat.request.parameters
    assert (own.seed, own.cfg_scale, own.width, own.height, own.steps) == (5, 4.5, 128, 192, 6)
    assert read_stack(plain) == [("plain::x", 1, True), ("off", 0.5, False), blurry]
    assert follower.request.parameters.seed == plain.request.parameters.seed + 1
    start = started.request.parameters.initial_image
    assert start is not None
    assert start.start_schedule == 0.4
    # There is no image yet whose seed could be taken.
    refused = invoke(HEAD, json.dumps(lines[3]).encode())
    assert (refused.exit_code, len(list_jobs(home))) == (2, 4)
    assert "line 1: There is no image @-1" in refused.stderr


WRONG = [
    (b"a::", "No weight stands after"),
    (b'{"prompt": ', "is JSON, and it is no JSON"),
    (b'{"prompt": "a", "stepz": 3}', "Unknown key 'stepz'. Known: "),
    (b'{"prompt": "a", "stepz": 3}', "Did you mean 'steps'?"),
    (b'{"prompt": "a", "output": "x"}', "Give it as a flag: --output."),
    (b'{"prompt": "a", "prompts": []}', "both prompt and prompts"),
    (b'{"prompt": "a", "size": "64x64", "width": 64}', "size and width say the same"),
    (b'{"prompt": "a", "steps": [1]}', "steps is a list, not a text or a number."),
    (b'{"prompt": "a", "steps": 0}', "steps"),
    (b'{"prompt": "a", "steps": true}', "steps is true"),
    (b'{"prompt": "a", "content_credentials": 1}', "not true or false"),
    (b'{"prompts": [{"text": "a", "weight": 99}]}', "weight 99 is out of range"),
    (b'{"prompts": [{"text": "a", "wait": 1}]}', "unknown key 'wait'"),
    (b'{"prompts": [{"weight": 1}]}', "Prompt 1 has no text."),
    (b'{"prompts": "a"}', "prompts is a text, not a list."),
    (b"{}", "The prompt stack is empty."),
    (b'{"a":' + b"[" * 5000, "nested more than"),
    (b'{"prompts": [' + b'"a",' * 5000 + b'"a"]}', "5,001 prompts"),
    (b'{"prompt": "a", "init_image": "no-such.png"}', "no file 'no-such.png'"),
    (b'{"prompt": "a", "engine": "nowhere"}', "nowhere"),
    (b'{"prompt": "a\\ud800"}', "no text in UTF-8"),
]


@pytest.mark.parametrize(("line", "said"), WRONG)
def test_a_wrong_line_is_told_and_nothing_is_queued(home: Path, line: bytes, said: str) -> None:
    done = invoke(HEAD, b"a cat\n" + line + b"\n")
    assert (done.exit_code, list_jobs(home)) == (2, [])
    message, told, hint = done.stderr.splitlines()
    assert message == "safelight: 1 of 2 lines cannot be used, and nothing was queued."
    assert told.startswith("  line 2: ")
    assert said in told
    assert hint == "  Mend them, then give the list again."


def test_every_wrong_line_is_told_in_json_too(home: Path) -> None:
    given = b'a::\na cat\n{"prompt": "a", "seed": "x"}\n'
    done = invoke([*HEAD, "--json"], given)
    error = json.loads(done.stdout)
    assert (done.exit_code, list_jobs(home)) == (2, [])
    assert error["error"]["field"] == "from"
    assert [(line["line"], line["field"]) for line in error["lines"]] == [
        (1, "text"),
        (3, "parameters.seed"),
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"# nothing\n\n", "Standard input holds no prompt."),
        (b"a cat\n\xff\n", "Line 2 of the list is no text in UTF-8."),
    ],
)
def test_a_list_that_is_none_says_what_to_do(home: Path, given: bytes, said: str) -> None:
    done = invoke(HEAD, given)
    assert (done.exit_code, list_jobs(home)) == (2, [])
    assert said in done.stderr


def test_a_list_is_bounded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_list, "LINES_MAXIMUM", 3)
    assert "4 lines; at most 3" in invoke(HEAD, b"a\n" * 4).stderr
    monkeypatch.setattr(prompt_list, "LIST_IMAGES", 5)
    assert "asks for 6 images; at most 5" in invoke([*HEAD, "-n", "2"], b"a\n" * 3).stderr
    monkeypatch.setattr(prompt_list, "INPUT_BYTES", 10)
    image = home / "start.png"
    image.write_bytes(make_png(1, 64))
    assert "bytes of image files" in invoke([*HEAD, "-i", str(image)], b"a\n").stderr
    monkeypatch.setattr(prompt_list, "LIST_BYTES", 8)
    assert "more than 8 bytes" in invoke(HEAD, b"a\n" * 5).stderr
    assert list_jobs(home) == []


def test_a_file_that_is_not_there_is_told(home: Path) -> None:
    done = invoke(["generate", "--from", "no-such.txt"])
    assert done.exit_code == 2
    assert "The list 'no-such.txt' cannot be read" in done.stderr
    assert "or - for standard input" in done.stderr
    with pytest.raises(RequestError):
        read_lines("\0")


def test_standard_input_is_read_once(home: Path) -> None:
    assert "only once" in invoke([*HEAD, "-"], b"a cat\n").stderr


def test_what_was_queued_before_a_failure_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the parts of a list that are queued one after the other the day's budget ends."""
    parts: list[int] = []

    def stumble(database: Database, requests: Sequence[Request], settings: Settings) -> None:
        parts.append(len(requests))
        if len(parts) == 3:
            raise RequestError("budget", None, "The day's credits are spent.")

    monkeypatch.setattr("engines.cost.check_budget", stumble)
    monkeypatch.setattr(darkroom, "divide", functools.partial(divide, size=1))
    done = invoke([*HEAD, "-S", "3"], b"a\nb\n")
    (job,) = list_jobs(home)
    assert (done.exit_code, parts) == (2, [2, 1, 1])
    assert done.stderr == "safelight: The day's credits are spent.\n"
    assert done.stdout == f"queued {job.id[:8]}  seed 3  waiting\n"
