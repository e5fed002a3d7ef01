"""What options become: 0 is a number, one that is left out is the default, a wrong one is told."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image as Pillow

from engines.settings import PROFILE_VARIABLE
from store.decoding import DecodedInput
from store.errors import RequestError
from store.limits import SEED_MAXIMUM
from store.request import Adapter, FineTune, Guidance, Variation
from tests.factories import make_plain
from tests.tui.cli.invoking import invoke
from tui.cli.inputs import (
    parse_adapter,
    parse_fine_tunes,
    parse_guidance,
    parse_variation,
    read_choice,
    read_count,
    read_image,
    read_number,
    read_prompts,
)
from tui.cli.options import GUIDANCE, RESULT


@pytest.mark.parametrize(("text", "strength"), [(None, 0.2), ("0", 0.0), ("0.7", 0.7), ("1", 1.0)])
def test_a_variation_has_the_strength_that_was_given(text: str | None, strength: float) -> None:
    assert parse_variation("7", text) == Variation(seed=7, strength=strength)


def test_a_variation_without_a_seed_draws_one() -> None:
    assert parse_variation(None, None) is None
    drawn = parse_variation(None, "0")
    assert drawn is not None
    assert 1 <= drawn.seed <= SEED_MAXIMUM
    assert drawn.strength == 0.0


@pytest.mark.parametrize(("text", "strength"), [(None, 0.4), ("0", 0.0), ("1", 1.0)])
def test_an_adapter_has_the_strength_that_was_given(text: str | None, strength: float) -> None:
    assert parse_adapter("canny", text, None) == Adapter(
        kind="canny", strength=strength, init="image"
    )


def test_an_adapter_needs_its_kind() -> None:
    assert parse_adapter(None, None, None) is None
    made = parse_adapter("CANNY", "0.5", "Adapter-Image")
    assert made == Adapter(kind="canny", strength=0.5, init="adapter_image")
    for strength, init in (("0", None), (None, "image")):
        with pytest.raises(RequestError, match="Which adapter"):
            parse_adapter(None, strength, init)


def test_guidance_is_what_was_given_and_needs_its_preset() -> None:
    assert parse_guidance(None, None, None, None, None) is None
    assert parse_guidance(None, None, None, [], None) is None
    assert parse_guidance("fast-blue", None, None, None, None) == Guidance(preset="fast_blue")
    assert parse_guidance("simple", "0", "1", ["a", "b"], "blue") == Guidance(
        preset="simple", strength=0.0, cuts=1, models=("a", "b"), prompt="blue"
    )
    alone = [("0", None, None, None), (None, "1", None, None), (None, None, ["a"], None)]
    for rest in (*alone, (None, None, None, "blue")):
        with pytest.raises(RequestError, match="no effect without a preset"):
            parse_guidance(None, *rest)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("m", FineTune(model="m")),
        ("m:0", FineTune(model="m", weight=0.0)),
        ("m:0.5", FineTune(model="m", weight=0.5)),
        ("m:", FineTune(model="m")),
    ],
)
def test_a_fine_tune_has_the_weight_behind_its_last_colon(
    argument: str, expected: FineTune
) -> None:
    assert parse_fine_tunes(["x", argument]) == (FineTune(model="x"), expected)
    assert parse_fine_tunes(None) == ()
    with pytest.raises(RequestError, match="'heavy' after ':' is not a number"):
        parse_fine_tunes(["m:heavy"])


def test_numbers_are_read_where_they_are_given() -> None:
    assert read_number("image_strength", None) is None
    assert read_number("image_strength", "0") == 0
    assert read_number("cfg_scale", "12.5", 0, 35) == 12.5
    assert read_count("--more", "3", 1, 3) == 3
    for text in ("0", "4"):
        with pytest.raises(RequestError, match="--more"):
            read_count("--more", text, 1, 3)
    assert read_choice("sampler", "K-Euler", ("ddim", "k_euler")) == "k_euler"


def test_prompts_are_switched_off_by_their_places() -> None:
    rows = read_prompts(["a", "b::0", "c"], ["1", "3"])
    assert [(row.text, row.weight, row.enabled) for row in rows] == [
        ("a", 1, False),
        ("b", 0, True),
        ("c", 1, False),
    ]
    for place in ("0", "4"):
        with pytest.raises(RequestError):
            read_prompts(["a", "b", "c"], [place])


# Before anything is queued, and so before anything is paid


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_to_is_told_before_a_job_is_queued(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("")
    done = invoke(["generate", "sky", "-o", str(tmp_path / name)])
    assert done.exit_code == 2
    assert str(tmp_path / "file") in done.stderr
    assert json.loads(invoke(["jobs", "--json"]).stdout)["jobs"] == []


class Kept:
    """A darkroom that keeps one file, at `path`, as an input and as the image @1."""

    def __init__(self, path: Path) -> None:
        self.path = path
        data = path.read_bytes()
        self.file = DecodedInput(
            sha256=hashlib.sha256(data).hexdigest(),
            mime="image/png",
            width=1,
            height=1,
            notes=("as it was kept",),
            data=data,
        )

    async def get_image(self, word: str) -> str:
        return f"the record of {word}"

    async def read_image(self, record: str) -> bytes:
        return self.file.data

    async def recall_input(self, data: bytes) -> DecodedInput | None:
        return self.file if data == self.file.data else None

    async def find_input(self, sha256: str) -> Path:
        return self.path


def read(kept: Kept, word: str) -> Any:
    return asyncio.run(read_image(kept, word, "initial image", "image"))  # type: ignore[arg-type]


def test_a_kept_file_stays_what_it_was_where_it_is_named_and_nowhere_else(tmp_path: Path) -> None:
    path, copy, other = (tmp_path / name for name in ("kept.png", "copy.png", "other.png"))
    path.write_bytes(make_plain())
    copy.write_bytes(make_plain())
    other.write_bytes(make_plain("red"))
    kept = Kept(path)
    assert read(kept, str(path)).file is kept.file
    assert read(kept, str(path)).image is None
    again = read(kept, str(copy))
    assert again.file is not kept.file, "what lies elsewhere comes in like any file"
    assert again.file.sha256 == kept.file.sha256
    assert read(kept, str(other)).file.data == other.read_bytes()
    of_image = read(kept, "@1")
    assert of_image.file is kept.file
    assert of_image.image == "the record of @1"
    assert read(kept, "abcdef").image == "the record of abcdef"


def test_a_place_in_the_history_is_no_file_and_a_file_no_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kept.png", "@1", "abcdef"):
        (tmp_path / name).write_bytes(make_plain())
    monkeypatch.chdir(tmp_path)
    kept = Kept(tmp_path / "kept.png")
    assert read(kept, "@1").image == "the record of @1"
    assert read(kept, "abcdef").image is None


def test_what_names_no_image_is_told(tmp_path: Path) -> None:
    (tmp_path / "kept.png").write_bytes(make_plain())
    (tmp_path / "notes.txt").write_text("no image")
    kept = Kept(tmp_path / "kept.png")
    for word in ("nowhere.png", "@x", "xyz", "x" * 5000, "a\0b"):
        with pytest.raises(RequestError, match="There is no file"):
            read(kept, word)
    for word in (str(tmp_path / "notes.txt"), str(tmp_path)):
        with pytest.raises(RequestError) as caught:
            read(kept, word)
        assert caught.value.field == "image"


def read_help(command: str) -> dict[str, set[str]]:
    """The options of a command by the title under which its help lists them."""
    groups: dict[str, set[str]] = {}
    for line in invoke([command, "--help"]).stdout.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            names = groups.setdefault(line.rstrip(":"), set())
        elif line.startswith("  -"):
            names.update(re.findall(r"--[a-z-]+", line.strip().partition("  ")[0]))
    return groups


def test_a_mask_with_holes_counts_as_what_it_is_said_to_replace(tmp_path: Path) -> None:
    path, kept = tmp_path / "holes.png", tmp_path / "kept.png"
    kept.write_bytes(make_plain())
    holes = Pillow.new("LA", (64, 64), (255, 255))
    holes.paste((255, 0), (0, 0, 64, 32))
    holes.save(path)
    for replaces, said in (("white", "count as black"), ("black", "made anew")):
        given = asyncio.run(
            read_image(Kept(kept), str(path), "mask", "image", replaces=replaces)  # type: ignore[arg-type]
        )
        assert said in " ".join(given.file.notes)


def test_help_lists_what_a_command_needs_first_and_its_files_last() -> None:
    titles = list(read_help("generate"))
    assert titles[:2] == ["Arguments", "Options"]
    assert titles[-1] == RESULT


def test_help_lists_together_what_belongs_together() -> None:
    groups = read_help("generate")
    files = {"--output", "--json", "--no-wait", "--session"}
    for title, names in groups.items():
        guidance = {name for name in names if name.startswith("--guidance")}
        assert guidance == (names if title == GUIDANCE else set())
        assert not names & files or title == RESULT
    assert files <= groups[RESULT]
    assert len(groups[GUIDANCE]) == 5


def test_a_profile_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROFILE_VARIABLE, "")  # and what the command sets is undone
    done = invoke(["generate", "sky", "--profile", "third", "--no-wait"])
    assert done.exit_code == 2
    assert "no profile 'third'" in done.stderr


@pytest.mark.parametrize("is_terminal", [True, False])
def test_only_a_person_is_told_how_to_end_what_is_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_terminal: bool
) -> None:
    given = SimpleNamespace(isatty=lambda: is_terminal, buffer=io.BytesIO(b"sky\nsea\n"))
    monkeypatch.setattr("sys.stdin", given)
    assert [row.text for row in read_prompts(["-"], None)] == ["sky", "sea"]
    shown = capsys.readouterr()
    assert ("Ctrl+D" in shown.err) is is_terminal
    assert shown.out == ""
