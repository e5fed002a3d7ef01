"""The line that makes an image again is read back by the program as the same request."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from engines.capabilities import Capabilities, Sizes, Span
from engines.registry import EngineRegistry
from engines.stability.models import SIZES
from store import queue
from store.database import Database
from store.folder import find_data_directory
from store.inputs import store_input
from store.limits import SIZE_MULTIPLE, STEPS_MAXIMUM, TEXT_LIMIT
from store.pixels import FILE_LIMIT
from store.records import Job
from store.request import FORMS, InitialImage, Mask, Parameters, Prompt, Request, Upscale
from tests.factories import make_quick_request, make_request
from tests.store.strategies import make_struct
from tests.tui.cli.invoking import invoke
from tui.cli.inputs import REQUEST_LIMIT
from tui.shell_command import make_command, make_pipe

OPTIONAL = tuple(field.name for field in msgspec.structs.fields(Parameters) if not field.required)
PLAIN = make_request().parameters


def accept(request: Request) -> Capabilities:
    """An engine that takes everything that `request` has."""
    wide = Span(low=0, high=STEPS_MAXIMUM, step=1, default=10)
    style = request.parameters.style_preset
    return Capabilities(
        engine=request.engine,
        title="All",
        models=(request.model,),
        samplers=(request.parameters.sampler,),
        default_sampler=request.parameters.sampler,
        style_presets=(style,) if style else (),
        steps=wide,
        cfg_scale=wide,
        sizes=Sizes(
            default=(128, 128), suggested=(), multiple=SIZE_MULTIPLE, high=4096, pixels_high=4096**2
        ),
        takes=OPTIONAL,
        upscale_models=(request.model,),
    )


SHELL = """safelight() {
  printf '%s\\0' "$@"; printf '\\036'
  case "$*" in "generate --request -") cat ;; esac
}
"""


def read_line(line: str) -> tuple[list[str], bytes]:
    """The arguments that `sh` hands over for `line`, and what is on standard input then."""
    done = subprocess.run(["sh"], input=(SHELL + line).encode(), capture_output=True, check=True)
    assert done.stderr == b""
    words, _, given = done.stdout.partition(b"\036")
    return words.decode().split("\0")[:-1], given


def run_command(request: Request, inputs: dict[str, str]) -> list[Any]:
    """The jobs that the line for `request` queues."""
    line = make_command(request, inputs)
    assert line.replace("\n", "").isprintable()
    words, given = read_line(line)
    return run_words(request, words, given)


def run_words(request: Request, words: list[str], given: bytes = b"") -> list[Any]:
    """The jobs that the arguments `words` of the program queue."""
    with mock.patch.object(EngineRegistry, "get_capabilities", return_value=accept(request)):
        words = [words[0], "--no-wait", "--json", *words[1:]]
        done = invoke(words, given)
        assert done.exit_code == 0, f"{words}\n{done.output}\n{done.exception!r}"
        jobs: list[Any] = msgspec.json.decode(done.stdout)["jobs"]
        return jobs


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two files of one size, by digest."""
    folder = tmp_path_factory.mktemp("files")
    found = {}
    for name, color in (("one", "red"), ("two words", "white")):
        path = folder / f"{name}.png"
        Pillow.new("RGB", (100, 75), color).save(path)
        found[hashlib.sha256(path.read_bytes()).hexdigest()] = str(path)
    return found


def keep(files: dict[str, str]) -> None:
    """Put the files among those that requests start from."""
    with Database.open(find_data_directory()) as database:
        for path in files.values():
            store_input(database, Path(path).read_bytes())


def settle(request: Request, files: dict[str, str], *, is_plain: bool) -> Request:
    """`request`, starting from files that exist.

    `is_plain`: what is made larger has no other parameters, as the options of `upscale` say it.
    """
    one, two = files
    parts = request.parameters
    changes: dict[str, Any] = {}
    if isinstance(parts.initial_image, InitialImage):
        changes["initial_image"] = msgspec.structs.replace(parts.initial_image, sha256=one)
    if isinstance(parts.mask, Mask):
        changes["mask"] = msgspec.structs.replace(parts.mask, sha256=two)
    if isinstance(parts.upscale, Upscale):
        if is_plain:
            changes |= {name: getattr(PLAIN, name) for name in OPTIONAL}
        changes |= {
            "upscale": msgspec.structs.replace(parts.upscale, sha256=one),
            "width": 400,
            "height": 300,
        }
    return msgspec.structs.replace(request, parameters=msgspec.structs.replace(parts, **changes))


