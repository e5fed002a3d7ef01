"""Weights of another revision from a package of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.builtin.weights import FOLDERS
from tests.journeys.program import Program

ROOT = Path(__file__).parents[3]


def install(folder: Path, name: str, point: str, **changes: object) -> Path:
    """Put a package with weights into `folder`, as pip would; `changes` of its manifest."""
    package = folder / name
    shutil.copytree(FOLDERS / "3", package)
    (package / "__init__.py").write_text("raise SystemExit('weights are not run')")
    manifest = json.loads((package / "manifest.json").read_text())
    (package / "manifest.json").write_text(json.dumps(manifest | changes))
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[safelight.weights]\nanything = {point}\n")
    return package


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    (tmp_path / "packages").mkdir()
    return tmp_path / "packages"


@pytest.fixture
def installed(home: Path, packages: Path) -> Iterator[Program]:
    """The program where those packages are."""
    running = Program(home, PYTHONPATH=f"{packages}:{ROOT}")
    yield running
    running.end_worker()


@pytest.mark.exhaustive
def test_they_are_listed_used_by_name_and_missed_when_gone(
    packages: Path, installed: Program
) -> None:
    install(packages, "weights_of_9", "weights_of_9", revision=9)
    told = json.loads(installed.run_warm("doctor", "--json").stdout)["facts"]["engines"]["builtin"]
    assert "safelight-128-v1, revision 3" in told
    assert "safelight-128-v1, revision 9, 11.6 MiB, intact (package weights_of_9)" in told
    listed = json.loads(installed.run_warm("engines", "--json").stdout)["engines"][0]
    assert listed["models"] == ["safelight-128-v1@3", "safelight-128-v1@9"]
    size = ("-S", "7", "-s", "2")
    named = installed.run_warm("generate", "a cat", *size, "-m", "safelight-128-v1@9")
    assert named.returncode == 0, named.stderr
    plain = installed.run_warm("generate", "a cat", *size, "-m", "safelight-128-v1")
    assert plain.returncode == 0, plain.stderr
    records = [json.loads(installed.run_warm("show", f"@{n}", "--json").stdout) for n in (2, 1)]
    assert [record["request"]["model"] for record in records] == [
        "safelight-128-v1@9",
        "safelight-128-v1@3",
    ]
    assert [record["environment"]["engine revision"] for record in records] == ["9", "3"]
    # The same weights under another number: the same image, and two requests.
    assert records[0]["pixels_sha256"] == records[1]["pixels_sha256"]
    assert records[0]["request_id"] != records[1]["request_id"]
    proven = installed.run_warm("verify", "--all")
    assert proven.returncode == 0, proven.stdout + proven.stderr
    installed.end_worker()
    shutil.rmtree(packages / "weights_of_9-1.0.dist-info")
    missed = installed.run_warm("verify", "@2")
    assert missed.returncode == 1
    assert "cannot run: model" in missed.stdout
    assert "Revision 9 of safelight-128-v1 is not on board; on board: 3." in missed.stderr
    assert installed.run_warm("verify", "@1").returncode == 0


@pytest.mark.parametrize(
    ("point", "changes", "words"),
    [
        ("broken", {"revision": 3}, "Revision 3 is on board already."),
        ("broken", {"revision": 9, "model": "other"}, "They are of another model, 'other'."),
        ("broken", {"revision": 9, "format": 7}, "The model has format 7"),
        ("broken", {"revision": "nine"}, "The model's manifest.json is damaged"),
        ("broken", {"revision": 0}, "There is no revision 0."),
        (
            "broken",
            {"revision": 9, "methods": {"guidance": "composed-9"}},
            "They ask for guidance composed-9",
        ),
        ("nowhere", {"revision": 9}, "There is no package 'nowhere' with a folder."),
        ("broken.inner", {"revision": 9}, "There is no package 'broken.inner' with a folder."),
    ],
)
@pytest.mark.samples(3)
def test_what_cannot_be_used_is_told_by_its_package(
    packages: Path, installed: Program, point: str, changes: dict[str, object], words: str
) -> None:
    install(packages, "broken", point, **changes)
    done = installed.run_warm("doctor", "--json")
    told = json.loads(done.stdout)["facts"]["engines"]["builtin"]
    assert "revision 3, 11.6 MiB, intact" in told
    assert f"The weights of the package broken cannot be used. {words}" in told
    listed = json.loads(installed.run_warm("engines", "--json").stdout)["engines"][0]
    assert listed["models"] == ["safelight-128-v1@3"]


def test_a_damaged_file_of_a_package_is_named_and_ours_are_whole(
    packages: Path, installed: Program
) -> None:
    package = install(packages, "weights_of_9", "weights_of_9", revision=9)
    (package / "model.npz").write_bytes(b"no weights")
    told = json.loads(installed.run_warm("doctor", "--json").stdout)["facts"]["engines"]["builtin"]
    assert "revision 3, 11.6 MiB, intact" in told
    assert "safelight-128-v1, revision 9: The model's file model.npz was changed" in told
    failed = installed.run_warm("generate", "a cat", "-s", "1", "-m", "safelight-128-v1@9")
    assert failed.returncode == 1
    assert "model.npz was changed" in failed.stderr
