"""Hosts, keys and money, as a person meets them: behind the whole program, on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.worker.process import find_worker
from store.records import JobState
from tests.factories import PAINTER_MODEL
from tests.journeys.program import Program
from tests.repeats import mark
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
CANARY = "sk-CANARY-" + "k" * 41
SIZE = ("-W", "128", "-H", "128", "-s", "10", "-S", "7")

FAKE_KEYRING = """
import json, pathlib
FILE = pathlib.Path(__file__).with_name("kept.json")
def _read():
    return json.loads(FILE.read_text()) if FILE.exists() else {}
def get_password(service, name):
    return _read().get(f"{service}/{name}")
def set_password(service, name, password):
    FILE.write_text(json.dumps(_read() | {f"{service}/{name}": password}))
def delete_password(service, name):
    FILE.write_text(json.dumps({k: v for k, v in _read().items() if k != f"{service}/{name}"}))
"""


@contextlib.contextmanager
def serve(*arguments: str, token: str | None = None) -> Iterator[str]:
    """The address of a service of its own on loopback, which takes `token` as its key."""
    command = [sys.executable, "-m", "tests.engines.stability.server", *arguments, "--port", "0"]
    environ = os.environ | ({} if token is None else {"SERVER_TOKEN": token})
    server = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield f"127.0.0.1:{server.stdout.readline().split(':')[-1].strip()}"
    finally:
        server.kill()
        server.communicate()


@pytest.fixture
def config(home: Path) -> Path:
    path = home / "safelight" / "config.toml"
    path.parent.mkdir()
    return path


def feed(program: Program, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that reads `text` from standard input."""
    return program.run(*arguments, status=None, given=text)


def find_job(program: Program, place: int = 0) -> Any:
    return program.run_json("jobs")["jobs"][place]