@given(request=make_struct(Request), is_plain=st.booleans(), form=st.sampled_from(list(FORMS)))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@pytest.mark.exhaustive
def test_the_line_asks_for_the_same_request(
    request: Request, is_plain: bool, form: int, files: dict[str, str]
) -> None:
    wanted = settle(request, files, is_plain=is_plain)
    if not wanted.parameters.list_extras() - set(FORMS[form]):
        wanted = msgspec.structs.replace(wanted, format=form)
    keep(files)
    (job,) = run_command(wanted, files)
    assert job["request_id"] == wanted.digest


@given(stack=st.lists(make_struct(Prompt), min_size=1, max_size=64))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_both_ways_of_the_line_ask_for_every_stack(stack: list[Prompt]) -> None:
    request = make_request(*stack[:63], Prompt(text="drawn"))
    for line in (make_command(request), make_pipe(request)):
        (job,) = run_words(request, *read_line(line))
        assert job["request_id"] == request.digest


TALL = "\U0001f30c'!\n"


@pytest.mark.parametrize("shell", [["sh"], ["bash"], ["zsh", "-f"], ["mksh"], ["busybox", "sh"]])
@pytest.mark.samples(2)
def test_the_longest_stack_is_asked_for_too(shell: list[str]) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} here")
    text = (TALL * TEXT_LIMIT)[:TEXT_LIMIT]
    prompts = [Prompt(text=text, weight=-9.25, enabled=not place % 3) for place in range(63)]
    request = make_request(*prompts, Prompt(text="drawn"))
    line = make_command(request)
    assert len(line) > 4_000_000
    script = f"safelight() {{ cat; }}\n{line}\n"
    done = subprocess.run(shell, input=script.encode(), capture_output=True, check=True)
    assert Request.from_json(done.stdout).digest == request.digest
    if shell == ["sh"]:
        (job,) = run_words(request, ["generate", "--request", "-"], done.stdout)
        assert job["request_id"] == request.digest


@given(
    size=st.tuples(st.integers(1, 8000), st.integers(1, 8000)),
    sizes=st.sampled_from(list(SIZES.values())),
)
def test_an_initial_image_gets_a_size_that_the_engine_makes(
    size: tuple[int, int], sizes: Sizes
) -> None:
    assert sizes.accepts(sizes.find_nearest(size))


def test_proportions_are_kept_as_well_as_can_be() -> None:
    sizes = SIZES["stable-diffusion-xl-1024-v1-0"]
    assert sizes.find_nearest((4000, 3000)) == (1152, 896)
    assert sizes.find_nearest((300, 300)) == (1024, 1024)
    assert sizes.find_nearest((640, 1536)) == (640, 1536)


def draw(path: Path, size: tuple[int, int], color: str = "navy") -> str:
    Pillow.new("RGB", size, color).save(path)
    return str(path)


SKY = make_request("night sky").to_json()


@pytest.mark.parametrize(
    ("words", "data", "said"),
    [
        ("--request -", b"", "Not a request in JSON"),
        ("--request -", b"[" * 100_000, "Not a request in JSON"),
        ("--request -", b'{"seed": 5}', "Not a request"),
        ("--request -", b"\xff", "Not a request in JSON"),
        ("--request none.json", b"", "'none.json' cannot be read: No such file"),
        ("--request .", b"", "'.' cannot be read: Is a directory"),
        ("--request - sky", SKY, "A whole request was given, and prompts beside it"),
        ("--request - -s 20", SKY, "A whole request was given, and --steps beside it"),
        ("--request -", SKY.replace(b'"r1"', b'"r7"'), "Unknown model 'r7'"),
        ("--request -", SKY.replace(b"1229080980", b"0"), "The seed 0 is out of range"),
        ("--request -", b"x" * (REQUEST_LIMIT + 1), f"more than {REQUEST_LIMIT:,} bytes"),
        ("", b"", "No prompt was given"),
    ],
)
def test_what_is_no_request_is_told_and_nothing_is_queued(
    words: str, data: bytes, said: str
) -> None:
    done = invoke(["generate", *words.split(), "--no-wait"], data)
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.stderr.split())
    assert list_jobs() == []


def test_a_request_file_may_have_as_many_bytes_as_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    for size, said in ((REQUEST_LIMIT, "Not a request in JSON"), (REQUEST_LIMIT + 1, "more than")):
        path.write_bytes(b"x" * size)
        for words in (["--request", str(path)], ["--request", "-"]):
            done = invoke(["generate", *words, "--no-wait"], path.read_bytes())
            assert said in " ".join(done.stderr.split())


