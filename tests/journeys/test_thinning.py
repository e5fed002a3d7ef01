"""Images lose their pixels and get them back, the same to the byte, whatever ends the program."""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from store import integrity
from store.database import Database
from tests.journeys.program import Program
from tests.repeats import keep

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(900)
"""A hundred images take their time where other tests run beside these."""

FEW, MANY = 8, 100
PART = 20
"""Images that one command of the tests makes: a machine that is busy takes its time."""

POINTS = 50

CALLS = "fsync,fdatasync,unlink,rename,pwrite64,ftruncate"
"""The calls to the system by which something changes on the disk."""


class Gallery(NamedTuple):
    """A history of images that were all verified here, and their files' digests by path."""

    program: Program
    files: dict[str, str]


@pytest.fixture(scope="module")
def gallery(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gallery]:
    program = Program(tmp_path_factory.mktemp("gallery"))
    for seed in range(1, request.param + 1, PART):
        count = str(min(PART, request.param))
        words = ("a castle", "fog::-0.5", "-s", "1", "-S", str(seed), "-n", count)
        made = program.run_json("generate", *words)["images"]
        program.run("verify", *(image["id"] for image in made))
    program.end_worker()
    yield Gallery(program, list_files(program.directory))
    program.end_worker()


def list_files(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.glob("images/*/*"))
        if not path.name.startswith(".")
    }


def list_thinned(directory: Path) -> set[str]:
    """The files that images without pixels had."""
    with closing(sqlite3.connect(directory / "history.sqlite3")) as connection:
        rows = connection.execute(
            "SELECT file_sha256 FROM image JOIN thinned ON thinned.image_number = image.number"
        ).fetchall()
    return {f"images/{sha256[:2]}/{sha256[2:]}.png" for (sha256,) in rows}


@pytest.mark.parametrize(
    "gallery", keep([FEW, MANY], lambda _: False), indirect=True, scope="module"
)
def test_images_are_thinned_and_restored(gallery: Gallery, tmp_path: Path) -> None:
    before = gallery.files
    program = copy(gallery.program, tmp_path / "home")
    would = program.run_json("thin", "--all", "--dry-run")
    assert would["images"] == len(before)
    assert list_files(program.directory) == before
    done = program.run_json("thin", "--all")
    assert (done["images"], done["files"]) == (len(before), len(before))
    assert done["bytes"] == would["bytes"] > 0
    assert list_files(program.directory) == {}
    assert program.run("doctor").stdout.endswith("no problem found\n")
    assert program.run_json("verify", "--last", "2")["run"]["verdicts"] == {"identical": 2}
    said = program.run("generate", "x", "-s", "1", "-i", "@1", status=2).stderr
    assert "were dropped" in said
    assert "safelight restore" in said
    images = [row["id"] for row in program.run_json("history", "--limit", "100")["images"]]
    for part in range(PART, len(images), PART):
        rows = program.run_json("restore", *images[part : part + PART])["results"]
        assert all(row["is_restored"] for row in rows)
    rest = program.run_json("restore", "--all")["results"]
    assert [row["image_id"] for row in rest] == images[:PART]
    assert all(row["is_restored"] for row in rest)
    assert list_files(program.directory) == before
    assert program.run("doctor").stdout.endswith("no problem found\n")
    assert "has its pixels" in program.run("restore", "@2").stdout
    program.end_worker()


RESTORE = """
    import sys
    from pathlib import Path
    from store import history, queue, thinning
    from store.database import Database
    from store.records import Comparison, Purpose, Verdict
    from tests.factories import make_result

    db, saved = Database.open(Path(sys.argv[1])), Path(sys.argv[2])
    token = queue.recover(db, paid_engines=())
    for image in history.get_images(db, thinning.list_thinned(db)):
        queue.enqueue_comparison(db, image.id, Purpose.RESTORE)
    while job := queue.claim(db, token):
        image = history.get_image(db, job.parent_id)
        data = (saved / image.path.parent.name / image.path.name).read_bytes()
        result = make_result(data=data, pixels_sha256=image.pixels_sha256)
        comparison = Comparison(verdict=Verdict.IDENTICAL)
        queue.finish_comparison(db, job, token, comparison, result=result)
"""
"""What a worker does of restoring, with what was kept aside in place of a model."""


