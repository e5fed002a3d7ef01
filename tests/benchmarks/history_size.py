"""What a long history costs: a thousand images and a million beside each other, in one run.

    python -m tests.benchmarks.history_size [--folder FOLDER] [--few N] [--many N]
        [--parts screen store commands size doctor]

Makes both histories in FOLDER (8 GB for a million; what is there already is used again) and prints
milliseconds and the ratio of the two: the screen with the real widgets, the store below it, the
command line in processes of its own, memory, the file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from textual.events import Key

from engines.memory import collect_seldom
from engines.settings import Settings
from store import history
from store.database import Database
from store.records import Draft
from tests.benchmarks.history_rows import RARE, make_history
from tests.factories import make_request
from tests.store.helpers import make_images
from tests.tui.host import Host
from tui.darkroom import Darkroom
from tui.history.list import HistoryList
from tui.history.screen import HistoryScreen

ROOT = Path(__file__).parents[2]
STAGES = 20_000
_ROUNDS = 3
_TYPED = (
    "night",
    "lighthouse",
    RARE,
    "night sea -moon",
    "watercolour",
    "zq",
    "engine:builtin",
    "rating:>=4",
    "verdict:identical",
    "weight:clouds<0",
    "since:3d",
    "before:2d",
    "session:towns night",
    "is:favourite",
    "tag:sea",
    "sort:rating",
    "sort:prompt night",
)
"""Searches that are typed, each as a whole; their terms are the filters that there are."""

_FILTERS = (
    *_TYPED,
    "house",
    "steps:30",
    "steps:>30",
    "cfg:5..8",
    "size:128x128",
    "size:512x512",
    "model:safelight",
    "sampler:euler",
    "session:main",
    "verdict:different",
    "verdict:never",
    "is:trashed",
    "has:note",
    "weight:clouds>0",
    "sort:seed",
    "sort:-date",
)

_MEMORY = """
import asyncio, json, sys
from pathlib import Path
from engines.settings import Settings
from tui.darkroom import Darkroom
from tui.history.pages import HistoryPages

async def work():
    darkroom = Darkroom(Path(sys.argv[1]), Settings())
    await darkroom.open()
    pages = HistoryPages(darkroom)
    await pages.open()
    await pages.load(0, 40)
    await pages.read_all()
    await pages.load(len(pages) - 40, len(pages))
    await pages.open("night")
    await pages.read_all()
    await darkroom.close()

asyncio.run(work())
lines = Path("/proc/self/status").read_text().splitlines()
print(int(dict(line.split(":", 1) for line in lines)["VmHWM"].split()[0]) / 1024)
"""


async def _time(action: Callable[[], Awaitable[object]], rounds: int = _ROUNDS) -> list[float]:
    """Milliseconds of each round."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        await action()
        times.append((time.perf_counter() - begin) * 1000)
    return times


async def measure_screen(folder: Path) -> dict[str, float]:
    """Milliseconds from a key or a typed search to the record of the image that it shows."""
    figures: dict[str, float] = {}
    darkroom = Darkroom(folder, Settings())
    app = Host(lambda: HistoryScreen(darkroom, Draft(), "main"), darkroom)
    collect_seldom()  # as the program does
    begin = time.perf_counter()
    async with app.run_test(size=(120, 40)) as pilot:

        async def wait(is_there: Callable[[], bool]) -> None:
            while not is_there():
                await asyncio.sleep(0.001)

        await wait(lambda: isinstance(app.screen, HistoryScreen))
        screen: Any = app.screen
        shown: HistoryList = screen.history_list
        await wait(lambda: shown.image is not None)
        figures["screen: open, with the app"] = (time.perf_counter() - begin) * 1000

        async def press(key: str) -> None:
            before = shown.image
            # Not as a pilot does, which waits until the whole process rests.
            app.post_message(Key(key, None))
            await wait(lambda: shown.image is not None and shown.image is not before)

        figures["screen: next page"] = statistics.median(await _time(lambda: press("pagedown"), 9))
        figures["screen: end"] = statistics.median(await _time(lambda: press("end"), 1))
        await wait(lambda: shown.pages.is_whole)
        await pilot.pause()
        figures["screen: home"] = statistics.median(await _time(lambda: press("home"), 1))
        app.post_message(Key("slash", None))
        await wait(lambda: app.focused is screen._field)
        times: list[float] = []

        async def search(text: str) -> None:
            screen._field.value = text
            await wait(lambda: shown.asked[0] == text and not screen._is_at_search)

        for text in _TYPED:
            for _ in range(_ROUNDS):
                await pilot.pause()
                times += await _time(lambda text=text: search(text), 1)  # type: ignore[misc]
                await search("")
        ordered = sorted(times)
        figures["screen: search, p50"] = statistics.median(ordered)
        figures["screen: search, p95"] = ordered[int(len(ordered) * 0.95)]
    return figures


