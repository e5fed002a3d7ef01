"""Files that leave one history and are proven in another one, in fresh processes."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image as Pillow

from store.metadata.containers import Part, read_metadata, write_metadata
from store.metadata.files import read_file
from store.metadata.signature import load_key
from tests.journeys.program import Program

SEED = "1229080980"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files of two images, the second one started from the first, and a key."""
    folder = tmp_path_factory.mktemp("files")
    home = tmp_path_factory.mktemp("home")
    key = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    (folder / "key").write_bytes(key)
    program = Program(home)
    try:
        sign = ("--sign", str(folder / "key"))
        made = ("generate", "night sky", "clouds::-1", "-S", SEED, "-s", "10", "-o", str(folder))
        program.run(*made, *sign)
        program.run("generate", "a town", "-S", "7", "-s", "10", "-i", "@1")
        where = ("-o", str(folder))
        program.run("export", "@1", *where, "--name", "without")
        program.run("export", "@1", *where, "--name", "with", "--inputs")
        program.run("export", "@2", *where, "--name", "webp", "--format", "webp", *sign)
        lossy = ("--format", "jpeg", "--quality", "80", "--sidecar", "json", *sign)
        program.run("export", "@2", *where, "--name", "lossy", *lossy)
        program.run("export", "@2", *where, "--name", "bare", "--strip")
        for name in ("one", "two"):
            program.run("export", "--all", "--bundle", str(folder / f"{name}.zip"), *sign)
    finally:
        program.end_worker()
    shutil.rmtree(home)
    return folder


def verify(home: Path, *paths: Path, status: int = 0, more: tuple[str, ...] = ()) -> Any:
    """What `verify --json` says of files, in a home of its own and a process of its own."""
    program = Program(home)
    done = program.run("verify", *map(str, paths), *more, "--json", status=status)
    assert program.run_json("history")["images"] == []
    assert program.run_json("jobs")["jobs"] == []
    return json.loads(done.stdout)["results"]


def test_a_file_is_proven_elsewhere_from_itself_alone(made: Path, tmp_path: Path) -> None:
    paths = [made / name for name in (f"{SEED}.png", "webp.webp", "lossy.jpg", "with.png")]
    rows = verify(tmp_path, *paths)
    assert [row["verdict"] for row in rows] == ["identical"] * 4
    assert [row["is_lossy"] for row in rows] == [False, False, True, False]
    key = load_key(made / "key").public
    assert [row["signature"]["fingerprint"] for row in rows] == [*[key.fingerprint] * 3, None]
    for row in rows:
        assert row["pixels_sha256_now"] == row["pixels_sha256_then"]
    assert "lossy copy" in rows[2]["detail"]
    (row,) = verify(tmp_path, made / "without.png", status=1)
    assert (row["verdict"], row["first_difference"]) == ("cannot run", "initial image")


def test_what_was_changed_in_a_file_is_told_for_what_it_is(made: Path, tmp_path: Path) -> None:
    data = (made / f"{SEED}.png").read_bytes()
    other = tmp_path / "files"
    other.mkdir()
    parts = read_metadata(data).parts
    record, signature = parts[0].data, parts[1].data

    def put(name: str, changed: bytes) -> Path:
        path = other / f"{name}.png"
        path.write_bytes(changed)
        return path

    with Pillow.open(io.BytesIO(data)) as image:
        red, green, blue = image.getpixel((5, 5))  # type: ignore[misc]
        image.putpixel((5, 5), (red ^ 1, green, blue))
        image.save(file := io.BytesIO(), "PNG")
    lossy = bytearray((made / "lossy.jpg").read_bytes())
    lossy[-20] ^= 1
    (other / "lossy.jpg").write_bytes(lossy)
    swapped = record.replace(b"night sky", b"night ski")
    paths = [
        put("request", data.replace(b"night sky", b"night ski")),
        put("seed", data.replace(b'"seed":1229080980', b'"seed":1229080981')),
        put("pixels", write_metadata(file.getvalue(), parts)),
        put("signature", data.replace(signature, signature[:90] + b"A" + signature[91:])),
        put("stranger", write_metadata(data, [Part("record", swapped), parts[1]])),
        put("other", write_metadata(data, [_forge(record), parts[1]])),
        other / "lossy.jpg",
    ]
    rows = verify(tmp_path, *paths, status=1)
    assert [row["verdict"] for row in rows] == ["different"] * 7
    assert [row["first_difference"] for row in rows] == [
        "record: request",
        "record: request, seed",
        "pixels",
        "signature",
        "record: request",
        "signature",
        "pixels",
    ]
    assert "Made again" in rows[2]["detail"]
    assert rows[2]["pixels_sha256_now"] == rows[2]["pixels_sha256_then"]
    assert "identical" in rows[3]["detail"]


def _forge(record: bytes) -> Part:
    """A record that fits itself, made by somebody who knows how, of another time."""
    import msgspec

    found = read_file(write_metadata(_PNG, [Part("record", record)])).read.record
    assert found is not None
    return Part("record", msgspec.structs.replace(found, created_at=1.0).to_json())


Pillow.new("RGB", (8, 8)).save(_file := io.BytesIO(), "PNG")
_PNG = _file.getvalue()


def test_a_stripped_file_and_no_file_are_told(made: Path, tmp_path: Path) -> None:
    program = Program(tmp_path)
    stripped = program.run("verify", str(made / "bare.png"), status=2)
    assert "There is no record of Safelight in the file." in stripped.stderr
    assert b"night sky" not in (made / "bare.png").read_bytes()
    assert "There is no file" in program.run("verify", "nothing.png", status=2).stderr
    both = program.run("verify", "@1", str(made / "with.png"), status=2)
    assert "not both" in both.stderr


@pytest.mark.exhaustive
def test_a_bundle_is_proven_as_its_images_are(made: Path, tmp_path: Path) -> None:
    assert (made / "one.zip").read_bytes() == (made / "two.zip").read_bytes()
    signers = tmp_path / "signers"
    signers.write_text(f"ann@example.org {load_key(made / 'key').public.line}\n")
    rows = verify(tmp_path, made / "one.zip", more=("--signers", str(signers)))
    assert [row["verdict"] for row in rows] == ["identical", "identical"]
    assert [row["signature"]["name"] for row in rows] == ["ann@example.org"] * 2
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(made / "one.zip") as source, zipfile.ZipFile(changed, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            if info.filename == "images/7.png":
                data = data.replace(b"IDAT", b"IDAt")
            if not info.filename.startswith("inputs/"):
                target.writestr(info, data)
    (first, second) = verify(tmp_path, changed, status=1)
    assert first["verdict"] == "identical"
    assert (second["verdict"], second["first_difference"]) == ("different", "bundle")


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")
def test_openssh_checks_the_record_that_lies_beside(made: Path, tmp_path: Path) -> None:
    signers = tmp_path / "signers"
    signers.write_text(f"ann@example.org {load_key(made / 'key').public.line}\n")
    record = (made / "lossy.json").read_bytes()
    assert record == read_file((made / "lossy.jpg").read_bytes()).text
    files = ("-f", str(signers), "-s", str(made / "lossy.json.sig"))
    who = ("-I", "ann@example.org", "-n", "safelight")
    subprocess.run(["ssh-keygen", "-Y", "verify", *files, *who], input=record, check=True)