def read_everything(folder: Path) -> bytes:
    """All names and bytes below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return b"".join(bytes(path) + path.read_bytes() for path in files)


def keep_in_environment(program: Program, _: Path) -> None:
    program.environ["STABILITY_KEY"] = CANARY


def keep_in_file(program: Program, config: Path) -> None:
    early = program.run("generate", "sky", *SIZE, "-e", "stability", status=1)
    assert "needs a key and none is set" in early.stderr
    done = feed(program, f"{CANARY}\n", "key", "set", "--file")
    assert done.returncode == 0, done.stderr
    path = config.parent / "keys" / "stability"
    assert path.stat().st_mode & 0o777 == 0o600
    assert CANARY not in done.stdout + done.stderr


def keep_in_named_file(program: Program, config: Path) -> None:
    path = program.home / "key.txt"
    path.write_text(CANARY)
    path.chmod(0o600)
    config.write_text(config.read_text() + f'key_file = "{path}"\n')


def keep_with_command(program: Program, config: Path) -> None:
    keep_in_named_file(program, config.with_name("other.toml"))
    path = program.home / "key.txt"
    code = f"print(open({str(path)!r}).read())"
    command = json.dumps([sys.executable, "-c", code])
    config.write_text(f"{config.read_text()}key_command = {command}\n")


def keep_in_keyring(program: Program, config: Path) -> None:
    package = program.home / "fake" / "keyring"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FAKE_KEYRING)
    (package / "errors.py").write_text("class KeyringError(Exception): pass\n")
    program.environ["PYTHONPATH"] = f"{package.parent}:{ROOT}"
    done = feed(program, f"{CANARY}\n", "key", "set")
    assert done.returncode == 0, done.stderr
    assert CANARY not in done.stdout + done.stderr
    config.write_text(config.read_text() + "keyring = true\n")


@pytest.mark.parametrize(
    "keep",
    [
        keep_in_environment,
        mark(keep_in_file),
        mark(keep_in_named_file),
        keep_with_command,
        mark(keep_in_keyring),
    ],
)
@pytest.mark.samples(1)
def test_the_key_is_used_and_nowhere_to_be_found(
    program: Program, home: Path, config: Path, keep: Any
) -> None:
    config.with_name("other.toml").write_text("")
    with serve(token=CANARY) as host:
        config.write_text(f'[stability]\nhost = "{host}"\nmodels = ["{PAINTER_MODEL}", "gone-1"]\n')
        keep(program, config)
        said = program.run("generate", "sky", *SIZE, "-e", "stability")
        worker = find_worker(program.directory).process_id
        argv = Path(f"/proc/{worker}/cmdline").read_bytes()
        failed = program.run("generate", "x", *SIZE, "-e", "stability", "-m", "gone-1", status=1)
        told = program.run("key", "test")
    assert "accepts the key" in told.stdout
    assert "does not have the model" in failed.stderr
    program.end_worker()
    seen = said.stdout + said.stderr + failed.stdout + failed.stderr + told.stdout + told.stderr
    assert CANARY not in seen
    assert CANARY.encode() not in argv
    everything = read_everything(program.directory)
    assert b"SQLite format 3" in everything
    assert b"painter-1" in everything
    assert CANARY.encode() not in everything


@pytest.mark.parametrize("engine", ["stability", "stability-rest"])
def test_a_missing_key_is_told_before_anything_is_queued(program: Program, engine: str) -> None:
    early = program.run("generate", "sky", "-e", engine, "-n", "4", status=2)
    assert early.stderr.count("needs a key and none is set") == 1
    late = program.run("generate", "sky", "-e", engine, "--until", "8h", "--no-wait", status=2)
    assert late.stderr.count("needs a key and none is set") == 1
    assert program.run("jobs").stdout == ""


def test_a_wrong_key_is_told_and_a_forgotten_one_is_gone(program: Program, config: Path) -> None:
    with serve(token="another") as host:
        config.write_text(f'[hosts.mine]\nhost = "{host}"\n')
        assert feed(program, CANARY, "key", "set", "--file", "--profile", "mine").returncode == 0
        refused = program.run("key", "test", "--profile", "mine", status=2)
        assert "does not accept this key" in refused.stderr
        assert CANARY not in refused.stderr
        program.run("key", "forget", "--file", "--profile", "mine")
        missing = program.run("key", "test", "--profile", "mine", status=2)
        assert "needs a key and none is set" in missing.stderr
    assert CANARY.encode() not in read_everything(config.parent)
    for text in ("", "two words", "naïve"):
        done = feed(program, text, "key", "set", "--file")
        assert done.returncode == 2
        assert "gives no key" in done.stderr


def test_without_the_package_the_keyring_says_how_to_get_it(program: Program, home: Path) -> None:
    package = home / "none"
    package.mkdir()
    (package / "keyring.py").write_text("raise ImportError\n")
    program.environ["PYTHONPATH"] = f"{package}:{ROOT}"
    done = feed(program, CANARY, "key", "set")
    assert done.returncode == 2
    assert "pip install 'safelight[keyring]'" in done.stderr


@pytest.mark.exhaustive
def test_a_job_goes_to_the_host_that_it_was_asked_for(program: Program, config: Path) -> None:
    with serve() as one, serve() as other:
        config.write_text(
            f'profile = "one"\n[hosts.one]\nhost = "{one}"\nmodel = "{PAINTER_MODEL}"\n'
            f'[hosts.other]\nhost = "{other}"\nmodel = "{PAINTER_MODEL}"\n'
        )
        ask = ("generate", "sky", *SIZE, "-e", "stability", "--no-wait")
        program.run(*ask)
        worker = find_worker(program.directory).process_id
        program.run(*ask, "--profile", "other")
        program.environ["SAFELIGHT_PROFILE"] = "other"
        program.run(*ask)
        wait_until(lambda: program.count_images() == 3, "all three images")
        hosts = [program.run_json("show", f"@{n}")["environment"]["host"] for n in (3, 2, 1)]
        assert hosts == [one, other, other]
        assert find_worker(program.directory).process_id == worker
        (engine,) = program.run_json("engines", "--online")["engines"]
        assert engine["id"] == PAINTER_MODEL
        account = program.run_json("balance")
        assert (account["host"], account["credits"]) == (other, 0.0)
    done = program.run("generate", "sky", "--profile", "third", status=2)
    assert "no profile 'third'. Known: one, other" in done.stderr


def write_budget(config: Path, limit: str, prices: str) -> None:
    config.write_text(
        f'[stability]\nmodel = "{PAINTER_MODEL}"\nfree = false\n'
        f"[budget]\n{limit}\nprices = {prices}\n"
    )


PRICES = f"{{{PAINTER_MODEL} = 1.0}}"


@pytest.mark.exhaustive
def test_the_budget_of_a_day_stops(program: Program, config: Path) -> None:
    ask = ("generate", "sky", *SIZE, "-e", "stability")
    with serve() as program.environ["STABILITY_HOST"]:
        write_budget(config, "credits_per_day = 2.5", "{}")
        assert f"price of {PAINTER_MODEL} is not known" in program.run(*ask, status=2).stderr
        write_budget(config, "credits_per_day = 2.5", PRICES)
        done = program.run(*ask, "-n", "2")
        assert "stability takes about 2 credits" in done.stderr
        meta = program.run_json("show", "@1")["meta"]
        assert (meta["cost estimate"], meta["credits"]) == ("about 1 credit", "1")
        refused = program.run(*ask, status=2).stderr
        assert "have cost 2; the limit is 2.5 a day" in refused
        assert "credits_per_day" in refused
        assert len(program.run_json("jobs")["jobs"]) == 2
        assert program.run_json("balance")["spent_today"] == 2.0
        assert "note:" not in program.run("generate", "sky", "-s", "2").stderr
    write_budget(config, "credits_per_day = 3", PRICES)
    with serve("--behaviour", "filter_image") as program.environ["STABILITY_HOST"]:
        program.run(*ask)
        assert program.run_json("show", "@1")["meta"]["credits"] == "0"
        assert program.run_json("balance")["spent_today"] == 2.0
    with serve("--behaviour", "no_image") as program.environ["STABILITY_HOST"]:
        program.run(*ask, status=1)
        assert program.run_json("balance")["spent_today"] == 3.0


@pytest.mark.exhaustive
def test_the_worker_holds_the_budget_too(program: Program, config: Path) -> None:
    ask = ("generate", "sky", *SIZE, "-e", "stability", "--no-wait")
    with serve("--behaviour", "silence") as program.environ["STABILITY_HOST"]:
        write_budget(config, "", PRICES)
        program.run(*ask)
        wait_until(
            lambda: program.list_jobs()[0].state is JobState.RUNNING, "the first job's start"
        )
        program.run(*ask)
        program.kill_worker()
        write_budget(config, "credits_per_day = 1.5", PRICES)
        program.run("generate", "sky", "-s", "2")
        wait_until(lambda: program.list_jobs()[1].state.is_final, "the second job's end")
        assert find_job(program, 1)["state"] == "failed"
        assert find_job(program, 1)["kind"] == "over_budget"
        assert find_job(program, 2)["state"] == "unknown"