def measure_store(folder: Path) -> dict[str, float]:
    """Milliseconds of the first page of each filter and order, of pages, and of writing."""
    figures: dict[str, float] = {}

    def time_it(name: str, action: Callable[[], object], rounds: int = _ROUNDS) -> None:
        times = []
        for _ in range(rounds):
            begin = time.perf_counter()
            action()
            times.append((time.perf_counter() - begin) * 1000)
        figures[name] = statistics.median(times)

    with Database.open(folder) as db:
        newest = history.list_images(db, limit=1)[0]
        searches = [*_FILTERS, f"seed:{newest.seed}", newest.id[:8], f"from:{newest.id[:8]}"]
        names = [*_FILTERS, "seed:N", "the beginning of an id", "from:"]
        for name, text in zip(names, searches, strict=True):
            time_it(f"store: {name}", lambda text=text: history.list_images(db, search=text))  # type: ignore[misc]
        time_it("store: count", lambda: history.count_images(db))
        time_it("store: all numbers", lambda: history.list_image_numbers(db), 2)
        time_it("store: show @1", lambda: history.get_image(db, "@1"))
        times = []
        for place in range(60):
            request = make_request(f"a new image {place}", seed=place + 1)
            begin = time.perf_counter()
            make_images(db, [request])
            times.append((time.perf_counter() - begin) * 1000)
        figures["store: insert, p95"] = sorted(times)[int(len(times) * 0.95)]
    return figures


def measure_doctor(folder: Path) -> dict[str, float]:
    """Milliseconds of one `doctor`."""
    return {"command: doctor": _run(folder, "doctor")}


def _run(folder: Path, *words: str) -> float:
    """Milliseconds of a command in a process of its own."""
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "tui", *words],
        cwd=ROOT,
        env={"SAFELIGHT_HOME": str(folder.parent), "PATH": "/usr/bin:/bin", "TERM": "dumb"},
        capture_output=True,
        check=False,
    )
    return (time.perf_counter() - begin) * 1000


def measure_commands(folder: Path) -> dict[str, float]:
    """Milliseconds of whole commands, the start of Python with them."""
    figures: dict[str, float] = {}
    for name, words in (
        ("history", ("history", "--limit", "20")),
        ("history --search night", ("history", "--search", "night")),
        (f"history --search {RARE}", ("history", "--search", RARE)),
        ("history --sort rating", ("history", "--sort", "rating")),
        ("show @1", ("show", "@1")),
    ):
        times = [_run(folder, *words) for _ in range(_ROUNDS)]
        figures[f"command: {name}"] = statistics.median(times)
    return figures


def measure_size(folder: Path) -> dict[str, float]:
    """Mebibytes of memory, and bytes an image in the file."""
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    with Database.open(folder) as db, db.raw() as connection:
        (count,) = connection.execute("SELECT count(*) FROM image").fetchone()
        rows = dict(
            connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetchall()
        )
        (staged,) = connection.execute("SELECT count(DISTINCT image_number) FROM stage").fetchone()
    stages = sum(size for name, size in rows.items() if "stage" in name)
    rest = sum(rows.values()) - rows["thumbnail"] - stages
    return {
        "memory, MiB": float(done.stdout),
        "bytes an image, without thumbnail and stages": rest / count,
        "bytes of its stages": stages / max(1, staged),
    }


def prepare(folder: Path, count: int) -> tuple[Path, dict[str, float]]:
    """The data folder of a history of `count` images, made where it is not there."""
    data = folder / f"images-{count}" / "data"
    facts = data.parent / "made.json"
    if not facts.exists():
        rows = make_history(data, count, min(count, STAGES))
        facts.write_text(json.dumps({"the search index of all, s": rows.indexed}))
    return data, json.loads(facts.read_text())


PARTS: dict[str, Callable[[Path], dict[str, float]]] = {
    "screen": lambda folder: asyncio.run(measure_screen(folder)),
    "store": measure_store,
    "commands": measure_commands,
    "size": measure_size,
    "doctor": measure_doctor,
}


def measure(folder: Path, count: int, parts: Sequence[str]) -> dict[str, float]:
    """The figures of a history of `count` images."""
    data, figures = prepare(folder, count)
    for part in parts:
        figures |= PARTS[part](data)
    return figures


def print_table(counts: Sequence[int], few: dict[str, float], many: dict[str, float]) -> None:
    """The figures beside each other, and how much they grow."""
    width = max(map(len, few))
    print(f"{'':<{width}}  {counts[0]:>12,}  {counts[1]:>12,}  ratio")
    for name, value in few.items():
        ratio = many[name] / value if value else float("inf")
        print(f"{name:<{width}}  {value:>12,.1f}  {many[name]:>12,.1f}  {ratio:>5.2f}")


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--few", type=int, default=1000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        counts = (given.few, given.many)
        few, many = (measure(folder, count, given.parts) for count in counts)
        print_table(counts, few, many)


if __name__ == "__main__":
    main()
