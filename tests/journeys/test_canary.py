"""A canary for a key: however it is given, however it is repeated, it is found nowhere."""

from __future__ import annotations

import re
import sqlite3
import sys
import unicodedata
import zipfile
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest

from store.errors import StoreError
from store.metadata.containers import read_metadata
from tests.journeys.loud_service import (
    GRPC_ANSWERS,
    REST_ANSWERS,
    GrpcService,
    RestService,
    list_spellings,
)
from tests.journeys.program import Program
from tests.journeys.test_account import (
    CANARY,
    keep_in_keyring,
    keep_in_named_file,
)
from tests.repeats import mark
from tests.screens import open_terminal

ROOT = Path(__file__).parents[2]
KEY = 'sk-CANARY/44+17"%\\Zq&='
"""Each spelling of it is another one."""

CONFIG = '[stability]\nmodels = ["painter"]\n[worker]\nidle_minutes = 2\n'
KEPT = ("key.txt", "keys/stability", "kept.json")
"""Where these tests keep a key, as a person does."""


def find_leaks(key: str, texts: Iterable[str | bytes]) -> list[bytes]:
    """The spellings of `key` in any of `texts`, of base64 also where other bytes begin it."""
    wanted = [spelling.encode() for spelling in list_spellings(key)]
    wanted += [spelling[8:-6] for spelling in wanted[5:7]]
    found = []
    for text in texts:
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        found += [spelling for spelling in wanted if spelling in data]
    return found


def find_acting(texts: Iterable[str]) -> list[str]:
    """What in printed `texts` acts on a terminal or is invisible."""
    hidden = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
    return [
        sign
        for text in texts
        for sign in text
        if sign != "\n" and unicodedata.category(sign) in hidden
    ]


def read_files(folder: Path) -> list[bytes]:
    """All names and bytes below `folder`, unpacked where they are packed."""
    found: list[bytes] = []
    for path in folder.rglob("*"):
        found.append(bytes(path))
        if not path.is_file() or str(path).endswith(KEPT):
            continue
        found.append(data := path.read_bytes())
        try:
            found += [field.text.encode() for field in read_metadata(data).fields]
        except StoreError:
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as bundle:
                    found += [bundle.read(name) for name in bundle.namelist()]
    return found


@pytest.fixture
def config(home: Path) -> Path:
    path = home / "safelight" / "config.toml"
    path.parent.mkdir()
    path.write_text(CONFIG)
    return path


def use(program: Program, rest: RestService, service: GrpcService) -> None:
    program.environ["STABILITY_REST_HOST"] = rest.host
    program.environ["STABILITY_HOST"] = service.host


VERBS = """
jobs
jobs --json
history
history --json
history --search note:x
show {image}
show {image} --json
show {image} --command
lineage {image}
diff {image} @2
diff {image} @2 --json
verify {image}
verify {image} --json --report report.html
regenerate {image}
retry {job}
tag {image} sky
note {image} x
rate {image} 3
export {image} -o written --sidecar txt --sidecar json
export {image} --bundle all.zip
export {image} -o plain --strip
backup copy.sqlite3
trash {image}
trash --undo {image}
thin
sessions
runs
engines
engines --server
engines --server --json
balance
balance --json
key test
key test --json
keys
doctor
doctor --json
import written
"""


@pytest.mark.exhaustive
def test_whatever_a_service_repeats_the_key_is_found_nowhere(
    program: Program, config: Path
) -> None:
    program.environ["STABILITY_KEY"] = KEY
    said: list[str] = []

    def run(*arguments: str) -> str:
        done = program.run(*arguments, status=None)
        assert "Traceback" not in done.stderr, arguments
        said.extend((done.stdout, done.stderr))
        return done.stdout

    with RestService() as rest, GrpcService() as service:
        use(program, rest, service)
        count = str(len(GRPC_ANSWERS))
        run("generate", "sky", "-e", "stability", "-n", count, "-W", "128", "-H", "128")
        run("generate", "sky", "-e", "stability-rest", "-n", str(len(REST_ANSWERS)))
        run("generate", "sky", "-e", "stability-rest", "--json")
        assert rest.keys == [KEY] * len(REST_ANSWERS)
        jobs = program.run_json("jobs", "--limit", "100")["jobs"]
        assert len(jobs) == len(REST_ANSWERS) + len(GRPC_ANSWERS) + 1
        told = [job["error"] for job in jobs if job["error"]]
        assert sum("[key]" in text for text in told) > len(jobs) // 2
        images = program.run_json("history")["images"]
        assert len(images) == 4
        assert all("wrote your key into" in image["warning"] for image in images)
        failed = next(job["id"] for job in jobs if job["state"] == "failed")
        for line in VERBS.strip().splitlines():
            run(*line.format(image=images[0]["id"], job=failed).split())
        argv = [sys.executable, "-m", "tui"]
        with open_terminal(argv, columns=120, rows=40, environ=program.environ, cwd=ROOT) as screen:
            screen.wait_for_text("typing")
            for key, text in (
                ("\x1b", "moving"),
                ("h", "─ history ─"),
                ("q", "─ prompts ─"),
                ("j", "─ jobs ─"),
                ("q", "─ prompts ─"),
            ):
                screen.send(key)
                screen.wait_for_text(text)
                # A key that comes before the screen has its rows would be read with the next.
                screen.wait_for_silence()
            screen.send("q")
            screen.wait_for_end()
            seen = bytes(screen.raw)
        assert set(service.keys) == {KEY}
    program.end_worker()
    log = (program.directory / "worker.log").read_text()
    assert "generate" in log
    assert list((program.directory / "spool").iterdir())
    assert find_leaks(KEY, [*said, seen, *read_files(program.home)]) == []
    assert find_acting([*said, log]) == []
    assert re.search(rb"\x1b\]52|\xe2\x80\xae", seen) is None