class Killed(NamedTuple):
    """A history before thinning or restoring, the command, and its writes in their order.

    Each by the call's name and how many of that name came before it in its thread, from 1 on.
    """

    program: Program
    command: tuple[str, ...]
    writes: list[tuple[str, int]]


def copy(program: Program, home: Path) -> Program:
    shutil.copytree(program.home, home, dirs_exist_ok=True)
    return Program(home)


def trace(program: Program, command: Sequence[str], *options: str) -> int:
    wrapper = ("strace", "-f", "-qq", "-e", f"trace={CALLS}", *options)
    return subprocess.run(
        [*wrapper, *command],
        env=program.environ | {"PYTHONPATH": str(ROOT)},
        cwd=program.home,
        capture_output=True,
        timeout=150,
        check=False,
    ).returncode


def read_writes(calls: Path) -> list[tuple[str, int]]:
    """The writes of the thread that has most of them; only they are counted together."""
    rows = [re.match(r"(\d+) +(\w+)\(", line) for line in calls.read_text().splitlines()]
    found = [(row[1], row[2]) for row in rows if row]
    [(busiest, _)] = Counter(thread for thread, _ in found).most_common(1)
    counted: Counter[str] = Counter()
    writes = []
    for thread, call in found:
        if thread == busiest:
            counted[call] += 1
            writes.append((call, counted[call]))
    return writes


@pytest.fixture(scope="module")
def killed(gallery: Gallery, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Killed]:
    @cache
    def prepare(name: str) -> Killed:
        program = copy(gallery.program, tmp_path_factory.mktemp(name))
        command: tuple[str, ...] = (sys.executable, "-m", "tui", "thin", "--all")
        if name == "restore":
            program.run("thin", "--all")
            saved = str(gallery.program.directory / "images")
            code = textwrap.dedent(RESTORE)
            command = (sys.executable, "-c", code, "safelight/data", saved)
        counted = copy(program, tmp_path_factory.mktemp("counted"))
        assert trace(counted, command, "-o", str(counted.home / "calls")) == 0
        return Killed(program, command, read_writes(counted.home / "calls"))

    return prepare


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
@pytest.mark.parametrize(
    ("gallery", "name", "point"),
    [
        pytest.param(
            MANY,
            name,
            point,
            marks=pytest.mark.campaign if point % 5 else pytest.mark.exhaustive,
        )
        for name in ("thin", "restore")
        for point in range(1, POINTS // 2 + 1)
    ],
    indirect=["gallery"],
    scope="module",
)
def test_no_image_is_lost_when_it_is_killed(
    killed: Callable[[str], Killed], gallery: Gallery, tmp_path: Path, name: str, point: int
) -> None:
    before = gallery.files
    beginning, command, writes = killed(name)
    program = copy(beginning, tmp_path / "home")
    call, count = writes[len(writes) * point // (POINTS // 2 + 1)]
    options = ("-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={count}")
    assert trace(program, command, *options) != 0  # it was killed in the middle
    after, thinned = list_files(program.directory), list_thinned(program.directory)
    # Each file is as it was, or is gone and said to be.
    assert set(before) - set(after) <= thinned
    assert {path: before[path] for path in after} == after
    with Database.open(program.directory) as database:
        assert integrity.check_database(database) == []
    # What was not done is done the next time.
    assert trace(program, command, "-o", "/dev/null") == 0
    if name == "thin":
        assert list_files(program.directory) == {}
        assert list_thinned(program.directory) == set(before)
    else:
        assert list_files(program.directory) == before
        assert list_thinned(program.directory) == set()
