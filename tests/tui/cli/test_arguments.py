"""What is written behind a command: prompts from standard input, numbers, names, sessions."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from engines.settings import Settings
from store import queue
from store.database import Database
from store.folder import find_data_directory
from store.prompts import parse_prompts
from store.records import Job
from tests.tui.cli.invoking import invoke
from tui.cli.inputs import INPUT_LIMIT
from tui.darkroom import Darkroom

QUICK = ("--no-wait", "-S", "7")


def run(*arguments: str, given: bytes = b"", status: int = 0) -> Any:
    done = invoke(arguments, given)
    assert done.exit_code == status, f"{done.output}\n{done.exception!r}"
    return done


def refuse(*arguments: str, given: bytes = b"") -> str:
    """What a command says on standard error when it ends with status 2."""
    return " ".join(run(*arguments, given=given, status=2).stderr.split())


def list_jobs() -> list[Job]:
    with Database.open(find_data_directory()) as database:
        return queue.list_jobs(database)


def read_stack() -> list[tuple[str, float, bool]]:
    """The prompts of the newest job."""
    prompts = list_jobs()[0].request.stack.prompts
    return [(prompt.text, prompt.weight, prompt.enabled) for prompt in prompts]


def test_prompts_come_from_standard_input_one_a_line() -> None:
    given = "\ufeffnight sky\r\n\r\n  \r\nclouds::-1\r\na::2 b::-1".encode()
    run("generate", "first", "-", "last", "--off", "5", *QUICK, given=given)
    assert read_stack() == [
        ("first", 1, True),
        ("night sky", 1, True),
        ("clouds", -1, True),
        ("a", 2, True),
        ("b", -1, False),
        ("last", 1, True),
    ]


def test_a_line_is_taken_to_the_character_where_that_is_asked_for() -> None:
    run("generate", "--verbatim", "-", *QUICK, given=b"A::2 B::0.5\nhot:: dog\n")
    assert read_stack() == [("A::2 B", 0.5, True), ("hot:: dog", 1, True)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (b"", "Standard input holds no prompt"),
        (b"\n \r\n", "Standard input holds no prompt"),
        (b"sky\nfog \xff\n", "Line 2 of standard input is no text in UTF-8"),
        (b"x" * (INPUT_LIMIT + 1), f"more than {INPUT_LIMIT:,} bytes"),
        (b"a\n" * 65, "The stack has 65 prompts, more than 64"),
        (b"a\x1b[31m", "Prompt 1: The prompt holds the control character U+001B"),
        (b"sky\nfog::high", "Prompt 2: 'high' after '::' is not a number"),
    ],
)
def test_what_is_wrong_with_standard_input_is_said(given: bytes, words: str) -> None:
    assert words in refuse("generate", "-", given=given)
    assert "only once" in refuse("generate", "-", "-", given=given)


def test_advice_about_several_prompts_holds() -> None:
    said = refuse("generate", "hot:: dog", *QUICK)
    assert "--verbatim takes a text as it is" in said
    run("generate", "--verbatim", "hot:: dog", *QUICK)
    assert read_stack() == [("hot:: dog", 1, True)]
    run("generate", *[prompt.text for prompt in parse_prompts("hot::1 dog::1")], *QUICK)
    assert read_stack() == [("hot", 1, True), ("dog", 1, True)]


WHOLE = "is not a whole number. Give a whole number from"
NUMBER = "is not a number. Give a number from"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("generate sky -S 4.0", f"seed '4.0' {WHOLE} 1 to 4294967294"),
        ("generate sky -s 4.0", f"steps '4.0' {WHOLE} 1 to 150"),
        ("generate sky -s ten", f"steps 'ten' {WHOLE} 1 to 150"),
        ("generate sky -s 4.0 -e stability", f"steps '4.0' {WHOLE} 10 to"),
        ("generate sky -s 0", "steps 0 is out of range for the engine builtin. Give 1 to 150"),
        ("generate sky -s 501", "steps 501 is out of range for the engine builtin"),
        ("generate sky -C high", f"cfg scale 'high' {NUMBER} 0 to 35"),
        ("generate sky -C nan", f"cfg scale 'nan' {NUMBER}"),
        ("generate sky -C 1_0", f"cfg scale '1_0' {NUMBER}"),
        ("generate sky -C 36", "cfg scale 36 is out of range for the engine builtin"),
        ("generate sky -W wide", f"width 'wide' {WHOLE} 128 to"),
        ("generate sky -H 1e3", f"height '1e3' {WHOLE} 128 to"),
        ("generate sky -n two", f"images 'two' {WHOLE} 1 to 100"),
        ("generate sky -n 0", "Give 1 to 100"),
        ("generate sky --off x", f"--off 'x' {WHOLE} 1 to 1"),
        ("generate sky --start-schedule x", f"start schedule 'x' {NUMBER} 0 to 1"),
        ("generate sky --image-strength x", f"image strength 'x' {NUMBER} 0 to 1"),
        ("generate sky --variation-seed 1.5", f"variation seed '1.5' {WHOLE}"),
        ("generate sky --variation-strength x", f"variation strength 'x' {NUMBER} 0 to 1"),
        ("generate sky --guidance-preset slow --guidance-cuts x", f"'x' {WHOLE} 1 to 1024"),
        ("generate sky --adapter-type canny --adapter-strength x", f"'x' {NUMBER} 0 to 1"),
        ("vary @1 --strength x", f"strength 'x' {NUMBER} 0 to 1"),
        ("vary @1 -n x", f"images 'x' {WHOLE} 1 to 100"),
        ("upscale @1 --by x", f"factor 'x' {WHOLE} 2 to 4"),
        ("upscale @1 -W x", f"width 'x' {WHOLE} 1 to 8192"),
        ("history --limit 0", "--limit 0 is out of range. Give 1 to"),
        ("history --limit x", f"--limit 'x' {WHOLE} 1 to"),
        ("jobs --limit 2.0", f"--limit '2.0' {WHOLE} 1 to"),
        ("verify --last -1", "--last -1 is out of range"),
        ("serve --port 99999", "--port 99999 is out of range. Give 0 to 65535"),
        ("serve --port http", f"--port 'http' {WHOLE} 0 to 65535"),
        ("serve --queue x", f"--queue 'x' {WHOLE} 0 to"),
        ("serve --fleet 0", "--fleet 0 is out of range"),
        ("generate sky -A k_euller", "Did you mean 'k_euler'?"),
        ("generate sky -y animee", "Did you mean 'anime'?"),
        ("generate sky -e bulitin", "Did you mean 'builtin'?"),
        ("generate sky -m safelight-129-v1", "Did you mean 'safelight-128-v1@3'?"),
        (
            "generate sky --weight-method text-encode",
            "Did you mean 'text_encoder'?",
        ),
        ("generate sky --adapter-type cany", "Did you mean 'canny'?"),
        ("generate sky --guidance-preset slowst", "Did you mean 'slowest'?"),
        ("upscale @1 --upscaler esrgann", "Did you mean 'esrgan'?"),
    ],
)
def test_numbers_and_names_are_told_in_one_way(arguments: str, words: str) -> None:
    assert words in refuse(*arguments.split())


def test_a_long_number_is_not_repeated() -> None:
    assert len(refuse("generate", "sky", "-S", "9" * 5000)) < 300


def test_the_error_of_a_number_is_a_document_too() -> None:
    done = run("generate", "sky", "-s", "4.0", "--json", status=2)
    assert json.loads(done.stdout)["error"]["field"] == "parameters.steps"


def make_session(name: str) -> None:
    async def make() -> None:
        darkroom = Darkroom(find_data_directory(), Settings())
        await darkroom.open_session(name)
        await darkroom.close()

    asyncio.run(make())


@pytest.mark.parametrize("is_before", [True, False])
def test_jobs_belong_to_the_session_that_is_named(is_before: bool) -> None:
    make_session("night")
    words = ["generate", "sky", *QUICK]
    run(*(["--session", "night", *words] if is_before else [*words, "--session", "night"]))
    with Database.open(find_data_directory()) as database, database.raw() as connection:
        assert connection.execute("SELECT session FROM job").fetchall() == [("night",)]


@pytest.mark.parametrize("command", ["generate sky", "vary @1", "upscale @1", "history"])
def test_a_session_that_does_not_exist_is_told(command: str) -> None:
    make_session("night")
    said = refuse(*command.split(), "--session", "nihgt")
    assert "There is no session 'nihgt'. Known: night. Did you mean 'night'?" in said
    assert "The darkroom makes one: safelight --session NAME." in said
    assert list_jobs() == []


@pytest.mark.parametrize(
    "command",
    ["show @1", "jobs", "verify --all", "sessions", "doctor", "engines", "keys", "key test"],
)
def test_a_command_without_sessions_refuses_one(command: str) -> None:
    said = refuse("--session", "main", *command.split())
    assert f"The command '{command.split()[0]}' has no --session." in said
    assert "These have one: generate, vary, upscale, history, export, import." in said


def test_the_doctor_makes_nothing(home: Path) -> None:
    document = json.loads(run("doctor", "--json").stdout)
    assert document["facts"]["history"]["state"].startswith("nothing is there yet")
    assert document["problems"] == []
    assert list(home.iterdir()) == []
    assert not Path(os.environ["SAFELIGHT_HOME"]).exists()


def test_the_doctor_leaves_an_older_history_as_it_is(home: Path) -> None:
    run("history")
    path = find_data_directory() / "history.sqlite3"
    with Database.open(find_data_directory()) as database, database.raw() as connection:
        connection.execute("UPDATE meta SET value = '1' WHERE key = 'schema_version'")
        connection.execute("PRAGMA user_version = 1")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.commit()
    before = path.read_bytes()
    assert "form 1, this program has" in run("doctor").stdout
    assert path.read_bytes() == before


def test_what_every_image_lost_is_said_once() -> None:
    done = invoke(["generate", "qzx", "-n", "3", "-S", "1", "-s", "1"])
    assert done.exit_code == 0
    assert done.stderr.count("The model does not know: qzx.") == 1


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"HOME": "", "SAFELIGHT_HOME": ""}, "The variable HOME is empty."),
        ({"SAFELIGHT_HOME": "/dev/null/x"}, "/dev/null is no folder"),
        ({"SAFELIGHT_HOME": "~nobody-of-that-name"}, "names no folder here"),
    ],
)
def test_without_a_folder_each_command_says_what_to_set_and_the_doctor_works(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], words: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for words_of in ("generate x", "history", "doctor"):
        done = run(*words_of.split(), status=1 if words_of == "doctor" else 2)
        assert "SAFELIGHT_HOME" in done.stderr
    document = json.loads(run("doctor", "--json", status=1).stdout)
    assert len(document["problems"]) == 1
    assert words in document["problems"][0]
    assert document["facts"]["engines"]["builtin"]


def test_the_doctor_looks_at_the_history_whatever_the_configuration_is(home: Path) -> None:
    with Database.open(find_data_directory()):
        (home / "safelight" / "config.toml").write_bytes(b"a = " + b"[" * 5000)
    document = json.loads(run("doctor", "--json", status=1).stdout)
    assert [problem.count("nested too deep") for problem in document["problems"]] == [1]
    assert document["facts"]["history"]["unfinished jobs"] == 0