def test_a_request_whose_input_is_not_kept_says_so() -> None:
    start = InitialImage(sha256="ab" * 32, start_schedule=0.6, end_schedule=0)
    request = make_quick_request(initial_image=start)
    done = invoke(["generate", "--request", "-", "--no-wait"], request.to_json())
    assert "There is no input image abababab" in done.stderr
    assert list_jobs() == []


def list_jobs() -> list[Job]:
    """What is in the queue of this home."""
    with Database.open(find_data_directory()) as database:
        return queue.list_jobs(database)


def refuse(*arguments: str) -> str:
    """What a command says on standard error when it ends with status 2 and queues nothing."""
    done = invoke(list(arguments))
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert list_jobs() == []
    return " ".join(done.stderr.split())


def test_an_engine_that_does_not_make_the_size_says_what_it_takes(home: Path) -> None:
    start = draw(home / "start.png", (300, 200))
    done = invoke(["generate", "sky", "-i", start, "--no-wait"])
    assert "makes no 300x200; the nearest is 320x192" in done.stderr
    (job,) = list_jobs()
    assert job.request.parameters.width == 320


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("-i none.png", "no file 'none.png'"),
        ("-i @7", "There is no image @7"),
        (
            "-i text.txt",
            "text.txt: This is not a readable PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF image.",
        ),
        ("-i huge.png", f"more than {FILE_LIMIT:,}"),
        ("-i .", "is not a file"),
        ("--mask-image a.png", "a mask needs an initial image"),
        ("--start-schedule 0.5", "Give --init-image too"),
        ("-i a.png --mask-image b.png", "mask is 128x64, the initial image 64x64"),
        ("-i a.png --start-schedule 1.5", "start schedule 1.5 is not a number from 0 to 1"),
        ("-i a.png --start-schedule 0.1 --end-schedule 0.2", "above the start schedule"),
        ("-i a.png --start-schedule 0.1 --image-strength 0.2", "Give one of them"),
        ("-i a.png --image-strength 2", "image strength 2"),
        ("--variation-strength 1.1", "variation strength 1.1"),
        ("--guidance-strength 0.5", "--guidance-preset too"),
        ("--guidance-preset fast", "Unknown guidance preset 'fast'"),
        ("--adapter-strength 1", "Give --adapter-type too"),
        ("--adapter-type canny", "an adapter needs an initial image"),
        ("--fine-tune a:b", "'b' after ':' is not a number"),
        ("--content-credentials", "builtin has no content credentials"),
        ("--off 2", "no prompt 2"),
    ],
)
def test_bad_input_is_named_and_nothing_is_queued(
    home: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, words: str
) -> None:
    draw(home / "a.png", (64, 64))
    draw(home / "b.png", (128, 64))
    (home / "text.txt").write_text("no image")
    with (home / "huge.png").open("wb") as file:
        file.truncate(FILE_LIMIT + 1)
    monkeypatch.chdir(home)
    assert words in refuse("generate", "sky", *arguments.split())


def test_bad_upscales_and_variations_are_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = draw(home / "a.png", (300, 200))
    monkeypatch.chdir(home)
    for arguments, words in (
        (("upscale", path, "--by", "3"), "Give 2 or 4"),
        (("upscale", path, "--by", "2", "-W", "600"), "not both"),
        (("upscale", path, "-W", "300"), "would not make it larger"),
        (("upscale", path, "-W", "2049"), "The size 2049x1366 does not fit the engine builtin"),
        (("upscale", path, "-W", "2049"), "larger to at most 2048 pixels a side"),
        (("upscale", path, "-m", "none"), "Unknown model 'none'"),
        (("upscale", path, "none.png"), "no file 'none.png'"),
        (("vary", "@1"), "no image @1"),
    ):
        assert words in refuse(*arguments)
    done = invoke(["upscale", path, "-W", "450", "--no-wait"])
    assert done.exit_code == 0
    (job,) = list_jobs()
    parameters = job.request.parameters
    assert (parameters.width, parameters.height) == (450, 300)
    assert job.request.stack.prompts == ()


@pytest.mark.parametrize("command", ["generate", "vary", "upscale"])
def test_help_fits_a_narrow_terminal(command: str) -> None:
    lines = invoke([command, "--help"]).stdout.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert (command == "generate") == ("Initial image and mask:" in lines)
