"""Engines of other packages: one is installed beside the program, and nothing here knows it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.base import EngineError, Failure
from engines.installed import find_installed
from tests.journeys.program import Program

ENGINE = '''
"""An engine of another package: one colour a seed."""

from __future__ import annotations

import io

import msgspec
from PIL import Image

from engines.base import EngineSpec, Produced, Progressed, TokenizedPrompt, StageReached
from engines.capabilities import Capabilities, Sizes, Span
from store.records import EnvironmentRecord


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    shade: int = 7


class Flat:
    def __init__(self, settings):
        self.settings = settings
        self.capabilities = SPEC.get_capabilities(settings)

    def environment(self):
        return EnvironmentRecord(values={"engine": "flat", "shade": str(self.settings.shade)})

    def wire_message(self, request, run):
        return None

    async def generate(self, request, run):
        p = request.parameters
        image = Image.new("RGB", (p.width, p.height), (p.seed % 256, self.settings.shade, 0))
        data = io.BytesIO()
        image.save(data, "PNG")
        yield StageReached("noise", 0, "0" * 64)
        yield Progressed(1, 1)
        yield Produced(data=data.getvalue(), mime="image/png", seed=p.seed)

    def recover(self, request, answers):
        return []

    async def close(self):
        pass


class FlatSpec(EngineSpec[Section]):
    name = "flat"
    section = Section

    def get_capabilities(self, settings):
        side = Sizes(default=(128, 128), suggested=((128, 128),))
        return Capabilities(
            engine="flat", title="Flat colours", models=("flat-1",), samplers=("ddim",),
            default_sampler="ddim", style_presets=(), sizes=side, is_paid=True,
            steps=Span(low=1, high=9, step=1, default=1),
            cfg_scale=Span(low=0, high=9, step=1, default=1),
        )

    def open(self, settings, *, processes=None):
        return Flat(settings)

    def estimate_cost(self, request, settings):
        return 0.25

    def describe_losses(self, request):
        return ("Flat colours show nothing of the prompts.",)

    def tokenize(self, text, style_preset=None):
        return TokenizedPrompt(kept=0)

    def examine(self, settings):
        return f"shade {settings.shade}"


SPEC = FlatSpec()
'''

CODE = """
import json, sys
from engines.installed import find_installed
from engines.registry import EngineRegistry
from engines.settings import load_user_settings
registry = EngineRegistry(load_user_settings())
print(json.dumps({
    "engines": registry.list_engines(), "problems": registry.problems,
    "paid": sorted(registry.paid_engines), "default": registry.default_engine,
}))
"""


def install(folder: Path, name: str, module: str, source: str, point: str | None = None) -> None:
    """Put a package with one engine into `folder`, as pip would."""
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    points = f"[safelight.engines]\n{name} = {point or f'{module}:SPEC'}\n"
    (info / "entry_points.txt").write_text(points)


@pytest.fixture
def installed(home: Path) -> Iterator[Program]:
    """The program of a user with another package's engine."""
    (home / "packages").mkdir()
    (home / "safelight").mkdir()
    install(home / "packages", "flat", "flat_engine", ENGINE)
    running = Program(home, PYTHONPATH=str(home / "packages"))
    yield running
    running.end_worker()


def configure(installed: Program, text: str) -> None:
    (installed.home / "safelight" / "config.toml").write_text(text)


def ask(installed: Program) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env=installed.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_engine_of_another_package_is_run_and_verified(installed: Program) -> None:
    configure(installed, "[flat]\nshade = 200\n")
    listed = installed.run_warm("engines", "--json")
    names = [row["engine"] for row in json.loads(listed.stdout)["engines"]]
    assert names == ["builtin", "flat", "stability", "stability-rest"]
    made = installed.run_warm(
        "generate", "sky", "-e", "flat", "-S", "9", "-o", str(installed.home), "--json"
    )
    assert made.returncode == 0, made.stderr
    assert "Flat colours show nothing of the prompts." in made.stderr
    from PIL import Image

    with Image.open(installed.home / "9.png") as image:
        assert image.getpixel((0, 0)) == (9, 200, 0)
    shown = json.loads(installed.run_warm("show", "@1", "--json").stdout)
    assert "about 0.25 credits" in json.dumps(shown)
    verified = installed.run_warm("verify", "@1", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "identical" in verified.stdout
    configure(installed, "[flat]\nshade = 201\n")
    other = installed.run_warm("verify", "@1", "--json")
    assert other.returncode == 1, "its own setting decides its pixels"
    assert "Changed around it: shade: 200 → 201." in other.stderr
    examined = installed.run_warm("doctor", "--json")
    assert json.loads(examined.stdout)["facts"]["engines"]["flat"] == "shade 201"


def test_a_mistake_in_its_section_is_told_like_one_in_ours(installed: Program) -> None:
    configure(installed, "[flat]\nshade = 'blue'\n")
    assert "[flat] shade: expected a number, got a text." in installed.run_warm("engines").stderr
    configure(installed, "[flat]\nhue = 3\n")
    assert (
        "[flat] hue: there is no such setting. Known: shade."
        in installed.run_warm("engines").stderr
    )


@pytest.mark.parametrize(
    ("source", "point", "words"),
    [
        ("import a_library_that_is_not_there", None, "ModuleNotFoundError: No module named"),
        ("1 / 0", None, "ZeroDivisionError"),
        ("SPEC = 3", None, "is no EngineSpec"),
        ("", "broken_engine:NOTHING", "AttributeError"),
        (ENGINE.replace('name = "flat"', 'name = "other"'), None, "is no EngineSpec of this name"),
        (
            ENGINE.replace('"flat"', '"broken"').replace(
                "side = ", "raise ValueError('no side') #"
            ),
            None,
            "ValueError: no side",
        ),
        (ENGINE.replace('"flat"', '"broken"').replace(": int = 7", ": int"), None, "TypeError"),
    ],
)
def test_a_broken_one_is_told_by_name_and_the_others_work(
    installed: Program, source: str, point: str | None, words: str
) -> None:
    install(installed.home / "packages", "broken", "broken_engine", source, point)
    found = ask(installed)
    assert found["engines"] == ["builtin", "flat", "stability", "stability-rest"]
    assert found["default"] == "builtin"
    assert words in found["problems"]["broken"]
    assert "'broken'" in found["problems"]["broken"]
    # Nobody can say whether an image of it costs money.
    assert found["paid"] == ["broken", "flat", "stability", "stability-rest"]


def test_no_package_can_take_the_name_of_another(installed: Program) -> None:
    install(
        installed.home / "packages", "builtin", "fake_engine", ENGINE.replace('"flat"', '"builtin"')
    )
    found = ask(installed)
    assert "builtin" not in found["paid"]
    (name,) = found["problems"]
    assert name == "builtin (fake_engine)"
    assert "there is another one of this name" in found["problems"][name]


def test_what_is_not_installed_is_named_with_what_is() -> None:
    with pytest.raises(EngineError, match=r"no engine 'nothing'") as caught:
        find_installed().get_spec("nothing")
    assert caught.value.kind is Failure.UNKNOWN_ENGINE
    assert "Known: builtin, stability, stability-rest." in str(caught.value)