def keep_in_file(program: Program, config: Path) -> None:
    program.run("key", "set", "--file", given=f"{CANARY}\n")
    assert (config.parent / "keys" / "stability").read_text() == f"{CANARY}\n"


def keep_with_command(program: Program, config: Path) -> None:
    path = program.home / "key.txt"
    path.write_text(CANARY)
    config.write_text(f'{config.read_text()}key_command = ["cat", "{path}"]\n')


@pytest.mark.parametrize(
    "keep",
    [keep_in_file, mark(keep_in_named_file), mark(keep_with_command), mark(keep_in_keyring)],
)
def test_however_a_key_is_given_it_is_found_nowhere_else(
    program: Program, config: Path, keep: Callable[[Program, Path], None]
) -> None:
    said: list[str] = []
    config.write_text('[worker]\nidle_minutes = 2\n[stability]\nmodels = ["painter"]\n')
    with RestService(REST_ANSWERS[10:11] + REST_ANSWERS[:1]) as rest, GrpcService() as service:
        use(program, rest, service)
        keep(program, config)
        for arguments in (
            ("generate", "sky", "-e", "stability-rest", "-n", "2"),
            ("generate", "sky", "-e", "stability", "-W", "128", "-H", "128"),
            ("jobs", "--json"),
            ("key", "test"),
            ("engines", "--server"),
            ("doctor",),
            ("key", "forget"),
            ("key", "forget", "--file"),
        ):
            done = program.run(*arguments, status=None)
            said += [done.stdout, done.stderr]
        assert rest.keys == [CANARY] * 2
    program.end_worker()
    assert find_leaks(CANARY, [*said, *read_files(program.home)]) == []
    assert find_acting(said) == []


@pytest.mark.parametrize("place", ["an argument", "a setting", "a variable with a line more"])
def test_a_key_in_a_wrong_place_is_refused_and_not_repeated(
    program: Program, config: Path, place: str
) -> None:
    arguments = ["key", "set", CANARY] if place == "an argument" else ["doctor"]
    if place == "a setting":
        config.write_text(f'[stability]\nkey = "{CANARY}"\n')
    elif place != "an argument":
        program.environ["STABILITY_KEY"] = f"{CANARY}\nmore"
    done = program.run(*arguments, status=None)
    assert done.returncode in (1, 2)
    assert CANARY not in done.stdout + done.stderr


def test_a_crash_of_a_command_tells_no_key_and_sends_no_controls(
    program: Program, config: Path
) -> None:
    program.environ["STABILITY_KEY"] = KEY
    program.environ["PYTHONPATH"] = str(ROOT)
    code = (
        "import os, sys, tui.darkroom; from tui.cli import main\n"
        "async def crash(self, *given, **named):\n"
        "    raise RuntimeError('\\x1b[2J Bearer ' + os.environ['STABILITY_KEY'])\n"
        "tui.darkroom.Darkroom.open = crash\n"
        "sys.argv = ['safelight', *sys.argv[1:]]\n"
        "main()\n"
    )
    for arguments in ((), ("history",), ("jobs", "--json")):
        argv = [sys.executable, "-c", code, *arguments]
        with open_terminal(argv, environ=program.environ, cwd=ROOT) as screen:
            assert screen.wait_for_end() == 1
            said = bytes(screen.raw)
        assert b"RuntimeError" in said
        assert b"[key]" in said
        assert find_leaks(KEY, [said]) == []
        assert b"\x1b[2J Bearer" not in said


@pytest.mark.exhaustive
def test_what_an_earlier_version_stored_is_not_shown(program: Program, config: Path) -> None:
    program.run("generate", "sky", "-s", "1")
    with closing(sqlite3.connect(program.directory / "history.sqlite3")) as connection:
        text = f"Incorrect API key provided: Bearer {KEY}"
        connection.execute("UPDATE image SET warning = ?", (text,))
        connection.execute("UPDATE job SET warning = ?, error = ?", (text, text))
        connection.commit()
    program.environ["STABILITY_KEY"] = KEY
    for line in ("history", "history --json", "show @1", "show @1 --json", "jobs", "jobs --json"):
        done = program.run(*line.split())
        assert find_leaks(KEY, [done.stdout, done.stderr]) == []
        if line != "history":
            assert "Bearer [key]" in done.stdout
