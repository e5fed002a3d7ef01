"""`safelight serve` as a process of its own, used by clients that are processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import msgspec
import pytest

from engines.base import EngineError, Failure, Produced, Run, Warned
from engines.builtin.engine import BuiltinEngine
from engines.builtin.models import MODEL
from engines.stability.messages import build_message, serialize
from engines.stability.models import SIZES
from engines.stability.protocol import generation
from store.pixels import digest_pixels, open_image
from store.request import Request
from tests.engines.hosted import collect, make_engine
from tests.factories import make_hosted_request
from tests.journeys.program import Program
from tests.sdk import needs_sdk
from tests.waiting import SECONDS

SDXL = "stable-diffusion-xl-1024-v1-0"
KEY = "sesame"
SDK_PROGRAM = Path(__file__).with_name("sdk_program.py")
EXAMPLE = "beautiful night sky above japanese town, anime style"
COMMAND = [sys.executable, "-P", "-m", "tui", "serve"]


class Served:
    """A running `safelight serve`."""

    def __init__(self, process: subprocess.Popen[str], line: str) -> None:
        self.process = process
        self.address = line.rpartition(" ")[2].strip()
        assert process.stdout is not None
        count = 2 if self.address.startswith("unix:") else 3
        self.uses = [process.stdout.readline().strip() for _ in range(count)]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit status after the signal."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


@contextlib.contextmanager
def serving(home: Path, *arguments: str, **environ: str) -> Iterator[Served]:
    """Serve until the block ends; `home` is the home of the process."""
    while True:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            env={**Program(home).environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving builtin"), process.communicate()
        served = Served(process, line)
        # The SDK's client takes every port that ends in 443 for one with TLS.
        if not served.address.endswith("443") or served.address.endswith(arguments):
            break
        served.end()
    try:
        yield served
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The embedded model, for its own name and for that of SDXL."""
    home = tmp_path_factory.mktemp("served")
    with serving(home, "--port", "0", "--as", SDXL) as running:
        yield running


