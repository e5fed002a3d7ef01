"""Bad input: a clear sentence, status 2, nothing made, nothing lost."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.journeys.program import Program


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("generate", "sky::11"), "11 is out of range"),
        (("generate", "sky::high"), "'high' after '::' is not a number"),
        (("generate", "sky", "-S", "0"), "seed 0 is out of range"),
        (("generate", "sky", "-S", "-1"), "seed -1 is out of range"),
        (("generate", "sky", "-S", "4294967296"), "4294967296 is out of range"),
        (("generate", ""), "prompt is empty"),
        (("generate", "clouds::-1"), "weight above 0"),
        (("generate", "sky", "-W", "100"), "size 100x128 does not fit"),
        (("generate", "sky", "-A", "k_fast"), "'k_fast'. Known: "),
        (("generate", "sky", "-e", "cloud"), "no engine 'cloud'"),
        (("generate", "sky", "-s", "0"), "steps 0"),
        (("generate", "sky", "-C", "99"), "cfg scale 99"),
        (("generate", "sky", "--style-preset", "baroque"), "'baroque'"),
        (("generate", "word " * 10_000), "more than 10,000"),
        (("generate", "sky \x1b]52;c;eA==\x07"), "control character U+001B at position 5"),
        (("show", "@1"), "no image"),
        (("show", "beef"), "beef"),
        (("verify",), "Say which images"),
        (("cancel", "beef"), "beef"),
    ],
)
@pytest.mark.samples(6)
def test_a_sentence_names_what_is_wrong(
    program: Program, arguments: tuple[str, ...], words: str
) -> None:
    done = program.run(*arguments, status=2)
    assert words in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr
    assert program.run_json("history")["images"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--fo\x1b]52;c;eA==\x07o",),
        ("sky\u202e\u061c\u2028\U000e0041",),
        ("jobs", "--limit\u009b5n"),
        ("show", "@1", "more\x1b[2J"),
        ("key", "keep\x7f\udcff"),
        ("generate", "--steps"),
    ],
)
@pytest.mark.samples(2)
def test_a_usage_error_shows_no_argument_raw(program: Program, arguments: tuple[str, ...]) -> None:
    done = program.run_cold(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Error: " in done.stderr
    assert all(line.isprintable() for line in done.stderr.split("\n"))


def test_the_error_is_one_json_document_too(program: Program) -> None:
    document = program.run_json("generate", "sky::11", status=2)
    assert document["error"]["field"] == "prompts.1.weight"


def test_markup_in_a_prompt_is_plain_text(program: Program) -> None:
    text = "a [bold]cat[/x] [@click=app.quit]"
    program.run("generate", text, "-s", "2")
    assert text in program.run("history").stdout
    assert text in program.run("show", "@1").stdout


def test_stability_without_a_key_says_which_variable_to_set(program: Program) -> None:
    document = program.run_json("generate", "sky", "-e", "stability", status=2)
    assert "STABILITY_KEY" in document["error"]["hint"]


def test_an_unreachable_host_is_named(home: Path) -> None:
    program = Program(home, STABILITY_HOST="127.0.0.1:1")
    try:
        document = program.run_json("generate", "sky", "-e", "stability", status=1)
    finally:
        program.end_worker()
    assert document["failed"][0]["kind"] == "unreachable"
    assert "127.0.0.1:1" in document["failed"][0]["error"]


def test_a_newer_history_is_refused_and_not_touched(program: Program) -> None:
    program.run("history")
    path = program.directory / "history.sqlite3"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE meta SET value = '999'")
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = path.read_bytes()
    assert "newer" in program.run("generate", "sky", status=2).stderr
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(home: Path) -> None:
    blocked = home / "file"
    blocked.write_text("")
    program = Program(home, SAFELIGHT_HOME=str(blocked))
    assert str(blocked) in program.run("generate", "sky", status=2).stderr


@pytest.mark.exhaustive
def test_a_read_only_mount_can_be_looked_at_but_not_added_to(program: Program) -> None:
    program.run("generate", "sky", "-s", "2")
    program.end_worker()
    if (unshare := shutil.which("unshare")) is None:
        pytest.skip("needs unshare")
    mount = [unshare, "-m", "/bin/sh", "-c"]
    script = (
        f'mount --bind "{program.directory}" "{program.directory}" && '
        f'mount -o remount,ro,bind "{program.directory}" && exec "$@"'
    )
    if subprocess.run([*mount, script, "sh", "true"], capture_output=True, check=False).returncode:
        pytest.skip("mounting needs more rights than this user has")
    wrapped = [*mount, script, "sh"]
    looked = program.run_cold("history", wrapper=wrapped)
    assert looked.returncode == 0
    assert "sky" in looked.stdout
    refused = program.run_cold("generate", "sky", wrapper=wrapped)
    assert refused.returncode == 2
    assert "reading only" in refused.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.samples(1)
def test_where_nothing_can_be_printed_what_was_made_is_told_beside_it(
    program: Program, form: tuple[str, ...]
) -> None:
    full = ("sh", "-c", 'exec "$@" >/dev/full', "sh")
    done = program.run_cold("generate", "a boat", "-s", "2", *form, wrapper=full)
    assert done.returncode == 2
    assert "Standard output cannot be written: No space left on device." in done.stderr
    (job,) = program.list_jobs()
    assert f"queued {job.id[:8]}" in done.stderr
    assert (job.image_id or "?")[:8] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("closed", "arguments", "status"),
    [
        (">&-", ("jobs", "--json"), 0),
        ("<&-", ("generate", "-"), 2),
        ("2>&-", ("generate", "sky::99"), 2),
        ("<&- >&- 2>&-", ("sessions",), 0),
    ],
)
@pytest.mark.samples(1)
def test_a_stream_that_was_closed_is_no_fault(
    program: Program, closed: str, arguments: tuple[str, ...], status: int
) -> None:
    shell = ("sh", "-c", f'exec "$@" {closed}', "sh")
    done = program.run_cold(*arguments, wrapper=shell)
    assert (done.returncode, "Traceback" in done.stderr) == (status, False)
