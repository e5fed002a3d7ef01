"""Bundles, and ZIP files that are none or want to do harm."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from store.errors import StoreError
from store.metadata.bundle import Bundle, BundleFile, write_bundle

IMAGE = b"the image " * 100
START = "ab" * 32


def make_bundle(*names: str) -> bytes:
    files = [
        BundleFile(name=name, data=IMAGE, record=b"{}", inputs={START: (".png", b"start")})
        for name in names
    ]
    write_bundle(file := io.BytesIO(), files, program="Safelight 0")
    return file.getvalue()


def open_bundle(folder: Path, data: bytes) -> Bundle:
    path = folder / "bundle.zip"
    path.write_bytes(data)
    return Bundle(path)


def rewrite(data: bytes, **changed: bytes | None) -> bytes:
    """The same bundle with entries of other bytes, without some, or with further ones."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        entries: dict[str, Any] = {name: source.read(name) for name in source.namelist()}
    names = {"manifest": "manifest.json", "image": "images/7.png", "record": "records/7.json"}
    entries |= {names.get(name, name): value for name, value in changed.items()}
    with zipfile.ZipFile(file := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as target:
        for name, value in entries.items():
            if value is not None:
                target.writestr(name, value)
    return file.getvalue()


def test_what_is_put_in_comes_out(tmp_path: Path) -> None:
    bundle = open_bundle(tmp_path, make_bundle("7.png", "7.png", "7.jpg", "A.png", "a.png"))
    names = [image.image.name for image in bundle.manifest.images]
    assert names == [
        f"images/{name}" for name in ("7.png", "7-2.png", "7-3.jpg", "A.png", "a-2.png")
    ]
    assert len({image.record.name for image in bundle.manifest.images}) == 5
    for image in bundle.manifest.images:
        assert bundle.read(image.image) == IMAGE
        assert bundle.read_record(image) == b"{}"
    assert len(bundle.manifest.inputs) == 1
    assert list(bundle.list_strangers()) == []
    bundle.close()


def test_the_same_images_give_the_same_bytes() -> None:
    assert make_bundle("7.png", "8.png") == make_bundle("7.png", "8.png")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"image": b"another"}, "was changed"),
        ({"image": None}, "is missing"),
        ({"image": bytes(65 * 1024 * 1024)}, "more than"),
    ],
)
def test_what_was_changed_in_a_bundle_is_told(
    tmp_path: Path, changed: dict[str, bytes | None], said: str
) -> None:
    bundle = open_bundle(tmp_path, rewrite(make_bundle("7.png"), **changed))
    with pytest.raises(StoreError, match=said):
        bundle.read(bundle.manifest.images[0].image)
    bundle.close()


def test_what_is_not_listed_is_told(tmp_path: Path) -> None:
    stranger = {"../../evil.sh": b"x"}
    bundle = open_bundle(tmp_path, rewrite(make_bundle("7.png"), **stranger))
    assert list(bundle.list_strangers()) == ["../../evil.sh"]
    bundle.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bundle.zip"]


def list_broken() -> Iterable[tuple[bytes, str]]:
    good = make_bundle("7.png")
    with zipfile.ZipFile(io.BytesIO(good)) as source:
        manifest = json.loads(source.read("manifest.json"))
    yield b"", "no ZIP file"
    yield b"PK\5\6", "no ZIP file"
    yield good[:-30], "no ZIP file"
    yield rewrite(good, manifest=None), "is missing"
    yield rewrite(good, manifest=b"{"), "cannot be read"
    yield rewrite(good, manifest=b"[" * 100_000), "cannot be read"
    yield rewrite(good, manifest=bytes(20 * 1024 * 1024)), "more than"
    yield rewrite(good, manifest=json.dumps(manifest | {"format": 2}).encode()), "newer"
    many = manifest | {"images": manifest["images"] * 10_001}
    yield rewrite(good, manifest=json.dumps(many).encode()), "more than"
    with zipfile.ZipFile(crowd := io.BytesIO(), "w") as target:
        for number in range(40_001):
            target.writestr(zipfile.ZipInfo(str(number)), b"")
    yield crowd.getvalue(), "more than"
    place = good.rindex(b"PK\5\6")
    yield good[: place + 12] + b"\xff\xff\xff\xff" + good[place + 16 :], "more than"
    twice = io.BytesIO(good)
    with zipfile.ZipFile(twice, "a") as target, pytest.warns(UserWarning, match="Duplicate"):
        target.writestr("manifest.json", b"{}")
    yield twice.getvalue(), "twice"


def test_files_that_are_no_bundle_are_refused(tmp_path: Path) -> None:
    for data, said in list_broken():
        with pytest.raises(StoreError, match=said):
            open_bundle(tmp_path, data)


def test_a_changed_byte_anywhere_is_noticed_or_without_effect(tmp_path: Path) -> None:
    good = make_bundle("7.png")
    for place in range(0, len(good), 11):
        changed = bytearray(good)
        changed[place] ^= 1
        try:
            bundle = open_bundle(tmp_path, bytes(changed))
        except StoreError:
            continue
        try:
            (image,) = bundle.manifest.images
            assert bundle.read(image.image) == IMAGE
            assert bundle.read_record(image) == b"{}"
        except StoreError:
            continue
        finally:
            bundle.close()