def run_client(
    served: Served,
    folder: Path,
    *command: str,
    host: str = "",
    status: int = 0,
    variables: dict[str, str] | None = None,
) -> str:
    """What a client of the SDK prints; it knows no more than the host."""
    environ = {**os.environ, "STABILITY_HOST": host or served.address, "STABILITY_KEY": "any"}
    environ.pop("PYTHONPATH", None)
    environ |= variables or {}
    done = subprocess.run(
        [sys.executable, "-P", *command],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stderr


def digest_file(path: Path) -> str:
    return digest_pixels(open_image(path.read_bytes()))


async def draw(request: Request) -> str:
    """The pixels that the embedded model itself makes of `request`."""
    engine = BuiltinEngine()
    own = msgspec.structs.replace(request, engine="builtin")
    *_, produced = [event async for event in engine.generate(own, Run(id="run-1"))]
    await engine.close()
    assert isinstance(produced, Produced)
    return digest_pixels(open_image(produced.data or b""))


def make(program: Program, *arguments: str) -> Any:
    """The pixels of what `safelight generate` makes."""
    (image,) = program.run_json("generate", *arguments)["images"]
    return image["pixels_sha256"]


@needs_sdk
def test_a_program_of_the_documentation_gets_the_pixels_of_generate(
    served: Served, program: Program, tmp_path: Path
) -> None:
    printed = run_client(served, tmp_path, str(SDK_PROGRAM))
    assert "withheld" not in printed
    same = ("-S", "1229080980", "-s", "50", "-C", "8", "-A", "k_dpmpp_2m")
    size = ("-W", "1024", "-H", "1024")
    for folder, prompts in (("plain", (EXAMPLE,)), ("weighted", (EXAMPLE, "clouds::-1"))):
        (file,) = (tmp_path / folder).iterdir()
        assert file.name == "1229080980.png"
        assert digest_file(file) == make(program, *prompts, *same, *size)


@needs_sdk
@pytest.mark.exhaustive
async def test_the_sdks_own_command_saves_what_the_engine_makes(
    served: Served, tmp_path: Path
) -> None:
    words = ("-S", "7", "-n", "2", "-s", "4", "-W", "192", "-H", "128", EXAMPLE)
    await asyncio.to_thread(run_client, served, tmp_path, "-m", "stability_sdk", "generate", *words)
    found = {digest_file(path) for path in tmp_path.glob("generation_*.png")}
    size = {"width": 192, "height": 128}
    seeds = (make_hosted_request(MODEL, [(EXAMPLE, 1.0)], seed=n, steps=4, **size) for n in (7, 8))
    assert found == {await draw(request) for request in seeds}


CONTEXT = """
import os
from stability_sdk.api import Context
context = Context(os.environ["STABILITY_HOST"], os.environ["STABILITY_KEY"])
assert context.get_user_info() == (0.0, "")
(image,) = context.generate(["town"], [1.0], width=128, height=128, steps=4, seed=7)[1]
image.save("image.png")
"""


@needs_sdk
def test_the_sdks_context_works(served: Served, tmp_path: Path) -> None:
    run_client(served, tmp_path, "-c", CONTEXT)
    assert open_image((tmp_path / "image.png").read_bytes()).size == (128, 128)


LINE = """
import os
from stability_sdk import client
api = {}
answers = api.generate("town", width=128, height=128, steps=3)
(image,) = [artifact for answer in answers for artifact in answer.artifacts]
open("image.png", "wb").write(image.binary)
"""


def find_line(served: Served) -> str:
    """The program around the line that `serve` prints for users of the SDK."""
    name, _, line = served.uses[0].partition(": ")
    assert name == "stability-sdk"
    return LINE.format(line.strip())


@needs_sdk
def test_the_line_that_is_printed_works_as_it_stands(served: Served, tmp_path: Path) -> None:
    run_client(served, tmp_path, "-c", find_line(served), host="grpc.invalid:1")
    assert open_image((tmp_path / "image.png").read_bytes()).size == (128, 128)
    assert served.uses[2].split() == ["gRPC-Web:", f"http://{served.address}"]


def find_sdk_port() -> int:
    """A free port that ends in 443."""
    for port in range(10_443, 65_000, 1000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port that ends in 443 is free")


@needs_sdk
@pytest.mark.exhaustive
def test_the_sdk_uses_tls_and_its_key_where_the_port_ends_in_443(
    home: Path, certificate: Path, key_file: Path, tmp_path: Path
) -> None:
    authority = certificate / "cert.pem"
    tls = ("--certificate", str(authority), "--private-key", str(certificate / "key.pem"))
    arguments = ("--port", str(find_sdk_port()), *tls, "--key-file", str(key_file))
    trust = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(authority)}
    with serving(home, *arguments) as running:
        program = find_line(running)
        wrong = run_client(running, tmp_path, "-c", program, status=1, variables=trust)
        assert "UNAUTHENTICATED" in wrong
        run_client(running, tmp_path, "-c", program, variables=trust | {"STABILITY_KEY": KEY})
        assert open_image((tmp_path / "image.png").read_bytes()).size == (128, 128)
        running.end()
        assert running.process.communicate()[1] == ""  # nothing hinders the SDK


@needs_sdk
@pytest.mark.exhaustive
def test_the_sdk_at_a_port_of_tls_that_does_not_end_in_443_is_told_what_to_set(
    home: Path, certificate: Path, tmp_path: Path
) -> None:
    files = (str(certificate / "cert.pem"), "--private-key", str(certificate / "key.pem"))
    with serving(home, "--port", "0", "--certificate", *files) as running:
        failed = run_client(running, tmp_path, "-c", find_line(running), status=1)
        assert "This port speaks TLS" in failed
        assert "where the host ends in 443" in failed
        running.end()
        errors = running.process.communicate()[1]
        assert "for it, give --port 50443." in errors
        assert "127.0.0.1 speaks without TLS" in errors


SDXL_SIZES = SIZES[SDXL].only


@needs_sdk
@pytest.mark.exhaustive
def test_the_sizes_of_sdxl_are_those_of_generate(
    served: Served, program: Program, tmp_path: Path
) -> None:
    text = """
import os
from stability_sdk import client
api = client.StabilityInference(host=os.environ["STABILITY_HOST"], key="any")
for width, height in SIZES:
    for answer in api.generate("town", width=width, height=height, steps=2, seed=7):
        for artifact in answer.artifacts:
            open(f"{width}x{height}.png", "wb").write(artifact.binary)
"""
    run_client(served, tmp_path, "-c", text.replace("SIZES", repr(SDXL_SIZES)))
    for width, height in SDXL_SIZES:
        file = tmp_path / f"{width}x{height}.png"
        assert open_image(file.read_bytes()).size == (width, height)
    sampler = ("-A", "k_dpmpp_2m", "-s", "2", "-S", "7", "-C", "7")
    pixels = make(program, "town", *sampler, "-W", "1344", "-H", "768")
    assert digest_file(tmp_path / "1344x768.png") == pixels


async def test_that_a_size_was_resized_is_said(served: Served) -> None:
    engine = make_engine(served.address, models=(MODEL,))
    for size, words in (((192, 128), []), ((1344, 768), ["resized to 1344x768"])):
        request = make_hosted_request(MODEL, width=size[0], height=size[1], steps=10)
        events = await collect(engine, request)
        said = [event.text for event in events if isinstance(event, Warned)]
        assert len(said) == len(words)
        assert all(word in text for word, text in zip(words, said, strict=True))


@pytest.fixture
def key_file(home: Path) -> Path:
    path = home / "key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    return path


@pytest.mark.exhaustive
async def test_beyond_this_machine_with_tls_and_key_until_a_signal(
    home: Path, certificate: Path, key_file: Path
) -> None:
    authority = certificate / "cert.pem"
    tls = ("--certificate", str(authority), "--private-key", str(certificate / "key.pem"))
    everywhere = ("--host", "0.0.0.0", "--port", "0", *tls, "--key-file", str(key_file))
    with serving(home, *everywhere) as running:
        host = running.address.replace("0.0.0.0", "localhost")
        engine = make_engine(host, "wrong", tls=True, certificates=authority, models=(MODEL,))
        with pytest.raises(EngineError) as caught:
            await collect(engine, make_hosted_request(MODEL))
        assert caught.value.kind is Failure.WRONG_KEY

        message = build_message(make_hosted_request(MODEL, steps=20), Run(id="request 1"))
        credentials = grpc.ssl_channel_credentials(authority.read_bytes())
        async with grpc.aio.secure_channel(host, credentials) as channel:
            answers = channel.unary_stream(
                "/gooseai.GenerationService/Generate",
                response_deserializer=generation.Answer.FromString,
            )(serialize(message), metadata=(("authorization", f"Bearer {KEY}"),))
            async for answer in answers:
                if not answer.artifacts:  # it is at work
                    running.process.send_signal(signal.SIGTERM)
        assert answer.artifacts[0].seed == message.image.seed[0]
        out, errors = await asyncio.to_thread(running.process.communicate)
        assert (running.process.returncode, out) == (0, "")
        told, *rest = errors.splitlines()
        assert told.endswith("only where the host ends in 443: for it, give --port 50443.")
        assert rest == [
            "safelight: Ending when the images in work are finished; once more ends them too."
        ]


@pytest.mark.exhaustive
async def test_our_client_over_a_socket(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    with serving(home, "--host", f"unix:{path}", SAFELIGHT_SERVE_KEY=KEY) as first:
        assert first.address == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        refused = Program(home).run("serve", "--host", f"unix:{path}", status=2)
        assert "Another server listens" in refused.stderr
        first.process.kill()
        first.process.wait()
    assert path.is_socket()
    with serving(home, "--host", f"unix:{path}", SAFELIGHT_SERVE_KEY=KEY) as running:
        request = make_hosted_request(MODEL, steps=10)
        (produced,) = await collect(make_engine(running.address, KEY, models=(MODEL,)), request)
        assert isinstance(produced, Produced)
        assert digest_pixels(open_image(produced.data or b"")) == await draw(request)
        assert await asyncio.to_thread(running.end, signal.SIGINT) == 0
    assert not path.exists()


def test_what_would_be_open_to_others_does_not_start(
    served: Served, home: Path, key_file: Path
) -> None:
    program = Program(home)
    refused = program.run("serve", "--host", "0.0.0.0", "--key-file", str(key_file), status=2)
    assert "without TLS and an access key anyone could use it" in refused.stderr
    key_file.chmod(0o644)
    refused = program.run("serve", "--port", "0", "--key-file", str(key_file), status=2)
    assert "chmod 600" in refused.stderr
    assert KEY not in refused.stderr
    port = served.address.rpartition(":")[2]
    assert "cannot listen" in program.run("serve", "--port", port, status=2).stderr
